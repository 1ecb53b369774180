"""Keys on their way: from a file to one program, past the command line, the unit and everybody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import write_flake
from tests.nix_program import ROOT, NixError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

SCRIPT = ROOT / "nix" / "programs" / "with-keys.sh"
KEY = "c0ffee" * 8
SHELLS = [shell for shell in ("sh", "bash", "dash", "busybox") if shutil.which(shell)]
SPEC = """
clan.name = "home"
machines.m = { hardware = "strix-halo-128", gtt_mib = 117760 }
models.safe = { repository = "openai/gpt-oss-20b", revision = "COMMIT", format = "safetensors" }
models.gguf = { repository = "ggml-org/gpt-oss-20b-GGUF", revision = "COMMIT", format = "gguf", file = "a.gguf" }
services.batch = { engine = "vllm", machines = ["m"], model = "safe", api_key = true }

[services.chat]
engine = "llamacpp"
machines = ["m"]
model = "gguf"
expose = ["tailscale0"]
api_key = true
""".replace("COMMIT", "0" * 40)
FACTS = """machine: let c = machine.config; in {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
  units = builtins.mapAttrs (_: unit: unit.text) c.systemd.units;
  interfaces = builtins.mapAttrs (_: rules: rules.allowedTCPPorts) c.networking.firewall.interfaces;
  paths = c.llmflake.keyFiles;
  inherit (c.virtualisation.oci-containers.containers.vllm) cmd entrypoint volumes environment;
  generators = builtins.mapAttrs (_: generator: { inherit (generator) share;
    files = builtins.mapAttrs (_: file: { inherit (file) secret mode owner restartUnits; }) generator.files; })
    { inherit (c.clan.core.vars.generators) llm-key-batch llm-key-chat; };
}"""


def with_keys(shell: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*(["busybox", "sh"] if shell == "busybox" else [shell]), str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    return str(path)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_finds_its_key_in_its_environment(shell: str, key: str) -> None:
    done = with_keys(shell, f"A={key}", f"B={key}", "--", sys.executable, "-c", "import os; print(dict(os.environ))")
    assert f"'A': '{KEY}'" in done.stdout
    assert f"'B': '{KEY}'" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_alone_is_looked_at_and_not_handed_over(shell: str, key: str) -> None:
    done = with_keys(shell, key, "--", sys.executable, "-c", "import os; print(dict(os.environ))")
    assert done.returncode == 0
    assert KEY not in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_key_is_in_no_command_line(shell: str, key: str) -> None:
    show = "import pathlib; print(pathlib.Path('/proc/self/cmdline').read_bytes())"
    done = with_keys(shell, f"A={key}", "--", sys.executable, "-c", show, "an argument")
    assert "an argument" in done.stdout
    assert KEY not in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "text", ["", "\n", "short", "Welcome to SOPS! Edit this file as you please!", f"{KEY}\n{KEY}", "$(id)" * 9]
)
def test_no_program_starts_without_a_key(tmp_path: Path, shell: str, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    done = with_keys(shell, str(path), "--", "echo", "started")
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr == f"llmflake: {path} holds no key; run clan vars generate, and deploy again\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_missing_file_stops_the_program(tmp_path: Path, shell: str) -> None:
    done = with_keys(shell, f"A={tmp_path}/nothing", "--", "echo", "started")
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.fixture(scope="module")
def machine(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "spec.toml").write_text(SPEC)
    facts: dict[str, Any] = flakes.eval(
        write_flake(folder / "spec.toml", folder / "out"), "nixosConfigurations.m", FACTS
    )
    assert facts["failed"] == []
    return facts


def test_clan_makes_a_key_for_each_service_and_restarts_it_when_the_key_changes(machine: dict[str, Any]) -> None:
    for name, unit in (("batch", "vllm"), ("chat", "llama-cpp")):
        generator = machine["generators"][f"llm-key-{name}"]
        assert generator["share"] is True
        units = [f"{unit}.service", f"{unit}-watchdog.service"]
        assert generator["files"] == {
            "api-key": {"secret": True, "mode": "0400", "owner": "root", "restartUnits": units}
        }


@pytest.mark.parametrize(("name", "unit"), [("batch", "vllm"), ("chat", "llama-cpp")])
def test_readiness_and_the_watchdog_ask_with_the_services_key(machine: dict[str, Any], name: str, unit: str) -> None:
    for asking in (unit, f"{unit}-watchdog"):
        handed = re.findall(r"(?m)^LoadCredential=llm-key:(.+)$", machine["units"][f"{asking}.service"])
        assert handed == [machine["paths"][name]]


def test_a_key_file_of_its_own_is_what_health_asks_with(flakes: Flakes, tmp_path: Path) -> None:
    spec = SPEC + 'health.key_file = "/run/keys/chat"\n'
    (tmp_path / "spec.toml").write_text(spec)
    facts = flakes.eval(write_flake(tmp_path / "spec.toml", tmp_path / "out"), "nixosConfigurations.m", FACTS)
    assert "LoadCredential=llm-key:/run/keys/chat\n" in facts["units"]["llama-cpp.service"]
    assert "LoadCredential=llm-key:/run/keys/chat\n" in facts["units"]["llama-cpp-watchdog.service"]


def test_the_generators_script_makes_a_new_key_that_is_one(flakes: Flakes, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC)
    script = flakes.eval(
        write_flake(tmp_path / "spec.toml", tmp_path / "out"),
        "nixosConfigurations.m.config.clan.core.vars.generators.llm-key-chat.script",
    )
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH; install it")
    keys = set()
    for _ in range(2):
        subprocess.run(["bash", "-euc", script], check=True, env={"out": str(tmp_path), "PATH": os.environ["PATH"]})
        keys.add((tmp_path / "api-key").read_text())
        assert with_keys("sh", str(tmp_path / "api-key"), "--", "true").returncode == 0
    assert len(keys) == 2


def test_systemd_hands_the_native_engine_its_key(machine: dict[str, Any]) -> None:
    unit = machine["units"]["llama-cpp.service"]
    assert "LoadCredential=api-key:" in unit
    path = "/run/credentials/llama-cpp.service/api-key"
    assert f'"{path}" "--" ' in unit
    assert f'"--api-key-file" "{path}"' in unit


def test_the_container_engine_is_told_where_the_key_lies_and_never_the_key(machine: dict[str, Any]) -> None:
    path = "/run/credentials/vllm.service/api-key"
    assert "LoadCredential=api-key:" in machine["units"]["vllm.service"]
    assert machine["entrypoint"] == "/bin/sh"
    assert machine["cmd"][:5] == ["/run/llmflake/with-keys.sh", f"VLLM_API_KEY={path}", "--", "vllm", "serve"]
    assert f"{path}:{path}:ro" in machine["volumes"]
    assert any(volume.endswith("-with-keys.sh:/run/llmflake/with-keys.sh:ro") for volume in machine["volumes"])
    assert not [name for name in machine["environment"] if "KEY" in name]


def test_the_firewall_opens_on_the_named_interface_alone(machine: dict[str, Any]) -> None:
    assert {name: ports for name, ports in machine["interfaces"].items() if ports} == {"tailscale0": [8080]}


THEIRS = """{
  inputs.nixpkgs.url = "nixpkgs";
  inputs.llm-deploy.url = "path:/llm-deploy";
  inputs.llm-deploy.inputs.nixpkgs.follows = "nixpkgs";
  outputs = inputs: { nixosConfigurations.theirs = inputs.nixpkgs.lib.nixosSystem { modules = [
    inputs.llm-deploy.nixosModules.m
    { nixpkgs.hostPlatform = "x86_64-linux"; boot.loader.grub.device = "nodev"; %s }
    { fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; }; }
  ]; }; };
}"""


def theirs(flakes: Flakes, folder: Path, more: str) -> dict[str, Any]:
    """Evaluate the drop-in in a flake that knows nothing of clan."""
    (folder / "spec.toml").write_text(SPEC)
    deploy = write_flake(folder / "spec.toml", folder / "out")
    (folder / "flake.nix").write_text(THEIRS % more)
    apply = """machine: { units = builtins.mapAttrs (_: unit: unit.text) machine.config.systemd.units;
      toplevel = machine.config.system.build.toplevel.drvPath; }"""
    facts: dict[str, Any] = flakes.eval(
        folder, "nixosConfigurations.theirs", apply, nixpkgs=flakes.stores["nixpkgs"], llm_deploy=deploy
    )
    return facts


def test_outside_a_clan_a_key_must_be_a_file(flakes: Flakes, tmp_path: Path) -> None:
    with pytest.raises(NixError, match="no clan makes keys here; name a file"):
        theirs(flakes, tmp_path, "")


def test_outside_a_clan_the_file_is_handed_over(flakes: Flakes, tmp_path: Path) -> None:
    files = "".join(f'llmflake.servers.{name}.apiKeyFile = "/run/keys/{name}"; ' for name in ("batch", "chat"))
    units = theirs(flakes, tmp_path, files)["units"]
    assert "LoadCredential=api-key:/run/keys/chat" in units["llama-cpp.service"]
    assert "LoadCredential=api-key:/run/keys/batch" in units["vllm.service"]


def test_a_key_in_the_store_is_refused(flakes: Flakes, tmp_path: Path) -> None:
    files = 'llmflake.servers.batch.apiKeyFile = "/nix/store/x"; llmflake.servers.chat.apiKeyFile = "/k";'
    with pytest.raises(NixError, match="is in the Nix store, which everybody can read"):
        theirs(flakes, tmp_path, files)
