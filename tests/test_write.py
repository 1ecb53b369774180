"""Writing a directory: all or nothing, on a real file system, whatever happens in the middle."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from generator.emit.changes import Changes, plan_changes
from generator.emit.write import apply
from generator.errors import OutputError
from tests.directories import (
    AFTER,
    BEFORE,
    FILES,
    FOREIGN,
    MARK,
    NOBODY,
    STAGED,
    STRANGERS,
    contents,
    holding,
    mounted,
    problems,
    put,
    put_foreign,
    state,
)
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What is written


@settings(max_examples=100)
@given(FILES, FILES, STRANGERS)
def test_the_directory_holds_what_is_wanted_and_what_is_foreign(
    before: dict[str, str], after: dict[str, str], foreign: dict[str, bytes]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "out")
        put(root, before)
        put_foreign(root, foreign)
        put(root, after)
        found = contents(root) if root.exists() else {}
        assert found == holding(after, foreign)
        once = state(root)
        assert put(root, after).empty
        assert state(root) == once
        assert os.listdir(folder) == (["out"] if root.exists() else [])  # noqa: PTH208 - names


def test_a_root_is_made_with_its_parents(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b" / "out", AFTER)
    assert contents(tmp_path / "a" / "b" / "out") == holding(AFTER)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_relative_root_is_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("a/out"), AFTER)
    assert contents(tmp_path / "a/out") == holding(AFTER)
    monkeypatch.chdir(tmp_path / "a/out")
    put(Path(), BEFORE)
    assert contents(tmp_path / "a/out") == holding(BEFORE)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_files_can_be_read_by_those_whom_the_umask_lets(tmp_path: Path, mask: int) -> None:
    earlier = os.umask(mask)
    try:
        put(tmp_path / "out", AFTER)
    finally:
        os.umask(earlier)
    assert stat.S_IMODE((tmp_path / "out" / "flake.nix").stat().st_mode) == 0o644 & ~mask
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~mask


def test_an_unchanged_file_is_not_touched(root: Path) -> None:
    before = (root / "d/same.md").stat()
    put(root, AFTER)
    after = (root / "d/same.md").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_directory_that_is_left_empty_goes_and_one_with_foreign_files_stays(root: Path) -> None:
    put(root, {})
    assert contents(root) == holding(FOREIGN)


def test_line_ends_are_written_as_they_are(tmp_path: Path) -> None:
    put(tmp_path, {"a.nix": f"{MARK}a\r\nb\n"})
    assert (tmp_path / "a.nix").read_bytes() == f"{MARK}a\r\nb\n".encode()


@pytest.mark.parametrize("wanted", [BEFORE, AFTER])
def test_what_a_killed_run_left_is_removed_and_nothing_else(root: Path, wanted: dict[str, str]) -> None:
    put_foreign(root, {f"{STAGED}/new/a.nix": b"", ".llmflake-notes/a.txt": b"mine"})
    (root / ".llmflake-fedcba9876543210").write_text("a file")
    put(root, wanted)
    assert not (root / STAGED).exists()
    assert (root / ".llmflake-notes/a.txt").read_text() == "mine"
    assert (root / ".llmflake-fedcba9876543210").read_text() == "a file"


@pytest.mark.parametrize("empty", ["emptied", "emptied/deep"])
def test_a_directory_that_a_killed_run_had_emptied_goes(root: Path, empty: str) -> None:
    put_foreign(root, {f"{STAGED}/old/emptied/deep/x.json": b"", f"{STAGED}/old/d/y.nix": b""})
    (root / empty).mkdir(parents=True)
    put(root, AFTER)
    assert contents(root) == holding(AFTER, FOREIGN)


def test_what_a_killed_first_run_left_beside_the_root_is_removed(tmp_path: Path) -> None:
    put_foreign(tmp_path, {f"{STAGED}/new/out/flake.nix": b""})
    put(tmp_path / "out", AFTER)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# What fails

NO_LINKS = PermissionError(1, "Operation not permitted")


def inject(
    patch: pytest.MonkeyPatch, fails: Callable[[list[str]], bool], error: BaseException, *, after: bool
) -> list[str]:
    """Let a step fail, judged by the steps up to it, before or after it is done; return the list of the steps made."""
    steps: list[str] = []

    def failing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            steps.append(name)
            if not fails(steps):
                return real(*args, **kwargs)
            if after:
                real(*args, **kwargs)
            raise error

        return step

    for name in ("replace", "link", "mkdir", "open"):
        patch.setattr(os, name, failing(name, getattr(os, name)))
    return steps


def refuse(*_: object, **__: object) -> None:
    raise NO_LINKS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "Input/output error")], ids=["interrupt", "error"])
@pytest.mark.parametrize("case", ["create", "update", "update without hard links"])
def test_a_failure_at_any_step_leaves_everything_as_it_was(
    tmp_path: Path, case: str, error: BaseException, *, after: bool
) -> None:
    failed = set()
    for nth in count(1):
        parent = tmp_path / str(nth)
        parent.mkdir()
        if case != "create":
            put(parent / "out", BEFORE)
            put_foreign(parent / "out", FOREIGN)
        before = state(parent)
        changes = plan_changes(parent / "a/out" if case == "create" else parent / "out", AFTER)
        with pytest.MonkeyPatch.context() as patch:
            if case == "update without hard links":
                patch.setattr(os, "link", refuse)
            steps = inject(patch, lambda steps, nth=nth: len(steps) == nth, error, after=after)  # type: ignore[misc]
            try:
                apply(changes)
            except (KeyboardInterrupt, OutputError):
                assert state(parent) == before, f"{nth} of {steps}"
                failed.add(steps[nth - 1])
                continue
        # The failure was one that is coped with, or all steps were made before its turn.
        assert contents(changes.root) == (holding(AFTER) if case == "create" else holding(AFTER, FOREIGN))
        if len(steps) < nth:
            break
    assert failed >= {"replace", "mkdir", "open"}


def test_when_undoing_fails_too_the_earlier_files_are_kept_and_named(root: Path) -> None:
    changes = plan_changes(root, AFTER)
    with pytest.MonkeyPatch.context() as patch:
        inject(patch, lambda steps: steps[-1] == "replace" and steps.count("replace") > 3, OSError(5, ""), after=False)
        found = problems(lambda: apply(changes))
    [old] = root.glob(".llmflake-*/old")
    hint = f"the files of before are in {old}: copy them from there before the next run, which removes them"
    assert found == [f"{root}: writing failed, and so did undoing it: input/output error; {hint}"]
    assert (old / "flake.nix").read_text() == BEFORE["flake.nix"]


@pytest.mark.parametrize("below", ["", "new/out"], ids=["update", "create"])
def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, below: str) -> None:
    disk = tmp_path / "disk"
    with mounted(disk):
        put(disk, BEFORE)
        before = state(disk)
        large = {**AFTER, "z.md": MARK + "x" * 100_000}
        assert problems(lambda: put(disk / below, large)) == [
            f"{disk / below}: no space left on {disk}; nothing was changed; free some, or choose another directory"
        ]
        assert state(disk) == before
        put(disk / below, AFTER)


@pytest.mark.parametrize("below", ["", "new/out"], ids=["update", "create"])
def test_a_read_only_disk_is_refused(tmp_path: Path, below: str) -> None:
    disk = tmp_path / "disk"
    with mounted(disk) as remount:
        put(disk, BEFORE)
        before = state(disk)
        remount("ro")
        assert problems(lambda: put(disk / below, AFTER)) == [
            f"{disk}: the directory is not writable; nothing was changed; allow it, or choose another directory"
        ]
        assert state(disk) == before
        assert put(disk, BEFORE).empty


def test_a_file_larger_than_is_allowed_leaves_everything_as_it_was(root: Path) -> None:
    before = state(root)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        found = problems(lambda: put(root, {**AFTER, "z.md": MARK + "x" * 2000}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found == [f"{root}: cannot be written: file too large; nothing was changed; correct that, and start again"]
    assert state(root) == before


@contextmanager
def powerless(folder: Path) -> Iterator[None]:
    """Give a directory to a user whom permissions bind, and be that user."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("locked", ["", "d", "gone/deep"])
def test_a_directory_without_write_permission_leaves_everything_as_it_was(locked: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own directories let no other user in
        root = Path(folder)
        put(root, BEFORE)
        put_foreign(root, FOREIGN)
        (root / locked).chmod(0o555)
        before = state(root)
        with powerless(root):
            found = problems(lambda: put(root, AFTER))
        hint = "nothing was changed; allow it, or choose another directory"
        assert found == [f"{root / locked}: the directory is not writable; {hint}"]
        assert state(root) == before
        (root / locked).chmod(0o755)


def test_a_file_that_may_not_be_read_is_in_the_way() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root, {"a.nix": MARK})
        (root / "a.nix").chmod(0)
        with powerless(root):
            assert (
                "a.nix: cannot be read: permission denied" in problems(lambda: plan_changes(root, {"a.nix": MARK}))[0]
            )


# Several at once


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a directory as another run does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("below", ["", "new/out"], ids=["update", "create"])
def test_a_run_gives_up_when_another_does_not_end(root: Path, below: str) -> None:
    changes = plan_changes(root / below, AFTER)
    before = state(root)
    with held(root):
        assert problems(lambda: apply(changes, patience=0.1)) == [
            f"{root}: another run is writing here; wait until it has ended"
        ]
    assert state(root) == before


def test_a_run_waits_for_another(root: Path) -> None:
    run = threading.Thread(target=apply, args=(plan_changes(root, AFTER),))
    with held(root):
        run.start()
        run.join(0.2)
        assert run.is_alive()
        assert contents(root) == holding(BEFORE, FOREIGN)
    run.join(10)
    assert contents(root) == holding(AFTER, FOREIGN)


@pytest.mark.parametrize("below", ["out", "new/out"], ids=["update", "create"])
def test_runs_that_want_the_same_all_succeed(root: Path, below: str) -> None:
    target = root.parent / below
    failures: list[BaseException] = []

    def run(changes: Changes) -> None:
        try:
            apply(changes)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)

    runs = [threading.Thread(target=run, args=(plan_changes(target, AFTER),)) for _ in range(4)]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join(20)
    assert failures == []
    assert contents(target) == (holding(AFTER, FOREIGN) if below == "out" else holding(AFTER))


@pytest.mark.parametrize("edited", ["flake.nix", "d/z.nix", "d/old.nix"])
def test_a_file_that_changes_after_the_plan_is_not_written_over(root: Path, edited: str) -> None:
    changes = plan_changes(root, AFTER)
    (root / edited).write_text(MARK + "edited")
    before = state(root)
    assert problems(lambda: apply(changes)) == [f"{root}: files here have changed in the meantime; start again"]
    assert state(root) == before


def test_a_foreign_file_that_appears_after_the_plan_is_not_written_over(root: Path) -> None:
    changes = plan_changes(root, AFTER)
    (root / "d/z.nix").write_text("{ }")
    before = state(root)
    assert "this file is not llmflake's" in problems(lambda: apply(changes))[0]
    assert state(root) == before


ALTERNATE = """
import json, sys
from pathlib import Path
from generator.emit.changes import plan_changes
from generator.emit.write import apply
print("ready", flush=True)
while True:
    for files in json.loads(sys.argv[2]):
        apply(plan_changes(Path(sys.argv[1]), files))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_run_that_is_stopped_at_any_time(root: Path, number: signal.Signals) -> None:
    for delay in range(12):
        command = [sys.executable, "-c", ALTERNATE, str(root), json.dumps([AFTER, BEFORE])]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(0.02 + delay * 0.0037)
            run.send_signal(number)
        found = {path: data for path, data in contents(root).items() if not path.startswith(".llmflake-")}
        if number == signal.SIGINT:
            assert found in (holding(BEFORE, FOREIGN), holding(AFTER, FOREIGN))
        for path in BEFORE.keys() & AFTER.keys():
            assert found[path] in (BEFORE[path].encode(), AFTER[path].encode())
        wanted = (AFTER, BEFORE)[delay % 2]
        put(root, wanted)
        assert contents(root) == holding(wanted, FOREIGN)
