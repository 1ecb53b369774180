"""Keys and gateway under a real systemd: the rendered units, hardening and all, in a booted Debian."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import gateway, llama
from tests.conftest import write_flake
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes, Nix

MACHINE = ROOT / ".machine" / "debian"
NEED_MACHINE = "boots a machine, which takes a minute; run `make test-systemd` as root"
SPEC = """
clan.name = "home"
machines.m.hardware = { accelerator = "cpu", memory_mib = 16384 }
models.g = { repository = "a/b", revision = "COMMIT", format = "gguf", file = "a.gguf", served_name = "smollm2" }
gateways.front = { machine = "m", host = "llm.test", clients = ["ann"] }
[services.chat]
engine = "llamacpp"
gpu = false
machines = ["m"]
model = "g"
api_key = true
expose = ["gateway"]
llamacpp = { ctx_size = 2048 }
""".replace("COMMIT", "0" * 40)
FACTS = """machine: let c = machine.config; in {
  units = builtins.mapAttrs (_: unit: unit.text) { inherit (c.systemd.units) "llama-cpp.service" "litellm.service"
    "traefik.service" "llm-model-g.service"; };
  litellm = c.services.litellm.settings;
  static = c.services.traefik.staticConfigOptions;
  dynamic = c.services.traefik.dynamicConfigOptions;
}"""
KEYS = {"api-key": "e" * 64, "client-ann": "a" * 64}
# The programs of this machine, where the units name those of a Nix store that nobody built.
PROGRAMS = {
    r"/nix/store/[^\"\s]+/bin/bash": "/bin/bash",
    r"/nix/store/[^\"\s]+-with-keys\.sh": "/llmflake/with-keys.sh",
    r"/nix/store/[^\"\s]+/bin/llama-server": "/llmflake/llama-server",
    r"/nix/store/[^\"\s]+/bin/litellm": "/llmflake/litellm",
    r"/nix/store/[^\"\s]+/bin/traefik": "/opt/gateway/bin/traefik",
    r"/nix/store/[^\"\s]+-config\.yaml": "/llmflake/config.yaml",
    r"/nix/store/[^\"\s]+-config\.toml": "/llmflake/static.toml",
}


def run_here(name: str, text: str) -> str:
    """Let a rendered unit run programs that are there, with keys that are there."""
    text = re.sub(r"(?m)^ExecStart(Pre|Post)=.*\n", "", text)
    if name.startswith("llm-model"):
        text = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", text)
    for pattern, replacement in PROGRAMS.items():
        text = re.sub(pattern, replacement, text)
    text = re.sub(r'(?m)^Environment="(PATH|LOCALE_ARCHIVE|TZDIR|CUSTOM_TIKTOKEN_CACHE_DIR)=.*\n', "", text)
    keys = {"backend-chat": "api-key", "llm-key": "api-key"}
    text = re.sub(
        r"(?m)^LoadCredential=([^:]+):.*$",
        lambda found: f"LoadCredential={found[1]}:/llmflake/keys/{keys.get(found[1], found[1])}",
        text,
    )
    assert "/nix/store" not in text, text
    return text


@pytest.fixture(scope="module")
def seen(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Boot the machine once, let the driver do everything in it, and return what it wrote down."""
    if os.environ.get("LLMFLAKE_BOOT") != "1" or not MACHINE.with_suffix(".ready").exists():
        pytest.skip(NEED_MACHINE)
    if llama.programs() is None or not gateway.is_there():
        pytest.skip(f"{llama.NEED_LLAMA}; {gateway.NEED_GATEWAY}")
    folder = tmp_path_factory.mktemp("machine")
    (folder / "spec.toml").write_text(SPEC)
    facts = flakes.eval(write_flake(folder / "spec.toml", folder / "flake"), "nixosConfigurations.m", FACTS)
    shared = folder / "llmflake"
    prepare(shared, facts)
    boot(shared, folder)
    found: dict[str, Any] = json.loads((shared / "seen.json").read_text())
    return found


def prepare(shared: Path, facts: dict[str, Any]) -> None:
    """Lay units, configuration, keys, programs and the driver where the machine finds them."""
    (shared / "units").mkdir(parents=True)
    (shared / "keys").mkdir()
    for name, text in facts["units"].items():
        (shared / "units" / name).write_text(run_here(name, text))
    for name, key in KEYS.items():
        (shared / "keys" / name).write_text(key + "\n")
    gateway.write_traefik(shared, facts, "/llmflake")
    (shared / "config.yaml").write_text(json.dumps(facts["litellm"]))
    module = facts["litellm"]["general_settings"]["custom_auth"].split(".")[0]
    shutil.copytree(ROOT / "nix" / "programs" / "gateway", shared / module)
    shutil.copy(ROOT / "nix" / "programs" / "with-keys.sh", shared)
    shutil.copy(ROOT / "tests" / "gateway_driver.py", shared)
    server = (ROOT / ".llama" / "llama-server").read_text().replace(f"{ROOT}/.llama", "/opt/llama")
    (shared / "llama-server").write_text(server)
    (shared / "litellm").write_text(
        "#!/bin/sh\nexport PYTHONHOME=/opt/python LD_LIBRARY_PATH=/opt/python/lib\n"
        "PYTHONPATH=$(echo /opt/gateway/lib/python3.*/site-packages)\n"
        'export PYTHONPATH\nexec /opt/python/bin/python3 /opt/gateway/bin/litellm "$@"\n'
    )
    (shared / "driver.service").write_text(
        "[Unit]\nAfter=multi-user.target\n[Service]\nType=exec\n"
        "ExecStart=/usr/bin/python3 /llmflake/gateway_driver.py /llmflake/seen.json\n"
    )
    for entry in shared.rglob("*"):
        entry.chmod(0o755 if entry.is_dir() or entry.name in {"llama-server", "litellm"} else 0o644)
    for entry in (shared / "keys").iterdir():
        entry.chmod(0o400)
    shared.chmod(0o755)


def boot(shared: Path, folder: Path) -> None:
    """Boot the folder with systemd-nspawn, on a cgroup tree of its own, until it powers itself off."""
    python = (ROOT / ".gateway" / "bin" / "python").resolve().parent.parent
    binds = {
        python: "/opt/python",
        (ROOT / ".gateway").resolve(): "/opt/gateway",
        (ROOT / ".llama").resolve(): "/opt/llama",
        shared / "driver.service": "/etc/systemd/system/driver.service",
        **{path: f"/etc/systemd/system/{path.name}" for path in (shared / "units").iterdir()},
    }
    spawn = [
        "systemd-nspawn",
        *("--quiet", "--directory", str(MACHINE.resolve()), "--volatile=overlay", "--register=no", "--keep-unit"),
        *("--private-network", "--console=pipe", "--machine=llmflake-gateway"),
        *("--bind", f"{shared}:/llmflake"),
        *(word for source, target in binds.items() for word in ("--bind-ro", f"{source}:{target}")),
        *("--boot", "--", "systemd.wants=driver.service"),
    ]
    enter = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    with (folder / "boot.log").open("w") as log:
        subprocess.run(
            ["unshare", "--mount", "--cgroup", "sh", "-c", enter, "sh", *spawn],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=600,
            check=False,
        )
    assert (shared / "seen.json").exists(), (folder / "boot.log").read_text()


def test_every_unit_runs_under_its_hardening(seen: dict[str, Any]) -> None:
    assert seen.get("error") is None, seen
    assert seen["states"] == dict.fromkeys(("llama-cpp", "litellm", "traefik"), "active"), seen["logs"]
    assert seen["engine"] is True, seen["logs"]
    assert seen["gateway"] is True, seen["logs"]


def test_a_client_with_a_key_is_answered_and_nobody_else(seen: dict[str, Any]) -> None:
    assert [seen[f"chat-{name}"][0] for name in ("none", "wrong", "right")] == [401, 401, 200]
    assert json.loads(seen["chat-right"][1])["choices"][0]["message"]["content"]
    assert [seen[f"engine-{name}"][0] for name in ("none", "right")] == [401, 200]


def test_no_key_is_in_an_argument_a_units_settings_or_the_journal(seen: dict[str, Any]) -> None:
    assert seen["gateway"] is True
    assert [name for name, holders in seen["holders"].items() if holders["cmdline"]] == []
    assert seen["shown"] == []
    assert seen["logged"] == []


def test_a_key_is_in_the_environment_of_the_gateway_that_uses_it_and_of_nobody_else(seen: dict[str, Any]) -> None:
    assert set(seen["holders"]["api-key"]["environ"]) == {"litellm.service"}
    assert seen["holders"]["client-ann"]["environ"] == []


def test_an_engine_whose_key_is_gone_does_not_open(seen: dict[str, Any]) -> None:
    status, health, log = seen["emptied"]
    assert status == "ExecMainStatus=78"
    assert health == 0
    assert "holds no key" in log


def test_a_container_has_its_key_and_the_container_engine_never_sees_it(nix: Nix, tmp_path: Path) -> None:
    """Real podman, told what the module tells it: entrypoint, mounts and command of nix/lib/keys.nix."""
    if os.environ.get("LLMFLAKE_BOOT") != "1" or not MACHINE.with_suffix(".ready").exists():
        pytest.skip(NEED_MACHINE)
    if shutil.which("podman") is None:
        pytest.skip("no podman on PATH; install it")
    key, file = "e" * 64, tmp_path / "api-key"
    file.write_text(key + "\n")
    container = nix.evaluate(
        f"""(import {ROOT}/nix/lib).keys.container {{ script = "{ROOT}/nix/programs/with-keys.sh"; unit = "vllm";
        keys = [ "VLLM_API_KEY=/run/credentials/vllm.service/api-key" ];
        command = [ "sh" "-c" "printenv VLLM_API_KEY; sleep 60" ]; }}"""
    )
    volumes = [
        volume.replace("/run/credentials/vllm.service/api-key:", f"{file}:", 1) for volume in container["volumes"]
    ]
    run = [
        *("podman", "run", "--detach", "--name=llmflake-key", "--replace", "--cgroups=disabled", "--network=host"),
        *("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", f"--entrypoint={container['entrypoint']}"),
        *(word for volume in volumes for word in ("-v", volume)),
        *("--rootfs", f"{MACHINE.resolve()}:O", *container["cmd"]),
    ]
    try:
        done = private_cgroups(*run)
        assert done.returncode == 0, done.stderr
        time.sleep(2)
        assert private_cgroups("podman", "logs", "llmflake-key").stdout.strip() == key
        inspected = private_cgroups("podman", "inspect", "llmflake-key").stdout
    finally:
        private_cgroups("podman", "rm", "--force", "--time=0", "llmflake-key")
    assert "with-keys.sh" in inspected
    assert key not in inspected


def private_cgroups(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a cgroup tree of its own, which podman looks for."""
    enter = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "--cgroup", "sh", "-c", enter, "sh", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
