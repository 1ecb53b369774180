# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""What of a model's directory no configuration uses any more: found, and removed as nobody but its owner."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.machine.files import KEPT, PARTS, STATE, State, Wanted, is_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWNER = "llm-models"
_HASHED = re.compile(r"(sha256|git)-[0-9a-f]+")


class LeftAloneError(Exception):
    """A directory is not touched; the text says why."""


@dataclass(frozen=True, slots=True)
class Unused:
    """Files that may go, and whether the directory goes with them."""

    directory: Path
    files: tuple[Path, ...]
    whole: bool

    @property
    def size(self) -> int:
        """Return the bytes on disk that go: a file that has another name stays."""
        found = [path.lstat() for path in self.files]
        return sum(status.st_blocks * 512 for status in found if status.st_nlink == 1)


def find(directory: Path, used: dict[Path, frozenset[str] | None], owner: str | None = OWNER) -> Unused:
    """Return what may go of a directory; ``used`` has hashes of files by directory, None where they are not known.

    Raises LeftAloneError where the directory is not what llmflake made of it.
    """
    _require_ours(directory, owner)
    if directory in used:
        hashes = used[directory]
        keep = None if hashes is None else {found.replace(":", "-") for found in hashes}
        files = () if keep is None else tuple(path for path in _hashed(directory / KEPT) if path.name not in keep)
        return Unused(directory, files, whole=False)
    if near := [other for other in used if directory in other.parents or other in directory.parents]:
        raise LeftAloneError(f"{near[0]}, which is used, is not apart from it")
    state = State.read(directory)
    right = [path for path, (size, _, found) in state.whole.items() if state.has(Wanted(path, size, found))]
    files = tuple(directory / path for path in sorted(right) if is_below(path) and _is_plain(directory, path))
    return Unused(directory, (*files, *_hashed(directory / KEPT), *_hashed(directory / PARTS)), whole=True)


def remove(found: Unused) -> bool:
    """Remove what was found; return whether the directory is gone, for files of others keep it."""
    with _as_owner(found.directory):
        for path in found.files:
            with contextlib.suppress(PermissionError):  # it is in a folder of somebody else's
                path.unlink(missing_ok=True)
        if found.whole:
            (found.directory / STATE).unlink(missing_ok=True)
        folders = {found.directory / KEPT, found.directory / PARTS, *(path.parent for path in found.files)}
        for folder in sorted(folders, key=_depth, reverse=True):
            _remove_empty(folder, found.directory)
    if not found.whole:
        return False
    with contextlib.suppress(OSError):
        found.directory.rmdir()
    return not found.directory.exists()


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory against downloads. Raises LeftAloneError where one is at work, or it cannot be held."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise LeftAloneError(f"cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise LeftAloneError("a download is at work in it") from error
    finally:
        os.close(descriptor)


def _require_ours(directory: Path, owner: str | None) -> None:
    try:
        status = directory.lstat()
        if not directory.is_absolute() or directory.resolve() != directory or not directory.is_dir():
            raise LeftAloneError("it is no directory, or a symbolic link leads there")
        state = (directory / STATE).lstat()
    except OSError as error:
        raise LeftAloneError(f"no download of llmflake is recorded in it: {error.strerror}") from error
    if state.st_uid != status.st_uid:
        raise LeftAloneError("the record of its download is somebody else's")
    with contextlib.suppress(KeyError):
        if owner in {None, pwd.getpwuid(status.st_uid).pw_name}:
            return
    raise LeftAloneError(f"it does not belong to {owner}")


def _hashed(folder: Path) -> list[Path]:
    """Return the files in a folder that are named by their hash, as ours are."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _HASHED.fullmatch(path.name) and not path.is_symlink())


def _is_plain(directory: Path, path: str) -> bool:
    """Return whether a path leads to a file without a symbolic link."""
    full = directory / path
    return full.is_file() and full.resolve() == full


def _depth(folder: Path) -> int:
    return len(folder.parts)


def _remove_empty(folder: Path, top: Path) -> None:
    with contextlib.suppress(OSError):  # files of others are in it
        while folder != top:
            folder.rmdir()
            folder = folder.parent


@contextlib.contextmanager
def _as_owner(directory: Path) -> Iterator[None]:
    """Be nobody but the directory's owner: the kernel then keeps everything else from harm."""
    if os.geteuid() != 0:
        yield
        return
    status, groups = directory.lstat(), os.getgroups()
    os.setgroups([])
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
