"""Docker as the machine would use it: the real dockerd runs the generated container with a key, and keeps images."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from generator.machine import image, kept
from tests.conftest import write_flake
from tests.loopback import RegistryServer
from tests.nix_program import ROOT
from tests.test_machine_kept import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nix_program import Flakes

DOCKERD = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/sbin:/run/current-system/sw/bin")
# Beside the daemon, so that both are of the same making.
CLIENT = shutil.which("docker", path="/usr/bin:/run/current-system/sw/bin")
BUSYBOX = shutil.which("busybox")
NEED_DOCKER = (
    "no dockerd, docker, static busybox or unshare for root; as root: apt-get install docker.io busybox-static"
)
NAME, KEY = "someone/vllm", "k" * 64
SPEC = """
clan.name = "home"
machines.m.hardware = { accelerator = "cpu", memory_mib = 16384 }
[models.g]
repository = "a/b"
revision = "COMMIT"
format = "safetensors"
served_name = "tiny"
[services.llm]
engine = "vllm"
gpu = false
machines = ["m"]
model = "g"
api_key = true
container = { runtime = "docker", command = ["vllm", "serve"], image = "IMAGE" }
""".replace("COMMIT", "0" * 40)
FACTS = """machine: let c = machine.config; in {
  inherit (c.systemd.services.vllm) script;
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
}"""
# Stands for the engine: says whose key it has and who it is, and stays.
ENGINE = '#!/bin/sh\necho "engine $(id -u) $* ${#VLLM_API_KEY}"\nexec sleep 1000\n'


@dataclass
class Docker:
    """A dockerd with a storage and a mount namespace of its own, and the registry that it pulls from."""

    program: str
    server: RegistryServer
    pid: int

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [self.program, *arguments], check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.stdout.strip()

    def release(self, text: str) -> str:
        """Publish an image; return its reference by digest."""
        return f"{self.server.host}/{NAME}@{self.server.add_index(text, self.server.add_image(rootfs(text)))}"


def rootfs(text: str) -> bytes:
    """Return a layer with a shell, and an engine."""
    assert BUSYBOX is not None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        contents = {"bin/busybox": Path(BUSYBOX).read_bytes(), "bin/vllm": ENGINE.encode(), "release": text.encode()}
        for name, body in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(body), 0o755
            archive.addfile(info, io.BytesIO(body))
        for name in ("sh", "cat", "id", "sleep"):
            info = tarfile.TarInfo(f"bin/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(info)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    if None in {DOCKERD, CLIENT, BUSYBOX, shutil.which("unshare")} or os.geteuid() != 0:
        pytest.skip(NEED_DOCKER)
    server = RegistryServer(NAME)
    # What the unit would have: its credential, its directories, and the model's. None of it is on this machine.
    enter = (
        "mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mount -t tmpfs none /var/cache && "
        "mkdir -p /run/credentials/vllm.service /var/lib/vllm /var/cache/vllm /var/lib/llm/models/g && "
        f'(umask 377; echo {KEY} > /run/credentials/vllm.service/api-key) && exec "$@"'
    )
    with tempfile.TemporaryDirectory(prefix="llm-") as folder, server.running():
        here = Path(folder)
        daemon = [
            *(str(DOCKERD), "--data-root", f"{here}/data", "--exec-root", f"{here}/exec", "--pidfile", f"{here}/pid"),
            *("--host", f"unix://{here}/socket", "--storage-driver", "vfs", "--bridge=none", "--iptables=false"),
        ]
        program = here / "docker"
        program.write_text(f'#!/bin/sh\nexec {CLIENT} --host unix://{here}/socket "$@"\n')
        program.chmod(0o755)
        with (here / "log").open("w") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", enter, "sh", *daemon], stdout=log, stderr=subprocess.STDOUT
            )
        made = Docker(str(program), server, process.pid)
        until = time.monotonic() + 30
        while image.silently(made.program, "version") != 0:
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                pytest.skip(f"dockerd does not run here: {(here / 'log').read_text()[-300:]}")
            time.sleep(0.2)
        try:
            yield made
        finally:
            for container in made("ps", "--all", "--quiet").split():
                made("rm", "--force", container)
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def engine(docker: Docker, flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run what the unit runs, and wait until its engine is there; return what docker printed."""
    reference = docker.release("one")
    folder = tmp_path_factory.mktemp("flake")
    (folder / "spec.toml").write_text(SPEC.replace("IMAGE", reference))
    facts = flakes.eval(write_flake(folder / "spec.toml", folder / "flake"), "nixosConfigurations.m", FACTS)
    assert facts["failed"] == []
    assert image.main([docker.program, "vllm", reference]) == 0
    # Of its words, only the path of our own program and the log that needs a journal are others here.
    script = re.sub(r"/nix/store/\S+-with-keys\.sh", str(ROOT / "nix/programs/with-keys.sh"), facts["script"])
    script = script.replace("--log-driver=journald", "--log-driver=json-file").replace("exec docker ", "docker ")
    script = script.replace("  run \\", "  run --detach \\", 1)
    assert "/nix/store" not in script
    path = f"{Path(docker.program).parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", script], check=True, env={"PATH": path}, capture_output=True)
    until = time.monotonic() + 20
    while "engine" not in (said := docker("logs", "vllm")) and time.monotonic() < until:
        time.sleep(0.1)
    return said


def test_the_engine_in_docker_gets_its_key_and_its_arguments(engine: str) -> None:
    assert (
        engine
        == f"engine 0 serve /var/lib/llm/models/g --host 127.0.0.1 --port 8000 --served-model-name tiny {len(KEY)}"
    )


def test_docker_shows_the_key_to_nobody(docker: Docker, engine: str) -> None:
    assert engine
    shown = docker("inspect", "vllm")
    assert KEY not in shown
    assert KEY not in docker("logs", "vllm") + docker("ps", "--all", "--no-trunc") + docker(
        "history", "--no-trunc", current(docker)
    )
    environment = json.loads(shown)[0]["Config"]["Env"]
    assert [word for word in environment if "KEY" in word] == []
    command_line = Path(f"/proc/{json.loads(shown)[0]['State']['Pid']}/cmdline").read_text()
    assert "sleep" in command_line
    assert KEY not in command_line


def test_in_the_container_only_root_reads_the_credential(docker: Docker, engine: str) -> None:
    assert engine
    read = ("cat", "/run/credentials/vllm.service/api-key")
    assert docker("exec", "vllm", *read) == KEY
    assert "Permission denied" in docker("exec", "--user", "1000:1000", "vllm", *read, check=False)


def test_the_credential_is_not_to_be_changed_from_inside(docker: Docker, engine: str) -> None:
    assert engine
    write = ("sh", "-c", "echo x > /run/credentials/vllm.service/api-key")
    assert "Read-only file system" in docker("exec", "vllm", *write, check=False)


def current(docker: Docker) -> str:
    found = image.identity(docker.program, "localhost/llmflake/vllm:current")
    assert found is not None
    return found


def test_docker_keeps_the_accepted_image_and_what_a_container_has(docker: Docker, engine: str, tmp_path: Path) -> None:
    assert engine
    machine = Machine(tmp_path)
    machine.runtime = docker.program
    first = docker.release("one")
    accepted = current(docker)
    machine.everywhere({}, {"vllm": first})
    assert machine.run("--accept") == 0
    second, third = docker.release("two"), docker.release("three")
    for reference in (second, third):
        assert image.main([docker.program, "vllm", reference]) == 0
    machine.everywhere({}, {"vllm": third})
    newest = current(docker)
    assert machine.run("--remove") == 0
    docker("image", "prune", "--force")
    assert set(kept.ours(docker.program)) == {accepted, newest}
    assert machine.run("--accept") == 0
    assert machine.run("--remove") == 0
    assert image.identity(docker.program, accepted) == accepted, "a container has it"
    docker("rm", "--force", "vllm")
    assert machine.run("--remove") == 0
    assert set(kept.ours(docker.program)) == {newest}
    assert image.identity(docker.program, accepted) is None
