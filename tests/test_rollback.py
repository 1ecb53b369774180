"""The ways back from a failed deployment: ready on the machine before they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from generator.emit.data import deployment_data
from generator.emit.runbook import runbook
from generator.errors import SpecError
from generator.machine.directories import REGISTRY
from generator.spec.load import load_spec
from tests.conftest import write_flake
from tests.nix_program import ROOT

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
        "$ git revert --no-edit HEAD && clan machines update aspen1",
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
