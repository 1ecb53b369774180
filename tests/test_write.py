"""Writing a directory: what is refused, what is shown, and that it is all or nothing on a real file system."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
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
from hypothesis import strategies as st

from generator.emit.changes import Changes, plan_changes, read_existing, unified_diff
from generator.emit.write import apply
from generator.errors import OutputError
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MARK = "# Managed by llmflake\n"
STAGED = ".llmflake-0123456789abcdef"
NOBODY = 65534
BEFORE = {"flake.nix": MARK + "1\n", "d/old.nix": MARK, "d/same.md": MARK, "gone/deep/x.json": MARK}
AFTER = {"flake.nix": MARK + "2\n", "d/same.md": MARK, "new/deep/y.toml": MARK, "d/z.nix": MARK}
FOREIGN = {"hardware.nix": b"{ }\n", "d/local.nix": b"{ }\n", "d/disk.img": b"\0Managed by llmflake"}


def put(root: Path, files: Mapping[str, str]) -> Changes:
    changes = plan_changes(root, files)
    apply(changes)
    return changes


def put_foreign(root: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def contents(root: Path) -> dict[str, bytes | None]:
    """Return every file's bytes below a directory; None for directories."""
    return {path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes() for path in root.rglob("*")}


def holding(*many: Mapping[str, str | bytes]) -> dict[str, bytes | None]:
    """Return what ``contents`` says of a directory with just these files."""
    found: dict[str, bytes | None] = {}
    for files in many:
        for path, text in files.items():
            found.update(dict.fromkeys((folder.as_posix() for folder in list(Path(path).parents)[:-1]), None))
            found[path] = text.encode() if isinstance(text, str) else text
    return found


def state(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return all that a failed run must leave as it was: bytes, modes, identity and times of files."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        same = () if path.is_dir() else (path.read_bytes(), status.st_ino, status.st_mtime_ns)
        found[path.relative_to(root).as_posix()] = (status.st_mode, *same)
    return found


def problems(run: Callable[[], object]) -> list[str]:
    with pytest.raises(OutputError) as caught:
        run()
    return [str(problem) for problem in sorted(caught.value.problems)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a directory with the files of BEFORE and of other people."""
    root = tmp_path / "out"
    put(root, BEFORE)
    put_foreign(root, FOREIGN)
    return root


# What is planned


def test_each_file_is_created_updated_unchanged_or_deleted(root: Path) -> None:
    changes = plan_changes(root, AFTER)
    assert changes.created == ("d/z.nix", "new/deep/y.toml")
    assert changes.updated == ("flake.nix",)
    assert changes.unchanged == ("d/same.md",)
    assert changes.deleted == ("d/old.nix", "gone/deep/x.json")
    assert not changes.empty


def test_planning_writes_nothing(root: Path) -> None:
    before = state(root)
    plan_changes(root, AFTER)
    plan_changes(root.parent / "other", AFTER)
    assert state(root) == before
    assert not (root.parent / "other").exists()


def test_every_foreign_file_in_the_way_is_named_at_once(root: Path) -> None:
    before = state(root)
    found = problems(lambda: plan_changes(root, {**AFTER, "hardware.nix": MARK, "d/local.nix": MARK}))
    assert found == [
        f"{root / path}: this file is not llmflake's (no line of its first 5 says so); "
        f"move it away, or choose another directory than {root}"
        for path in ("d/local.nix", "hardware.nix")
    ]
    assert state(root) == before


@pytest.mark.parametrize(("line", "ours"), [(1, True), (5, True), (6, False)])
def test_the_marker_counts_in_the_first_five_lines(tmp_path: Path, line: int, *, ours: bool) -> None:
    (tmp_path / "a.nix").write_text("\n" * (line - 1) + MARK)
    assert plan_changes(tmp_path, {}).deleted == (("a.nix",) if ours else ())


def test_json_carries_the_marker_as_a_comment_key(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n  "_comment": "Managed by llmflake: generated",\n  "b": 1\n}\n')
    assert plan_changes(tmp_path, {"a.json": "{}\n"}).updated == ("a.json",)


def test_a_foreign_file_with_the_wanted_bytes_is_in_no_ones_way(tmp_path: Path) -> None:
    (tmp_path / "a.nix").write_text("{ }\n")
    assert plan_changes(tmp_path, {"a.nix": "{ }\n"}).unchanged == ("a.nix",)


def test_what_is_kept_is_left_alone_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "flake.lock").write_text("{}")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "ours.nix").write_text(MARK)
    files = {"flake.lock": "1", "link": "2", "folder": "3", "absent": "4"}
    changes = plan_changes(tmp_path, files, keep=frozenset({*files, "ours.nix"}))
    assert (changes.created, changes.unchanged) == (("absent",), ("flake.lock", "folder", "link"))
    apply(changes)
    assert (tmp_path / "flake.lock").read_text() == "{}"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "ours.nix").exists()
    assert (tmp_path / "absent").read_text() == "4"


def test_an_unmarked_file_is_updated(tmp_path: Path) -> None:
    (tmp_path / "flake.lock").write_text("{}")
    apply(plan_changes(tmp_path, {"flake.lock": "1"}, unmarked=frozenset({"flake.lock"})))
    assert (tmp_path / "flake.lock").read_text() == "1"


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "./a", "a//b", "a/", ".", "a\\b", "a\nb", "a\0", "\ud800"]
)
def test_a_path_that_no_output_has_is_our_mistake(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        plan_changes(tmp_path, {path: MARK})


def test_a_path_below_a_file_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both files and directories"):
        plan_changes(tmp_path, {"a": MARK, "a/b/c": MARK})


def test_stale_files_are_looked_for_only_where_ours_can_be(tmp_path: Path) -> None:
    marked = MARK.encode()
    elsewhere = tmp_path / "elsewhere"
    put_foreign(elsewhere, {"a.nix": marked})
    root = tmp_path / "out"
    put_foreign(root, {"a.txt": marked, ".git/a.nix": marked, "d/.git/a.md": marked, f"{STAGED}/new/a.nix": marked})
    (root / "linked").symlink_to(elsewhere)
    (root / "link.nix").symlink_to(elsewhere / "a.nix")
    os.mkfifo(root / "pipe.nix")
    assert plan_changes(root, {}).deleted == ()


def test_another_flake_below_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "out", BEFORE)
    changes = put(tmp_path, BEFORE)
    assert changes.deleted == ()
    assert contents(tmp_path / "out") == holding(BEFORE)


@pytest.mark.parametrize(
    ("prepare", "what"),
    [
        (
            lambda root: (root / "a").symlink_to("b"),
            "a/f.nix: a on the way to it is a symbolic link, which is not followed",
        ),
        (lambda root: (root / "a").write_text(MARK), "a/f.nix: a is a file, where a directory goes"),
        (lambda root: (root / "a/f.nix").mkdir(parents=True), "a/f.nix: this is a directory, where a file goes"),
        (lambda root: put_link(root / "a/f.nix"), "a/f.nix: this is a symbolic link, which is not followed"),
        (lambda root: put_pipe(root / "a/f.nix"), "a/f.nix: this is no plain file"),
    ],
)
def test_what_is_no_file_is_not_written_over(tmp_path: Path, prepare: Callable[[Path], object], what: str) -> None:
    prepare(tmp_path)
    hint = f"move it away, or choose another directory than {tmp_path}"
    assert problems(lambda: plan_changes(tmp_path, {"a/f.nix": MARK})) == [f"{tmp_path}/{what}; {hint}"]


def put_link(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / "target.nix").write_text(MARK)
    path.symlink_to("target.nix")


def put_pipe(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def test_a_root_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    hint = "choose another output directory"
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        assert problems(lambda root=root: plan_changes(root, AFTER)) == [  # type: ignore[misc]
            f"{tmp_path}/file: this is a file, not a directory; {hint}"
        ]
    assert problems(lambda: plan_changes(tmp_path / "link", AFTER)) == [
        f"{tmp_path}/link: this is a symbolic link to nothing; {hint}"
    ]


def test_a_root_that_links_to_a_directory_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link", AFTER)
    assert contents(tmp_path / "real") == holding(AFTER)


def test_an_existing_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "flake.lock").write_text("{}")
    assert read_existing(tmp_path, "flake.lock") == "{}"
    assert read_existing(tmp_path, "other") is None
    assert read_existing(tmp_path / "flake.lock", "below") is None


def test_an_existing_text_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "folder").mkdir()
    assert "cannot be read: it is not UTF-8" in problems(lambda: read_existing(tmp_path, "bytes"))[0]
    assert "cannot be read: is a directory" in problems(lambda: read_existing(tmp_path, "folder"))[0]


# What is shown

LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "c", "\x0c", "\r\n", "\u2028", "- d\n"]), max_size=8).map("".join)
TEXTS = LINES.map(lambda text: MARK + text)
PATHS = st.sampled_from(["a.nix", "b.md", "d/a.nix", "d/e.json", "d/e/f.toml", "x y/g.nix"])
FILES = st.dictionaries(PATHS, TEXTS, max_size=6)
STRANGERS = st.dictionaries(st.sampled_from(["z.nix", "d/z.md", "w/z.txt"]), st.binary(max_size=4), max_size=3)


def test_the_diff_of_every_kind_of_change(tmp_path: Path) -> None:
    put(tmp_path, {"a.nix": MARK, "b.nix": f"{MARK}1\n", "c.nix": f"{MARK}1"})
    changes = plan_changes(
        tmp_path, {"b.nix": f"{MARK}2", "c.nix": f"{MARK}1", "d/e.nix": f"{MARK}{{ }}\n", "f.md": ""}
    )
    assert unified_diff(changes) == (
        "diff --git a/a.nix b/a.nix\ndeleted file mode 100644\n--- a/a.nix\n+++ /dev/null\n@@ -1 +0,0 @@\n"
        "-# Managed by llmflake\n"
        "diff --git a/b.nix b/b.nix\n--- a/b.nix\n+++ b/b.nix\n@@ -1,2 +1,2 @@\n"
        " # Managed by llmflake\n-1\n+2\n\\ No newline at end of file\n"
        "diff --git a/d/e.nix b/d/e.nix\nnew file mode 100644\n--- /dev/null\n+++ b/d/e.nix\n@@ -0,0 +1,2 @@\n"
        "+# Managed by llmflake\n+{ }\n"
        "diff --git a/f.md b/f.md\nnew file mode 100644\n"
    )


def test_no_changes_have_no_diff(root: Path) -> None:
    assert unified_diff(plan_changes(root, BEFORE)) == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on PATH; install it (Debian: apt-get install git)")
@settings(max_examples=60, deadline=None)
@given(FILES, FILES)
def test_git_makes_the_same_of_the_diff_as_apply_does(before: dict[str, str], after: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root, before)
        diff = unified_diff(plan_changes(root, after))
        if diff:
            command = ["git", "-C", folder, "apply", "--whitespace=nowarn", "-"]
            environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CEILING_DIRECTORIES": str(root.parent)}
            subprocess.run(command, input=diff.encode(), check=True, capture_output=True, env=environment)
        assert contents(root) == holding(after)


# What is written


@settings(max_examples=100, deadline=None)
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


@pytest.mark.parametrize("part", ["new", "old"])
@pytest.mark.parametrize("empty", ["made", "made/deep"])
def test_a_directory_that_a_killed_run_had_made_or_emptied_goes(root: Path, part: str, empty: str) -> None:
    put_foreign(root, {f"{STAGED}/{part}/made/deep/x.json": b"", f"{STAGED}/{part}/d/y.nix": b""})
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
            steps.append(name)
            if not fails(steps):
                return real(*args, **kwargs)
            if after:
                real(*args, **kwargs)
            raise error

        return step

    for name in ("replace", "link", "mkdir", "fsync"):
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
    assert failed >= {"replace", "mkdir", "fsync"}


def test_when_undoing_fails_too_the_earlier_files_are_kept_and_named(root: Path) -> None:
    changes = plan_changes(root, AFTER)
    with pytest.MonkeyPatch.context() as patch:
        inject(patch, lambda steps: steps[-1] == "replace" and steps.count("replace") > 3, OSError(5, ""), after=False)
        found = problems(lambda: apply(changes))
    [old] = root.glob(".llmflake-*/old")
    hint = f"the files of before are in {old}: copy them from there before the next run, which removes them"
    assert found == [f"{root}: writing failed, and so did undoing it: input/output error; {hint}"]
    assert (old / "flake.nix").read_text() == BEFORE["flake.nix"]


@contextmanager
def mounted(folder: Path) -> Iterator[Callable[[str], object]]:
    """Mount a small disk at a directory; yield a function that mounts it anew with other options."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount on PATH; run this test on Linux")
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small disk; run this test as root outside a container: {done.stderr.strip()}")
    try:
        yield lambda option: subprocess.check_call(["mount", "-o", f"remount,{option}", str(folder)])
    finally:
        subprocess.run(["umount", str(folder)], check=True)


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
