"""The command ``lock`` as a process: hub and registry on loopback, git and Nix for real, the file that it leaves."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.loopback import TOKEN, HubServer, RegistryServer, Reply, Repository, git_hash, sha256
from tests.nix_program import ROOT, Flakes
from tests.test_nix import git, put, repository, sri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.nix_program import Nix

__all__ = ["repository"]  # a fixture
COMMIT, NEWER = "a" * 40, "b" * 40
CONFIG, WEIGHTS = b'{"model_type": "gpt_oss"}', b"weights" * 999
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "original/model.bin": b"again"}
ARCHIVE = b"an archive"
SPEC = """[clan]
name = "t"

[machines.m]
hardware = {{ accelerator = "rocm", target = "gfx1100", memory_mib = 24576 }}

[models.tiny]
repository = "{repository}"
format = "safetensors"
size_gib = 0.1

[sources.code]
git = "{git}"

[sources.archive]
url = "{url}"

[services.llm]
engine = "vllm"
machines = ["m"]
model = "tiny"
accept = ["slow", "unproven"]
version = "0.28.0"
container.image = "{image}"

[services.chat]
engine = "llamacpp"
machines = ["m"]
model = "gguf"
source = "code"
conflicts = ["llm"]
accept = ["slow", "unproven"]

[models.gguf]
repository = "o/m"
revision = "{commit}"
include = ["config.json"]
file = "config.json"
format = "gguf"
size_gib = 0.1
"""


@dataclass
class World:
    """A spec in a folder, and the servers that it names."""

    spec: Path
    hub: HubServer
    registry: RegistryServer
    names: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        return self.spec.with_suffix(".lock.toml")

    def data(self) -> dict[str, Any]:
        return tomllib.loads(self.lock.read_text(encoding="utf-8"))

    def write(self, **names: str) -> None:
        self.names |= names
        self.spec.write_text(SPEC.format(**self.names), encoding="utf-8")

    def start(self, command: str, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        home = str(self.spec.parent)
        return subprocess.Popen(
            [sys.executable, "-m", "generator", command, self.spec.name, *arguments],
            cwd=home,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
                "PYTHONPATH": str(ROOT),
                "HOME": home,
                "HF_HOME": f"{home}/hf",
                "HF_ENDPOINT": self.hub.url,
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, command: str, *arguments: str) -> tuple[int, str, str]:
        process = self.start(command, *arguments)
        try:
            output, complaint = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            output, complaint = process.communicate()
        return process.returncode, output, complaint

    def locked(self, *arguments: str) -> str:
        code, output, complaint = self.run("lock", *arguments)
        assert code == 0, complaint
        return output


@pytest.fixture
def world(nix: Nix, tmp_path: Path, repository: Path) -> Iterator[World]:
    del nix  # only needed to be there
    large = frozenset({"model.safetensors"})
    hub = HubServer(
        o__m=Repository(COMMIT, dict(FILES), large), o__private=Repository(COMMIT, dict(FILES), large, private=True)
    )
    registry = RegistryServer("someone/vllm", token=True)
    registry.add_index("v1", registry.add_image(b"one"), registry.add_image(b"two", "arm64"))
    (tmp_path / "archive.tar.gz").write_bytes(ARCHIVE)
    (tmp_path / "home").mkdir()
    with hub.running(), registry.running():
        names = {
            "repository": "o/m",
            "commit": COMMIT,
            "git": repository.as_uri(),
            "url": (tmp_path / "archive.tar.gz").as_uri(),
            "image": f"{registry.host}/someone/vllm:v1",
        }
        made = World(tmp_path / "home" / "t.toml", hub, registry, names)
        made.write()
        yield made


def test_everything_that_the_spec_names_is_pinned(world: World, repository: Path) -> None:
    world.locked()
    data = world.data()
    assert data["models"]["tiny"] == {
        "repository": "o/m",
        "requested": "main",
        "revision": COMMIT,
        "include": [],
        "exclude": ["original/*", "metal/*"],
        "files": [
            {"path": "config.json", "size": len(CONFIG), "sha256": sha256(CONFIG)},
            {"path": "model.safetensors", "size": len(WEIGHTS), "sha256": sha256(WEIGHTS)},
        ],
    }
    assert data["images"] == {world.names["image"]: {"digest": world.registry.tags["v1"]}}
    assert data["sources"]["archive"] == {"url": world.names["url"], "hash": sri(ARCHIVE)}
    code = data["sources"]["code"]
    assert (code["requested"], code["revision"]) == ("HEAD", git(repository, "rev-parse", "HEAD"))


def test_a_second_run_changes_nothing_and_asks_nobody(world: World) -> None:
    world.locked()
    before = world.lock.read_bytes()
    world.hub.asked.clear()
    world.registry.asked.clear()
    assert world.locked() == "t.lock.toml: nothing to change\n"
    assert (world.lock.read_bytes(), world.hub.asked, world.registry.asked) == (before, [], [])


def test_two_runs_write_the_same_bytes(world: World) -> None:
    world.locked()
    before = world.lock.read_bytes()
    world.lock.unlink()
    world.locked()
    assert world.lock.read_bytes() == before


def test_what_moved_stays_pinned_until_it_is_to_be_renewed(world: World) -> None:
    world.locked()
    world.hub.repositories["o/m"] = Repository(NEWER, {"config.json": CONFIG}, refs=("main", COMMIT))
    assert "nothing to change" in world.locked()
    output = world.locked("--update", "tiny")
    assert output.startswith(f"~ models.tiny: {COMMIT[:12]}, 2 files, 0.0 GiB -> {NEWER[:12]}, 1 files, 0.0 GiB\n")
    assert world.data()["models"]["tiny"]["revision"] == NEWER


@pytest.mark.parametrize("name", ["llm", "image"])
def test_a_services_image_is_renewed_by_the_services_name_or_its_own(world: World, name: str) -> None:
    world.locked()
    old = world.registry.tags["v1"]
    new = world.registry.add_index("v1", world.registry.add_image(b"three"))
    output = world.locked("--update", world.names["image"] if name == "image" else name)
    assert f"{old[:19]} -> {new[:19]}" in output


def test_a_name_that_nothing_has_is_refused_with_what_was_meant(world: World) -> None:
    code, _, complaint = world.run("lock", "--update", "tinny")
    assert (code, world.lock.exists()) == (1, False)
    assert complaint == 't.toml: nothing here is named "tinny"; did you mean "tiny"?\n'


def test_an_entry_that_is_not_named_any_more_is_dropped(world: World) -> None:
    world.locked()
    world.write(image=world.names["image"].replace(":v1", f"@{world.registry.tags['v1']}"))
    output = world.locked()
    assert "- images." in output
    assert list(world.data()["images"]) == [world.names["image"]]


def test_the_check_says_whether_the_lock_covers_the_spec(world: World) -> None:
    code, _, complaint = world.run("lock", "--check")
    assert code == 1
    assert "t.toml:7:9: models.tiny: this model is not in the lock; run llmflake lock t.toml\n" in complaint
    assert complaint.count("is not in the lock") == 5
    assert not world.lock.exists()
    world.locked()
    code, output, _ = world.run("lock", "--check")
    assert (code, output) == (0, "ok: t.lock.toml covers t.toml\n")
    world.write(repository="o/other")
    code, _, complaint = world.run("lock", "--check")
    assert code == 1
    assert "models.tiny: the lock pins something else: o/m at main; run llmflake lock t.toml" in complaint


def test_generating_without_a_lock_names_the_command(world: World) -> None:
    code, _, complaint = world.run("generate", "-o", "out")
    assert code == 1
    assert "models.tiny: this model is not in the lock; run llmflake lock t.toml" in complaint
    assert not (world.spec.parent / "out").exists()


def test_a_lock_elsewhere_is_named(world: World) -> None:
    world.locked("--lock", "pins.toml")
    code, output, complaint = world.run("generate", "-o", "out", "--lock", "pins.toml")
    assert code == 0, complaint
    assert (world.spec.parent / "out/llmflake.lock.toml").read_bytes() == (world.spec.parent / "pins.toml").read_bytes()
    assert not world.lock.exists(), output


def test_offline_pins_what_needs_no_network_and_says_what_it_leaves_open(world: World) -> None:
    world.locked()
    world.write(repository="o/m", image=world.names["image"])
    lock = world.lock.read_text(encoding="utf-8")
    spec = world.spec.read_text(encoding="utf-8")
    world.spec.write_text(f'{spec}\n[models.more]\nrepository = "o/x"\nrevision = "{NEWER}"\nformat = "gguf"\n')
    world.hub.asked.clear()
    assert world.locked("--offline").startswith(f"+ models.more: {NEWER[:12]}, files to be resolved\n")
    assert world.data()["models"]["more"]["to_resolve"] is True
    assert lock.split("[models.tiny]")[1] in world.lock.read_text(encoding="utf-8"), "the others stay"
    assert world.hub.asked == []
    code, output, complaint = world.run("generate", "-o", "out")
    assert code == 0, complaint
    assert "note: models.more: the lock has its commit and not its files' hashes" in output


def test_renewing_one_entry_leaves_what_is_to_be_resolved(world: World) -> None:
    world.locked()
    spec = world.spec.read_text(encoding="utf-8")
    more = f'\n[models.more]\nrepository = "o/nothing"\nrevision = "{NEWER}"\nformat = "gguf"\n'
    world.spec.write_text(spec + more, encoding="utf-8")
    world.locked("--offline")
    world.locked("--update", "tiny")
    assert world.data()["models"]["more"]["to_resolve"] is True
    assert "no such repository" in world.run("lock")[2], "without a name, it is tried again"


def test_offline_refuses_what_only_a_network_tells(world: World) -> None:
    code, _, complaint = world.run("lock", "--offline")
    assert (code, world.lock.exists()) == (1, False)
    for name in ("tiny", "archive", "code", world.names["image"]):
        assert f"t.toml: {name}: this cannot be looked up without a network; leave out --offline" in complaint


def failures(world: World) -> dict[str, tuple[str, str]]:
    wrong = CONFIG.replace(b"gpt", b"tpg")
    return {
        "no network": ("HF_ENDPOINT=http://127.0.0.1:9", "127.0.0.1:9: no good answer within 0.5 s"),
        "unknown repository": ("repository=o/nothing", "the hub has no such repository, or it is private"),
        "private repository": ("repository=o/private", "for a private one set HF_TOKEN"),
        "wrong hash": (wrong.decode(), f"{git_hash(wrong)}, and the hub lists {git_hash(CONFIG)}"),
        "unknown image": (f"image={world.registry.host}/someone/vllm:v9", "the registry has no such image"),
        "unknown source": ("git=file:///nonexistent", "git-remote HEAD"),
    }


@pytest.mark.parametrize(
    "failure", ["no network", "unknown repository", "private repository", "wrong hash", "unknown image"]
)
def test_whatever_fails_the_old_lock_stays(world: World, failure: str) -> None:
    world.locked()
    before = world.lock.read_bytes()
    how, said = failures(world)[failure]
    if failure == "wrong hash":
        world.hub.faults["/resolve/"] = [Reply(200, how.encode())]
    elif how.startswith("HF_"):
        world.environment = dict([how.split("=")])
    else:
        world.write(**dict([how.split("=")]))
    code, _, complaint = world.run("lock", "--update", "tiny", "--timeout", "0.5")
    assert code == 1
    assert said in complaint
    assert world.lock.read_bytes() == before
    assert [path.name for path in world.spec.parent.glob(".*.lock.toml*")] == []


def test_a_token_opens_a_private_repository_and_is_written_nowhere(world: World) -> None:
    world.write(repository="o/private")
    world.environment = {"HF_TOKEN": TOKEN}
    output = world.locked()
    assert TOKEN not in output
    assert TOKEN not in world.lock.read_text(encoding="utf-8")


def test_interrupted_at_any_moment_the_old_lock_stays_whole(world: World) -> None:
    world.locked()
    before = world.lock.read_bytes()
    world.hub.repositories["o/m"] = Repository(NEWER, {"config.json": CONFIG}, refs=("main", COMMIT))
    for number, moment in ((signal.SIGINT, 0.4), (signal.SIGTERM, 0.8), (signal.SIGKILL, 1.2), (signal.SIGINT, 1.6)):
        world.hub.faults["/revision/"] = [Reply(503, headers={"Retry-After": "1"})] * 20
        process = world.start("lock", "--update", "tiny")
        time.sleep(moment)
        process.send_signal(number)
        process.communicate(timeout=20)
        assert process.returncode != 0
        assert world.lock.read_bytes() == before


def test_two_at_once_do_not_write_over_each_other(world: World) -> None:
    with world.spec.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, complaint = world.run("lock")
    assert (code, world.lock.exists()) == (1, False)
    assert complaint == "t.toml: another llmflake lock is at work on this spec; wait until it has ended\n"


def test_a_lock_that_changed_in_the_meantime_is_not_written_over(world: World) -> None:
    world.hub.faults["/revision/"] = [Reply(503, headers={"Retry-After": "2"})]
    process = world.start("lock")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not world.hub.asked:
        time.sleep(0.02)
    world.lock.write_text("# somebody else's\n", encoding="utf-8")
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 1
    assert complaint == "t.lock.toml: this lock has changed in the meantime; start again\n"
    assert world.lock.read_text(encoding="utf-8") == "# somebody else's\n"


@pytest.mark.parametrize("seen_by_people", [True, False])
def test_a_bar_is_shown_to_people_after_a_second(world: World, *, seen_by_people: bool) -> None:
    world.hub.faults["/revision/"] = [Reply(503, headers={"Retry-After": "3"})]
    ours, theirs = pty.openpty() if seen_by_people else os.pipe()
    process = world.start("lock", stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # a terminal whose other end is gone
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    process.communicate(timeout=30)
    assert process.returncode == 0, shown
    assert (b"%" in shown) is seen_by_people


def test_the_result_is_there_for_machines(world: World) -> None:
    data = json.loads(world.locked("--json"))
    assert {change["entry"] for change in data["changes"]} == {
        "models.gguf",
        "models.tiny",
        f"images.{world.names['image']}",
        "sources.archive",
        "sources.code",
    }


def test_image_hashes_are_those_of_the_archives_and_reach_the_flake(world: World) -> None:
    """The real nix-prefetch-docker and the real skopeo, through the command."""
    programs = world.spec.parent / "bin"
    programs.mkdir()
    for program in ("nix-prefetch-docker", "skopeo", "jq"):
        put(programs, program)
    world.environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    registries = world.spec.parent / ".config" / "containers" / "registries.conf"
    registries.parent.mkdir(parents=True)
    registries.write_text(f'[[registry]]\nlocation = "{world.registry.host}"\ninsecure = true\n', encoding="utf-8")
    world.locked("--image-hashes")
    hashes = world.data()["images"][world.names["image"]]["hashes"]
    name = f"{world.registry.host}/someone/vllm"
    reference = f"{name}@{world.registry.tags['v1']}"
    archive = world.spec.parent / "image.tar"
    copy = [*("skopeo", "--insecure-policy", "--override-os", "linux", "--override-arch", "amd64", "copy")]
    target = f"docker-archive:{archive}:{name}:pinned"
    subprocess.run(
        [*copy, f"docker://{reference}", target],
        check=True,
        capture_output=True,
        env={**os.environ, "HOME": str(world.spec.parent)},
    )
    assert hashes == {"amd64": sri(archive.read_bytes())}
    code, _, complaint = world.run("generate", "-o", "out")
    assert code == 0, complaint
    data = json.loads((world.spec.parent / "out" / "deployment.json").read_text(encoding="utf-8"))
    assert data["images"] == {reference: hashes}


def test_lock_generate_and_the_evaluated_machine_name_the_same(flakes: Flakes, world: World) -> None:
    """The round trip: what was pinned is what the machine downloads, pulls and builds."""
    world.locked()
    data = world.data()
    code, _, complaint = world.run("generate", "-o", "out")
    assert code == 0, complaint
    apply = """machine: let c = machine.config; in {
      image = c.virtualisation.oci-containers.containers.vllm.image;
      unit = c.systemd.units."llm-model-tiny.service".text;
      source = { inherit (c.llmflake.servers.chat.source) git revision hash; };
      start = c.systemd.units."llama-cpp.service".text;
    }"""
    facts = flakes.eval(world.spec.parent / "out", "nixosConfigurations.m", apply)
    assert facts["image"] == f"{world.registry.host}/someone/vllm@{world.registry.tags['v1']}"
    code_pin = data["sources"]["code"]
    assert facts["source"] == {"git": world.names["git"], "revision": code_pin["revision"], "hash": code_pin["hash"]}
    assert "-llama-cpp-0/bin/llama-server" in facts["start"], "built from that source, and not nixpkgs' own release"
    start = next(line for line in facts["unit"].splitlines() if line.startswith("ExecStart="))
    manifest = json.loads(open(start.split('"')[3], encoding="utf-8").read())  # noqa: PTH123, SIM115 - in the store
    pin = data["models"]["tiny"]
    assert manifest == {
        "repository": "o/m",
        "revision": COMMIT,
        "include": [],
        "exclude": pin["exclude"],
        "directory": "/var/lib/llm/models/tiny",
        "files": pin["files"],
    }
