"""Directories with files of ours and of other people, and all that can be seen of one."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from generator.emit.changes import Changes, plan_changes
from generator.emit.write import apply
from generator.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MARK = "# Managed by llmflake\n"
STAGED = ".llmflake-0123456789abcdef"
NOBODY = 65534
BEFORE = {"flake.nix": MARK + "1\n", "d/old.nix": MARK, "d/same.md": MARK, "gone/deep/x.json": MARK}
AFTER = {"flake.nix": MARK + "2\n", "d/same.md": MARK, "new/deep/y.toml": MARK, "d/z.nix": MARK}
FOREIGN = {"hardware.nix": b"{ }\n", "d/local.nix": b"{ }\n", "d/disk.img": b"\0Managed by llmflake"}

LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "c", "\x0c", "\r\n", "\u2028", "- d\n"]), max_size=8).map("".join)
TEXTS = LINES.map(lambda text: MARK + text)
PATHS = st.sampled_from(["a.nix", "b.md", "d/a.nix", "d/e.json", "d/e/f.toml", "x y/g.nix"])
FILES = st.dictionaries(PATHS, TEXTS, max_size=6)
STRANGERS = st.dictionaries(st.sampled_from(["z.nix", "d/z.md", "w/z.txt"]), st.binary(max_size=4), max_size=3)


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
        pytest.skip("cannot mount a small disk; run this test as root outside a container")
    try:
        yield lambda option: subprocess.check_call(["mount", "-o", f"remount,{option}", str(folder)])
    finally:
        subprocess.run(["umount", str(folder)], check=True)
