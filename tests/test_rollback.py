"""The ways back from a failed deployment: ready on the machine before they are needed."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from generator.emit.data import deployment_data
from generator.emit.runbook import runbook
from generator.errors import SpecError
from generator.machine.directories import REGISTRY
from generator.spec.load import load_spec
from tests.conftest import write_flake
from tests.nix_program import ROOT
from tests.prometheus import program
from tests.test_runbook import GO_BACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.nix_program import Flakes

    SpecFile = Callable[[str], Path]

ASPEN1 = (ROOT / "examples" / "aspen1.toml").read_text(encoding="utf-8")
# What a system is, by itself and once it was switched to Ollama.
FACTS = """machine: let
  json = text: builtins.fromJSON (builtins.unsafeDiscardStringContext text);
  facts = c: {
    toplevel = c.system.build.toplevel.drvPath;
    failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
    units = builtins.filter (name: c.systemd.units.${name}.enable) (builtins.attrNames c.systemd.units);
    inherit (c.services.ollama) enable host port loadModels;
    containers = builtins.attrNames c.virtualisation.oci-containers.containers;
    jobs = map (job: job.job_name) c.services.prometheus.scrapeConfigs;
    rules = json c.llmflake.monitoring.ruleFile;
    ruleFiles = builtins.length c.services.prometheus.ruleFiles;
    groups = c.systemd.services.ollama.serviceConfig.SupplementaryGroups or [ ];
    hip = builtins.any (p: p.pname or "" == "clr") c.environment.systemPackages;
  };
  c = machine.config;
in {
  uses = json c.environment.etc."llmflake/uses.json".text;
  usesRolledBack = json c.specialisation.ollama.configuration.environment.etc."llmflake/uses.json".text;
  kept = builtins.filter (name: name == "llmflake-kept") (map (p: p.name or "") c.environment.systemPackages);
  state = c.systemd.services.llm-model-gpt-oss-120b-derestricted.serviceConfig.StateDirectory;
  now = facts c;
  back = facts c.specialisation.ollama.configuration;
  links = c.system.systemBuilderCommands;
  keeps = c.boot.loader.systemd-boot.configurationLimit;
  rebuild = c.system.tools.nixos-rebuild.enable;
}"""


@pytest.fixture(scope="module")
def system(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path_factory.mktemp("rollback"))
    facts: dict[str, Any] = flakes.eval(flake, "nixosConfigurations.aspen1", FACTS)
    assert facts["now"]["failed"] == []
    assert facts["back"]["failed"] == []
    return facts


def test_the_server_runs_and_ollama_does_not(system: dict[str, Any]) -> None:
    assert "vllm.service" in system["now"]["units"]
    assert system["now"]["enable"] is False


def test_switching_over_stops_the_server_and_serves_ollama_on_its_port(system: dict[str, Any]) -> None:
    back = system["back"]
    assert "vllm.service" not in back["units"]
    assert "llm-model-gpt-oss-120b-derestricted.service" not in back["units"]
    assert {"ollama.service", "ollama-model-loader.service"} <= set(back["units"])
    assert back["containers"] == []
    assert (back["host"], back["port"], back["loadModels"]) == ("127.0.0.1", 8000, ["gpt-oss:120b"])


def test_ollama_reaches_the_gpu_as_every_other_server_does(system: dict[str, Any]) -> None:
    assert sorted(system["back"]["groups"]) == ["render", "video"]


def test_hipconfig_is_there_where_an_engine_that_links_it_runs(system: dict[str, Any]) -> None:
    """A container brings its own ROCm, and Ollama runs natively."""
    assert (system["now"]["hip"], system["back"]["hip"]) == (False, True)


def test_nothing_looks_for_the_metrics_of_the_server_that_ollama_replaces(system: dict[str, Any]) -> None:
    now, back = (system[name] for name in ("now", "back"))
    assert now["ruleFiles"] == back["ruleFiles"] == 1
    assert "vllm" in now["jobs"]
    assert "vllm" not in back["jobs"]
    assert "llm-node" in back["jobs"]
    infos = [
        {name: rule["labels"][name] for name in ("service", "engine", "name", "metrics", "starts")}
        for group in back["rules"]["groups"]
        for rule in group["rules"]
        if rule.get("record") == "llm:service_info"
    ]
    assert infos == [
        {"service": "llm", "engine": "ollama", "name": "ollama.service", "metrics": "no", "starts": "boot"}
    ]


@pytest.mark.parametrize(("rules", "fires"), [("back", False), ("now", True)])
def test_the_alarm_is_silent_while_ollama_serves(
    system: dict[str, Any], tmp_path: Path, rules: str, *, fires: bool
) -> None:
    """By promtool: Ollama is active, vLLM's unit is gone, and its port serves no metrics to whoever still asks."""
    (tmp_path / "rules.json").write_text(json.dumps(system[rules]["rules"]))
    state = 'node_systemd_unit_state{job="llm-node",machine="aspen1",name="ollama.service",state="active"}'
    series = [{"series": state, "values": "1x60"}]
    if "vllm" in system[rules]["jobs"]:
        series += [{"series": 'up{job="vllm",machine="aspen1",service="llm"}', "values": "0x60"}]
    test = {
        "interval": "1m",
        "input_series": series,
        "alert_rule_test": [{"eval_time": "60m", "alertname": "LlmDown", "exp_alerts": []}],
    }
    (tmp_path / "test.json").write_text(json.dumps({"rule_files": ["rules.json"], "tests": [test]}))
    command = [program("promtool"), "test", "rules", str(tmp_path / "test.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) is not fires, said
    assert ('alertname="LlmDown"' in said) is fires, said


def test_the_runbooks_command_finds_the_system_that_it_switches_to(system: dict[str, Any]) -> None:
    """NixOS links it into the system, from where the boot loader's entries come as well."""
    toplevel = system["back"]["toplevel"].removesuffix(".drv").partition("-")[2]
    links = [line for line in system["links"].splitlines() if line.endswith("$out/specialisation/ollama")]
    assert len(links) == 1
    assert toplevel in links[0]
    commands = runbook(load_spec(ROOT / "examples" / "aspen1.toml"))
    assert (
        "$ ssh root@aspen1 /run/current-system/specialisation/ollama/bin/switch-to-configuration switch\n" in commands
    )


def test_the_system_tells_what_it_uses_and_so_does_ollamas(system: dict[str, Any]) -> None:
    uses = system["uses"]
    (model,) = uses["models"]
    assert model["directory"] == "/var/lib/llm/models/gpt-oss-120b-derestricted"
    assert model["repository"] == "justinjja/gpt-oss-120b-Derestricted-MXFP4"
    assert uses["images"]["vllm"].partition("@")[2].startswith("sha256:")
    assert uses["runtime"].endswith("/bin/podman")
    assert system["usesRolledBack"] == {"images": {}, "models": [], "runtime": None}
    assert system["kept"] == ["llmflake-kept"]
    assert f"/var/lib/{system['state']}/directories" == str(REGISTRY)


def test_generations_of_before_stay_in_the_boot_menu(system: dict[str, Any]) -> None:
    assert system["keeps"] is None or system["keeps"] > 1
    assert system["rebuild"] is True


def test_each_of_the_four_levels_is_one_command(spec_file: SpecFile) -> None:
    chapter = runbook(load_spec(spec_file(ASPEN1))).partition("### 4. Roll back")[2].partition("### 5.")[0]
    parts = [part for part in chapter.split("\n") if part.startswith("$ ")]
    assert parts == [
        "$ ssh root@aspen1 systemctl stop vllm",
        "$ ssh root@aspen1 /run/current-system/specialisation/ollama/bin/switch-to-configuration switch",
        "$ ssh root@aspen1 /nix/var/nix/profiles/system/bin/switch-to-configuration switch",
        f"$ {GO_BACK} && clan machines update aspen1",
        "$ ssh root@aspen1 'nixos-rebuild boot --rollback && reboot'",
    ]


def test_one_line_of_the_spec_makes_it_ollama_for_good(spec_file: SpecFile) -> None:
    text = ASPEN1.replace('engine = "vllm"', 'engine = "ollama"')
    data = deployment_data(load_spec(spec_file(text)))
    settings = data["services"]["llm"]["settings"]
    assert settings["serviceType"] == "ollama"
    assert settings["models"] == ["gpt-oss:120b"]
    assert (settings["host"], settings["port"], settings["unit"]) == ("127.0.0.1", 8000, "ollama")
    assert not {"weights", "vllm", "containerImage", "rollback"} & set(settings)


def test_two_ollamas_on_a_machine_are_refused(spec_file: SpecFile) -> None:
    more = '\n[services.small]\nengine = "ollama"\nmachines = ["aspen1"]\nmodels = ["llama3.2:3b"]\n'
    with pytest.raises(SpecError) as caught:
        load_spec(spec_file(ASPEN1 + more))
    (problem,) = caught.value.problems
    assert problem.path == "services.llm.rollback"
    assert problem.what == "Ollama is one a machine, and small has it on aspen1"
    assert problem.hint == "put the models into one of them"


OLLAMA_ALREADY = 'engine = "ollama"'


def level_two(text: str) -> str:
    """Return the runbook's second way back, of its first machine."""
    return text.partition("\n2. ")[2].partition("\n3. ")[0]


def test_what_is_ollama_already_is_not_told_to_become_it(spec_file: SpecFile) -> None:
    """Nor that ``rollback.ollama`` would make it ready, which the spec has."""
    text = level_two(runbook(load_spec(spec_file(ASPEN1.replace('engine = "vllm"', OLLAMA_ALREADY)))))
    assert "`llm` is Ollama already" in text
    assert "rollback.ollama" not in text
    assert OLLAMA_ALREADY not in text


@pytest.mark.parametrize(("expose", "said"), [("", False), ('expose = ["gateway"]\n', True)])
def test_a_gateway_is_spoken_of_where_there_is_one(spec_file: SpecFile, expose: str, *, said: bool) -> None:
    front = '[gateways.front]\nmachine = "aspen1"\nhost = "llm.lan"\nexpose = ["tailscale0"]\n' if expose else ""
    spec = ASPEN1.replace('engine = "vllm"\n', f'engine = "vllm"\n{expose}').replace(
        "[monitoring]", f"{front}[monitoring]"
    )
    assert ("and its gateway" in level_two(runbook(load_spec(spec_file(spec))))) is said


def test_a_watcher_elsewhere_is_said_to_know_nothing_of_it(spec_file: SpecFile) -> None:
    other = '[machines.other]\nhardware = { accelerator = "cpu", memory_mib = 8192 }\n'
    spec = ASPEN1.replace("[monitoring]\n", f"{other}[monitoring]\n")
    assert "does not know of it" not in level_two(runbook(load_spec(spec_file(spec))))
    spec = re.sub(r'(\[monitoring\]\nmachines = )\["aspen1"\]', r'\1["aspen1", "other"]', spec)
    assert "Prometheus on other does not know of it" in level_two(runbook(load_spec(spec_file(spec))))
