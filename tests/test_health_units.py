"""Readiness and watchdog in the generated machines: units, settings, rights; and that they are shut in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from generator import resources
from generator.emit.values import camel
from generator.machine.settings import parse
from generator.spec.health import Health
from generator.spec.load import load_spec
from tests.conftest import write_flake
from tests.nix_program import NEED_INPUTS, ROOT, inputs_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes, Nix

MOST_EXPOSED = 2.0
FACTS = """machine: let c = machine.config; in {
  units = builtins.mapAttrs (_: unit: unit.text) c.systemd.units;
  health = builtins.mapAttrs (_: server: server.health) c.llmflake.resolved;
  polkit = { inherit (c.security.polkit) enable extraConfig; };
  user = c.users.users.llm-watchdog.isSystemUser or false;
}"""
HEALTH = json.loads(resources.schema_path().read_text(encoding="utf-8"))["properties"]["services"][
    "additionalProperties"
]["properties"]["health"]["properties"]
PAIR = """
[clan]
name = "pair"
[machines.aspen1]
hardware = "strix-halo-128"
gtt_mib = 117760
[models.m]
repository = "a/b"
revision = "0123456789012345678901234567890123456789"
format = "safetensors"
quantisation = "mxfp4"
size_gib = 20
[models.g]
repository = "a/g"
revision = "0123456789012345678901234567890123456789"
file = "m.gguf"
format = "gguf"
size_gib = 20
[services.llm]
engine = "vllm"
machines = ["aspen1"]
model = "m"
conflicts = ["chat"]
[services.llm.health]
fallback = "chat"
reboot = true
restart_after_requests = 1000
key_file = "/run/secrets/llm-key"
[services.chat]
engine = "llamacpp"
machines = ["aspen1"]
model = "g"
start_on_boot = false
llamacpp = { metrics = true }
"""


@pytest.fixture(scope="session")
def machine(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Evaluate a machine with vLLM in a container, and llama.cpp natively as its fallback."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "pair.toml").write_text(PAIR)
    flake = write_flake(folder / "pair.toml", folder / "out")
    facts: dict[str, Any] = flakes.eval(flake, "nixosConfigurations.aspen1", FACTS)
    return facts


def lines(machine: dict[str, Any], unit: str) -> list[str]:
    text: str = machine["units"][f"{unit}.service"]
    return text.splitlines()


@pytest.mark.parametrize(("unit", "name"), [("vllm", "llm"), ("llama-cpp", "chat")])
def test_a_server_counts_as_started_when_it_answered(machine: dict[str, Any], unit: str, name: str) -> None:
    unit_lines = lines(machine, unit)
    (post,) = [line for line in unit_lines if line.startswith("ExecStartPost=")]
    assert re.search(rf'/bin/llmflake-ready" "/nix/store/[^"]+-llm-health-{name}\.json"$', post), post
    assert "TimeoutStartSec=infinity" in unit_lines
    assert "StartLimitBurst=5" in unit_lines
    (interval,) = [line for line in unit_lines if line.startswith("StartLimitIntervalSec=")]
    assert int(interval.partition("=")[2]) >= 5 * 3600  # five starts that each take the hour that they may


def test_both_servers_are_watched(machine: dict[str, Any]) -> None:
    for unit in ("vllm-watchdog", "llama-cpp-watchdog"):
        assert "WatchdogSec=120" in lines(machine, unit)
        assert "Type=notify" in lines(machine, unit)
        assert "User=llm-watchdog" in lines(machine, unit)
    assert machine["user"]


def test_no_engine_is_killed_by_systemds_own_watchdog(machine: dict[str, Any]) -> None:
    for unit in ("vllm", "llama-cpp"):
        assert not [line for line in lines(machine, unit) if line.startswith("WatchdogSec")]


def test_the_programs_read_what_nix_writes(machine: dict[str, Any]) -> None:
    """The real settings of both servers, by the real parser of the programs."""
    llm, chat = (parse(json.dumps(machine["health"][name])) for name in ("llm", "chat"))
    assert (llm.unit, llm.url, llm.model, llm.fallback_unit) == ("vllm", "http://127.0.0.1:8000", "a/b", "llama-cpp")
    assert (llm.reboot, llm.restart_after_requests, llm.restarts) == (True, 1000, 2)
    assert llm.names is not None
    assert llm.names.finished == "vllm:request_success_total"
    assert chat.names is not None
    assert "llamacpp:n_decode_total" in chat.names.progress
    assert llm.known.question == Health(readiness=True, watchdog=True).question


def test_the_key_reaches_server_and_watchdog_as_a_credential(machine: dict[str, Any]) -> None:
    for unit in ("vllm", "vllm-watchdog"):
        assert "LoadCredential=llm-key:/run/secrets/llm-key" in lines(machine, unit)
    assert not [line for line in lines(machine, "llama-cpp-watchdog") if line.startswith("LoadCredential")]


def test_watchdogs_may_touch_their_units_and_no_other(machine: dict[str, Any]) -> None:
    assert machine["polkit"]["enable"]
    assert 'var units = ["llama-cpp.service","vllm.service"]' in machine["polkit"]["extraConfig"]
    assert "org.freedesktop.login1.reboot" in machine["polkit"]["extraConfig"]


def test_what_stops_is_gone_before_what_starts(machine: dict[str, Any]) -> None:
    vllm = "\n".join(lines(machine, "vllm"))
    assert "Conflicts=llama-cpp.service" in vllm
    assert re.search(r"After=.*llama-cpp\.service", vllm)


@pytest.mark.parametrize("unit", ["vllm-watchdog", "llama-cpp-watchdog"])
def test_a_watchdog_is_shut_in(machine: dict[str, Any], unit: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on PATH; install systemd")
    text = re.sub(r"(?m)^(Exec\w+=).+$", r"\1/bin/true", machine["units"][f"{unit}.service"])
    (tmp_path / f"{unit}.service").write_text(text)
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(tmp_path / f"{unit}.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure is not None, done.stderr
    assert float(exposure[1]) <= MOST_EXPOSED, done.stdout


def test_the_flake_offers_the_programs(flakes: Flakes, tmp_path: Path) -> None:
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path)
    for name in ("llmflake-ready", "llmflake-watchdog"):
        assert flakes.eval(flake, f"packages.x86_64-linux.{name}.drvPath").endswith(f"-{name}.drv")


def test_the_programs_in_the_flake_are_those_that_are_tested_here() -> None:
    files = resources.static_files()
    ours = sorted((ROOT / "generator" / "machine").glob("*.py"))
    assert len(ours) > 10
    for path in ours:
        assert files[f"nix/programs/generator/machine/{path.name}"] == path.read_text(encoding="utf-8")
    assert "nix/programs/generator/__init__.py" in files


def test_the_programs_run_without_the_rest_of_the_generator(tmp_path: Path) -> None:
    for path, text in resources.static_files().items():
        if path.startswith("nix/programs/generator/"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
    for module in ("ready", "watchdog"):
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"import generator, generator.machine.{module}; print(generator.__file__)"],
            env={"PYTHONPATH": str(tmp_path / "nix" / "programs"), "PATH": "/usr/bin:/bin"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(tmp_path))


def test_the_health_tables_of_schema_model_and_options_are_one(nix: Nix) -> None:
    lib = inputs_folder() / "nixpkgs-lib" / "lib"
    if not lib.is_dir():
        pytest.skip(NEED_INPUTS.format(inputs_folder()))
    options = nix.evaluate(
        f"builtins.mapAttrs (_: option: option.default) "
        f"(import {ROOT}/nix/services/llm/options.nix {{ lib = import {lib}; }}).server.health"
    )
    defaults = {name: entry.get("default") for name, entry in HEALTH.items()}
    assert {camel(name): value for name, value in defaults.items()} == options
    model = {name: getattr(Health(readiness=True, watchdog=True), name) for name in HEALTH}
    assert {**model, "readiness": None, "watchdog": None} == defaults


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('fallback = "chat"|fallback = "llm"', "a service cannot stand in for itself"),
        ('fallback = "chat"|fallback = "chap"', 'did you mean "chat"?'),
        ('fallback = "chat"|fallback = "chat"\nwatchdog = false', "nothing would fall back"),
        (
            'engine = "llamacpp"|engine = "llamacpp"\nhealth = { restart_after_requests = 9 }',
            "does not count its requests",
        ),
        (
            "llamacpp = { metrics = true }|health = { restart_after_hours = 9 }",
            "without metrics does not tell when nobody waits; set llamacpp.metrics = true",
        ),
        (
            "llamacpp = { metrics = true }|extra_args = ['--api-key-file', '/k']",
            "set key_file to the file that --api-key-file names",
        ),
        ("restart_after_requests = 1000|hang_limit = 1", "services.llm.health.hang_limit"),
        ("restart_after_requests = 1000|hang_limits = 100", "services.llm.health"),
    ],
)
def test_a_health_table_that_cannot_work_is_refused(change: str, message: str, tmp_path: Path) -> None:
    before, after = change.split("|")
    assert before in PAIR
    (tmp_path / "pair.toml").write_text(PAIR.replace(before, after))
    with pytest.raises(Exception, match=re.escape(message)):
        load_spec(tmp_path / "pair.toml")
