"""What watches, on evaluated machines: one of ours, and somebody else's that has a Prometheus and a Grafana already."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from generator import resources
from tests.conftest import write_flake
from tests.nix_program import ROOT, inputs_folder
from tests.test_examples import verify_units
from tests.test_monitoring import check_config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

FACTS = """machine: let c = machine.config; p = c.services.prometheus; in {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
  inherit (p) scrapeConfigs listenAddress rules enable;
  ruleFiles = map toString p.ruleFiles;
  node = { inherit (p.exporters.node) enable enabledCollectors extraFlags listenAddress; };
  grafana = { inherit (c.services.grafana) enable; inherit (c.services.grafana.settings) security server;
    dashboards = c.services.grafana.provision.dashboards.settings.providers or null;
    datasources = c.services.grafana.provision.datasources.settings.datasources or null; };
  etc = builtins.filter (name: builtins.match "llmflake/.*" name != null) (builtins.attrNames c.environment.etc);
  dashboard = c.environment.etc."llmflake/dashboards/llm.json".text or null;
  ports = c.networking.firewall.allowedTCPPorts;
  interfaces = builtins.mapAttrs (_: rules: rules.allowedTCPPorts) c.networking.firewall.interfaces;
}"""
WHOLE = f"""machine: ({FACTS}) machine // {{
  toplevel = machine.config.system.build.toplevel.drvPath;
  units = builtins.mapAttrs (_: unit: unit.text) machine.config.systemd.units;
}}"""
# What a machine says that is watched already.
THEIRS = """{
  services.prometheus = { enable = true; port = 9091; rules = [ ''{"groups": []}'' ];
    scrapeConfigs = [ { job_name = "theirs"; static_configs = [ { targets = [ "localhost:1" ]; } ]; } ];
    exporters.node = { enable = true; enabledCollectors = [ "logind" ]; }; };
  services.grafana = { enable = true; settings.security.secret_key = "theirs";
    provision.dashboards.settings.providers = [ { name = "theirs"; options.path = "/srv/dashboards"; } ];
    provision.datasources.settings.datasources =
      [ { name = "P"; type = "prometheus"; url = "http://localhost:9091"; } ]; };
}"""

SMU = """{ runCommand }: runCommand "amdgpu-smu-exporter" { meta.mainProgram = "amdgpu-smu-exporter"; } "false\""""


@pytest.fixture(scope="module")
def ours(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    local = """{ llmflake.monitoring.certificateFiles.gateway = "/var/lib/acme/llm/cert.pem";
      llmflake.monitoring.keyFiles.llm = "/run/secrets/llm-key"; }"""
    folder = tmp_path_factory.mktemp("ours")
    # A stand-in for hellas-ai/nix-strix-halo, as in test_examples.py.
    package = folder / "strix-halo" / "pkgs" / "amdgpu-smu-exporter"
    package.mkdir(parents=True)
    (folder / "strix-halo" / "flake.nix").write_text("{ outputs = _: { }; }", encoding="utf-8")
    (package / "default.nix").write_text(SMU, encoding="utf-8")
    text = (ROOT / "examples" / "aspen1.toml").read_text(encoding="utf-8")
    (folder / "spec.toml").write_text(f"{text}smu_exporter = true\n", encoding="utf-8")
    flake = write_flake(folder / "spec.toml", folder / "out", aspen1=local)
    facts: dict[str, Any] = flakes.eval(
        flake, "nixosConfigurations.aspen1", WHOLE, nix_strix_halo=folder / "strix-halo"
    )
    return facts


def their_machine(flakes: Flakes, folder: Path, apply: str, *modules: str) -> Any:  # noqa: ANN401 - what is asked for
    """Evaluate somebody else's machine that imports ours, with further modules."""
    text = (ROOT / "examples" / "aspen1.toml").read_text(encoding="utf-8")
    spec = folder / "spec.toml"
    spec.write_text(f"{text}prometheus = false\ngrafana = false\nnode_exporter = false\n", encoding="utf-8")
    flake = write_flake(spec, folder / "out")
    further = "\n        ".join(modules)
    (folder / "flake.nix").write_text(f"""{{
      inputs.nixpkgs.url = "nixpkgs";
      inputs.llm-deploy.url = "path:/llm-deploy";
      inputs.llm-deploy.inputs.nixpkgs.follows = "nixpkgs";
      outputs = inputs: {{ nixosConfigurations.theirs = inputs.nixpkgs.lib.nixosSystem {{ modules = [
        inputs.llm-deploy.nixosModules.aspen1
        {further}
        {{ nixpkgs.hostPlatform = "x86_64-linux"; boot.loader.grub.device = "nodev"; }}
        {{ fileSystems."/" = {{ device = "/dev/sda1"; fsType = "ext4"; }}; }}
      ]; }}; }};
    }}""")
    return flakes.eval(folder, "nixosConfigurations.theirs", apply, nixpkgs=flakes.stores["nixpkgs"], llm_deploy=flake)


@pytest.fixture(scope="module")
def theirs(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    told = "{ llmflake.monitoring.grafana.provision = true; }"
    facts: dict[str, Any] = their_machine(flakes, tmp_path_factory.mktemp("theirs"), FACTS, THEIRS, told)
    return facts


def written(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return options as nixpkgs writes them into a file: without those that are null."""
    if isinstance(value, dict):
        return {name: written(entry) for name, entry in value.items() if entry is not None and name != "_module"}
    return [written(entry) for entry in value] if isinstance(value, list) else value


def test_the_machine_runs_all_three_on_loopback(ours: dict[str, Any]) -> None:
    assert ours["failed"] == []
    assert "nixos-system-aspen1" in ours["toplevel"]
    assert ours["enable"]
    assert ours["listenAddress"] == "127.0.0.1"
    assert ours["node"]["listenAddress"] == "127.0.0.1"
    assert ours["grafana"]["server"]["http_addr"] == "127.0.0.1"
    assert not {3000, 9090, 9100} & {*ours["ports"], *(port for ports in ours["interfaces"].values() for port in ports)}


def test_promtool_accepts_what_nixos_makes_of_the_configuration(ours: dict[str, Any], tmp_path: Path) -> None:
    configs = written(ours["scrapeConfigs"])
    assert [config["job_name"] for config in configs] == ["vllm", "llm-node"]
    assert configs[0]["static_configs"][0]["targets"] == ["127.0.0.1:8000"]
    assert [name.partition("-")[2] for name in ours["ruleFiles"]] == ["llmflake-rules.json"]
    check_config({"scrape_configs": configs}, tmp_path)


def test_node_exporter_collects_what_rules_and_dashboards_read(ours: dict[str, Any]) -> None:
    assert ours["node"]["enable"]
    assert set(ours["node"]["enabledCollectors"]) == {"drm", "hwmon", "systemd", "textfile"}
    assert "--collector.systemd.enable-restarts-metrics" in ours["node"]["extraFlags"]
    assert "--collector.textfile.directory=/run/llm-ages" in ours["node"]["extraFlags"]


def test_grafana_finds_the_dashboards_and_prometheus(ours: dict[str, Any]) -> None:
    assert [entry["options"]["path"] for entry in ours["grafana"]["dashboards"]] == ["/etc/llmflake/dashboards"]
    assert ours["etc"] == ["llmflake/dashboards/llm.json", "llmflake/uses.json"]
    assert '"uid":"${datasource}"' in ours["dashboard"]
    assert [entry["url"] for entry in ours["grafana"]["datasources"]] == ["http://127.0.0.1:9090"]


def test_no_secret_of_grafana_is_in_the_store(ours: dict[str, Any]) -> None:
    security = ours["grafana"]["security"]
    assert security["secret_key"] == "$__file{/var/lib/grafana/secret_key}"  # noqa: S105 - a place
    assert security["admin_password"] == "$__file{/var/lib/grafana/admin_password}"  # noqa: S105 - a place


def test_systemd_accepts_the_units(ours: dict[str, Any], tmp_path: Path) -> None:
    assert '"key" "llm" "certificate" "gateway"' in ours["units"]["llm-ages.service"]
    verify_units(ours["units"], ["llm-ages.service", "llm-ages.timer", "llm-smu.service"], tmp_path)


@pytest.mark.parametrize("name", ["llm-ages.service", "llm-smu.service"])
def test_helpers_are_exposed_at_most_two(ours: dict[str, Any], name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on PATH; install systemd")
    unit = tmp_path / name
    unit.write_text(re.sub(r"(?m)^(Exec\w+=).+$", r"\1/bin/true", ours["units"][name]), encoding="utf-8")
    command = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    overall = re.search(r"Overall exposure level for \S+: (\S+)", done.stdout)
    assert overall, done.stdout + done.stderr
    print(f"{name}: exposure {overall[1]}")  # noqa: T201 - what was measured
    assert float(overall[1]) <= 2.0


def test_somebody_elses_prometheus_and_grafana_keep_what_is_theirs_and_get_ours(
    theirs: dict[str, Any], tmp_path: Path
) -> None:
    assert theirs["failed"] == []
    configs = written(theirs["scrapeConfigs"])
    assert {config["job_name"] for config in configs} == {"theirs", "vllm", "llm-node"}
    assert theirs["rules"] == ['{"groups": []}']
    assert [name.partition("-")[2] for name in theirs["ruleFiles"]] == ["llmflake-rules.json"]
    assert {entry["name"] for entry in theirs["grafana"]["dashboards"]} == {"theirs", "llmflake"}
    assert [entry["name"] for entry in theirs["grafana"]["datasources"]] == ["P"]
    assert theirs["grafana"]["security"]["secret_key"] == "theirs"  # noqa: S105 - a test's
    assert {"logind", "drm", "hwmon", "systemd", "textfile"} == set(theirs["node"]["enabledCollectors"])
    assert theirs["node"]["listenAddress"] == "0.0.0.0"  # noqa: S104 - nixpkgs' own, which we leave alone
    check_config({"scrape_configs": configs}, tmp_path)


def test_a_grafana_that_runs_already_is_not_told_of_dashboards_unasked(flakes: Flakes, tmp_path: Path) -> None:
    """Where another module sets the option to null, as onix-core's does, a second definition would be an error."""
    null = "{ services.grafana.enable = true; services.grafana.provision.dashboards.settings = null; }"
    apply = """machine: [ machine.config.services.grafana.provision.dashboards.settings
      (machine.config.environment.etc ? "llmflake/dashboards/llm.json") ]"""
    assert their_machine(flakes, tmp_path, apply, null) == [None, True]


def test_the_settings_for_other_modules_are_outputs_of_the_flake(flakes: Flakes, tmp_path: Path) -> None:
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path)
    apply = """monitoring: { inherit (monitoring.aspen1.onix) grafana;
      prometheus = map (config: config.job_name) monitoring.aspen1.onix.prometheus.additionalScrapeConfigs;
      rules = map (file: map (group: group.name) (builtins.fromJSON (builtins.readFile file)).groups)
        monitoring.aspen1.onix.prometheus.ruleFiles; }"""
    assert flakes.eval(flake, "monitoring", apply) == {
        "grafana": {
            "dashboards": [
                {
                    "name": "llmflake",
                    "folder": "LLM",
                    "type": "file",
                    "disableDeletion": True,
                    "options": {"path": "/etc/llmflake/dashboards"},
                }
            ]
        },
        "prometheus": ["vllm", "llm-node"],
        "rules": [["llmflake", "llmflake-names", "llmflake-alerts"]],
    }


def test_the_smu_exporter_comes_from_nix_strix_halo(ours: dict[str, Any]) -> None:
    assert "/bin/amdgpu-smu-exporter" in ours["units"]["llm-smu.service"]
    assert "--collector.textfile.directory=/run/llm-smu" in ours["node"]["extraFlags"]


def test_nix_strix_halo_has_the_program_where_we_take_it() -> None:
    package = inputs_folder() / "nix-strix-halo" / "pkgs" / "amdgpu-smu-exporter" / "main.c"
    if not package.exists():
        pytest.skip(f"no nix-strix-halo at {inputs_folder()}; put a checkout there, or set LLMFLAKE_INPUTS")
    text = package.read_text(encoding="utf-8")
    metrics = tomllib.loads(resources.release_data("metrics.toml").read_text(encoding="utf-8"))["smu"]["metrics"]
    assert all(f"# TYPE {metric['name']} {metric['kind']}" in text for metric in metrics)
