"""The downloader of the machines, as a process of its own, from a hub on loopback: whole, resumed, refused."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from generator import resources
from generator.machine import directories, fetch, hub
from tests.loopback import TOKEN, HubServer, Reply, Repository, sha256
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "b" * 40
WEIGHTS = random.Random(1).randbytes(6 << 20)  # noqa: S311 - the same bytes in every run
CONFIG = b'{"model_type": "gpt_oss"}'
FILES = {
    "README.md": b"for people",
    "config.json": CONFIG,
    "model.safetensors": WEIGHTS,
    "original/model.bin": b"again",
}


@pytest.fixture
def server() -> Iterator[HubServer]:
    large = frozenset({"model.safetensors"})
    found = HubServer(
        o__m=Repository(COMMIT, dict(FILES), large), o__p=Repository(COMMIT, dict(FILES), large, private=True)
    )
    with found.running():
        yield found


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the programs as a generated flake has them; return the folder that Python is to look in."""
    root = tmp_path_factory.mktemp("flake")
    for path, text in resources.static_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root / "nix" / "programs"


class Machine:
    """A machine's directory for a model, and how its unit starts the downloader."""

    def __init__(self, folder: Path, server: HubServer, shipped: Path) -> None:
        self.directory = folder / "model"
        self.directory.mkdir()
        self.manifest = folder / "manifest.json"
        self.server, self.shipped = server, shipped
        self.program = ["-m", "generator.machine.fetch"]
        self.environment = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "cache")}

    def want(self, files: dict[str, bytes] | None, **more: Any) -> None:  # noqa: ANN401 - of the manifest
        pins = files and [{"path": path, "size": len(body), "sha256": sha256(body)} for path, body in files.items()]
        manifest = {"repository": "o/m", "revision": COMMIT, "include": [], "exclude": ["original/*"], "files": pins}
        self.manifest.write_text(json.dumps({**manifest, "directory": str(self.directory), **more}), encoding="utf-8")

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", *self.program, str(self.manifest)],
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
                "PYTHONPATH": str(self.shipped),
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                **self.environment,
            },
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self) -> tuple[int, str]:
        process = self.start()
        try:
            output, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        return process.returncode, output

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.directory).as_posix(): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file() and not path.relative_to(self.directory).parts[0].startswith(".llmflake-")
        }


@pytest.fixture
def machine(tmp_path: Path, server: HubServer, shipped: Path) -> Machine:
    return Machine(tmp_path, server, shipped)


WANTED = {"config.json": CONFIG, "model.safetensors": WEIGHTS}


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "to be resolved"])
def test_exactly_the_wanted_files_are_there_then(machine: Machine, *, pinned: bool) -> None:
    machine.want(WANTED if pinned else None)
    code, output = machine.run()
    assert (code, machine.files()) == (0, WANTED), output
    assert output.endswith(f"o/m at {COMMIT}: 2 files, 0.01 GiB, all right\n")


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "to be resolved"])
def test_a_second_run_asks_nobody_and_changes_nothing(machine: Machine, *, pinned: bool) -> None:
    machine.want(WANTED if pinned else None)
    machine.run()
    times = {path: path.stat().st_mtime_ns for path in machine.directory.rglob("*")}
    machine.server.asked.clear()
    code, _ = machine.run()
    assert (code, machine.server.asked) == (0, [])
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_killed_in_the_middle_it_resumes_and_finishes(machine: Machine) -> None:
    machine.want(WANTED)
    machine.server.pause = 0.05
    process = machine.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and size_of_halves(machine.directory) < len(WEIGHTS) // 4:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    half = size_of_halves(machine.directory)
    assert 0 < half < len(WEIGHTS), "it was not in the middle"
    assert "model.safetensors" not in machine.files(), "what is half there has another name"
    machine.server.pause = 0.0
    machine.server.asked.clear()
    code, output = machine.run()
    assert (code, machine.files()) == (0, WANTED), output
    ranges = [asked.headers.get("range", "") for asked in machine.server.asked if "/cdn/" in asked.path]
    assert f"bytes={half}-" in "".join(ranges), "it began anew"


def size_of_halves(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob(".llmflake-parts/sha256-*"))


def test_a_file_that_somebody_damaged_is_brought_again(machine: Machine) -> None:
    machine.want(WANTED)
    machine.run()
    (machine.directory / "model.safetensors").write_bytes(b"x" * len(WEIGHTS))
    code, output = machine.run()
    assert (code, machine.files()) == (0, WANTED), output
    assert "1 of 1: model.safetensors" in output


def test_files_that_were_put_there_by_hand_are_taken_over(machine: Machine) -> None:
    machine.want(WANTED)
    for path, body in WANTED.items():
        (machine.directory / path).write_bytes(body)
    code, _ = machine.run()
    assert (code, machine.server.asked) == (0, [])


def test_a_file_that_is_not_what_was_pinned_is_refused_with_both_hashes(machine: Machine) -> None:
    other = bytes(len(WEIGHTS))
    machine.want({"model.safetensors": other})
    code, output = machine.run()
    assert code == os.EX_DATAERR
    assert f"has sha256 {sha256(WEIGHTS)}, and {sha256(other)} is wanted" in output
    assert machine.files() == {}, "nothing that is wrong stays"


def test_a_small_file_is_held_against_the_hubs_own_hash(machine: Machine) -> None:
    machine.want(None, include=["config.json"])
    wrong = CONFIG.replace(b"gpt", b"tpg")
    machine.server.faults["/resolve/"] = [Reply(200, wrong), Reply(200, wrong)]
    code, output = machine.run()
    assert code == os.EX_DATAERR, output
    assert "has git" in output


def test_a_new_revision_replaces_the_files_of_the_old_one(machine: Machine) -> None:
    machine.want(None)
    (machine.directory / "mine.txt").write_text("mine", encoding="utf-8")
    machine.run()
    newer = "c" * 40
    files = {"model.safetensors": WEIGHTS, "generation.json": b"{}"}
    machine.server.repositories["o/m"] = Repository(newer, files, frozenset({"model.safetensors"}))
    machine.want(None, revision=newer)
    code, output = machine.run()
    assert (code, machine.files()) == (0, {**files, "mine.txt": b"mine"}), output
    assert "config.json is not wanted any more; it is kept, see llmflake-kept" in output


def test_the_way_back_to_the_revision_of_before_needs_no_hub(machine: Machine) -> None:
    machine.want(WANTED)
    machine.run()
    newer = {"config.json": b"{}", "model.safetensors": WEIGHTS[::-1]}
    machine.server.repositories["o/m"] = Repository("c" * 40, newer, frozenset({"model.safetensors"}))
    machine.want(newer, revision="c" * 40)
    assert machine.run()[0] == 0
    assert machine.files() == newer
    machine.server.asked.clear()
    machine.want(WANTED)
    code, output = machine.run()
    assert (code, machine.files(), machine.server.asked) == (0, WANTED, []), output
    machine.want(newer, revision="c" * 40)
    code, output = machine.run()
    assert (code, machine.files(), machine.server.asked) == (0, newer, []), output


def test_what_is_kept_is_used_only_while_it_is_right(machine: Machine) -> None:
    machine.want({"model.safetensors": WEIGHTS})
    machine.run()
    newer = {"model.safetensors": WEIGHTS[::-1]}
    machine.server.repositories["o/m"] = Repository("c" * 40, newer, frozenset(newer))
    machine.want(newer, revision="c" * 40)
    machine.run()
    kept = machine.directory / ".llmflake-kept" / f"sha256-{sha256(WEIGHTS)}"
    kept.write_bytes(bytes(len(WEIGHTS)))
    machine.server.repositories["o/m"] = Repository(COMMIT, FILES, frozenset({"model.safetensors"}))
    machine.want({"model.safetensors": WEIGHTS})
    code, output = machine.run()
    assert (code, machine.files()) == (0, {"model.safetensors": WEIGHTS}), output
    assert [asked for asked in machine.server.asked if "/cdn/" in asked.path]


def test_a_file_that_takes_the_place_of_a_kept_one_leaves_no_copy(machine: Machine) -> None:
    """The bytes of a revision are there once, in use or kept."""
    machine.want(WANTED)
    machine.run()
    machine.want({"model.safetensors": WEIGHTS})
    machine.run()
    kept = machine.directory / ".llmflake-kept"
    assert [path.name for path in kept.iterdir()] == [f"sha256-{sha256(CONFIG)}"]
    machine.want(WANTED)
    machine.run()
    assert not kept.exists()


def test_a_directory_is_entered_where_llmflake_kept_looks(machine: Machine, tmp_path: Path) -> None:
    machine.environment["STATE_DIRECTORY"] = str(tmp_path)
    machine.want(WANTED)
    machine.run()
    machine.run()
    assert list(directories.registered(tmp_path / "directories")) == [machine.directory]


def test_without_room_nothing_is_downloaded(machine: Machine) -> None:
    machine.want(WANTED)
    manifest = json.loads(machine.manifest.read_text(encoding="utf-8"))
    manifest["files"][0]["size"] = 1 << 60
    machine.manifest.write_text(json.dumps(manifest), encoding="utf-8")
    code, output = machine.run()
    assert code == os.EX_CANTCREAT
    assert "GiB are still to come, and" in output
    assert [asked.path for asked in machine.server.asked if "resolve" in asked.path] == []


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/outside"])
def test_a_path_that_leaves_the_directory_is_refused(machine: Machine, path: str) -> None:
    machine.want({path: CONFIG})
    code, output = machine.run()
    assert code == os.EX_DATAERR
    assert "nothing was downloaded" in output


def test_a_revision_that_is_gone_is_told(machine: Machine) -> None:
    machine.want(None, revision="d" * 40)
    code, output = machine.run()
    assert code == os.EX_UNAVAILABLE
    assert "the hub has it no more" in output


def test_a_private_repository_needs_a_token(machine: Machine) -> None:
    machine.want(WANTED, repository="o/p")
    code, output = machine.run()
    assert code == os.EX_UNAVAILABLE
    assert "private: correct it, or put a token where llmflake.hubTokenFile says" in output


def test_a_token_comes_from_its_file_and_is_shown_to_the_hub_alone(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    machine.environment["HF_TOKEN_PATH"] = str(tmp_path / "token")
    machine.want(WANTED, repository="o/p")
    code, output = machine.run()
    assert (code, machine.files()) == (0, WANTED), output
    assert TOKEN not in output
    assert [
        asked.path for asked in machine.server.asked if "/cdn/" in asked.path and "authorization" in asked.headers
    ] == []
    assert TOKEN not in "".join(path.read_text(errors="ignore") for path in machine.directory.rglob("*.json"))


def test_while_the_hub_is_away_it_waits_and_tries_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = iter([ConnectionError("network is unreachable"), TimeoutError("timed out")])

    def attempt() -> str:
        error = next(answers, None)
        if error is not None:
            raise error
        return "there"

    assert hub.patiently((0.0, 0.0), attempt) == "there"
    assert capsys.readouterr().out.count("trying again in 0 s") == 2


def test_a_hub_that_is_overloaded_is_tried_again(machine: Machine) -> None:
    machine.want(WANTED)
    machine.server.faults["config.json"] = [Reply(503, headers={"Retry-After": "0"})]
    code, output = machine.run()
    assert (code, machine.files()) == (0, WANTED), output


def test_a_body_that_was_cut_short_is_resumed(machine: Machine) -> None:
    machine.want(WANTED)
    machine.server.faults["/cdn/"] = [Reply(206, WEIGHTS, cut=1 << 20)]
    code, output = machine.run()
    assert (code, machine.files()) == (0, WANTED), output
    assert [asked.headers["range"] for asked in machine.server.asked if "/cdn/" in asked.path] == [
        f"bytes=0-{len(WEIGHTS) - 1}",
        f"bytes={1 << 20}-{len(WEIGHTS) - 1}",
    ]


def test_a_storage_that_knows_no_ranges_is_read_from_the_beginning(machine: Machine) -> None:
    machine.want(WANTED)
    machine.server.faults["/cdn/"] = [Reply(206, WEIGHTS, cut=1 << 20), Reply(200, WEIGHTS)]
    code, output = machine.run()
    assert (code, machine.files()) == (0, WANTED), output


def test_a_large_file_comes_in_ranges(machine: Machine) -> None:
    machine.want({"model.safetensors": WEIGHTS})
    machine.program = [
        "-c",
        "import sys; from generator.machine import fetch, hub; hub.RANGE = 1 << 20; fetch.main(sys.argv[1:])",
    ]
    _, output = machine.run()
    assert machine.files() == {"model.safetensors": WEIGHTS}, output
    assert len([asked for asked in machine.server.asked if "/cdn/" in asked.path]) == 6


def test_a_directory_that_is_not_there_is_told(machine: Machine) -> None:
    machine.want(WANTED, directory="/nonexistent/model")
    code, output = machine.run()
    assert (code, output) == (os.EX_CANTCREAT, "/nonexistent/model: No such file or directory\n")


def locked(directory: Path) -> int:
    """Return a descriptor of a directory that is locked, as llmflake-kept does it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def waits(process: subprocess.Popen[str], descriptor: int) -> bool:
    """Return whether a process comes to wait for a lock."""
    inode = os.fstat(descriptor).st_ino
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        waiting = [
            line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines() if "->" in line
        ]
        if any(line[6].endswith(f":{inode}") for line in waiting):
            return True
        time.sleep(0.01)
    return False


def test_a_directory_that_was_made_anew_while_it_waited_is_the_one_that_it_holds(machine: Machine) -> None:
    machine.want(WANTED)
    first = locked(machine.directory)
    process = machine.start()
    assert waits(process, first)
    machine.directory.rename(machine.directory.with_name("away"))
    machine.directory.mkdir()
    second = locked(machine.directory)
    os.close(first)
    assert waits(process, second)
    os.close(second)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, machine.files()) == (0, WANTED), output


def test_a_directory_that_went_while_it_waited_lets_the_unit_start_again(machine: Machine) -> None:
    """The unit repeats it: EX_TEMPFAIL is none of nix/lib/weights.nix's RestartPreventExitStatus."""
    machine.want(WANTED)
    held = locked(machine.directory)
    process = machine.start()
    assert waits(process, held)
    machine.directory.rmdir()
    os.close(held)
    output, _ = process.communicate(timeout=30)
    assert output == f"{machine.directory} was removed while this waited for it; starting again\n"
    assert process.returncode == os.EX_TEMPFAIL
    rules = (ROOT / "nix/lib/weights.nix").read_text(encoding="utf-8")
    assert str(os.EX_TEMPFAIL) not in rules.partition("RestartPreventExitStatus = [")[2].partition("]")[0].split()


def test_without_a_manifest_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch.main([]) == os.EX_USAGE
    assert "usage:" in capsys.readouterr().out
