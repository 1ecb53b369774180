# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""What of a model's directory no configuration uses any more: found, and removed as nobody but its owner."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generator.machine.files import KEPT, PARTS, STATE, UNWRITTEN, State, Wanted, is_below

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        """Return the bytes on disk that go: a file that has a name elsewhere stays."""
        found = [path.lstat() for path in self.files]
        names = Counter((status.st_dev, status.st_ino) for status in found)
        return sum(
            status.st_blocks * 512 // status.st_nlink
            for status in found
            if names[status.st_dev, status.st_ino] == status.st_nlink
        )


def find(directory: Path, used: dict[Path, frozenset[str] | None], owner: str | None = OWNER) -> Unused:
    """Return what may go of a directory; ``used`` has hashes of files by directory, None where they are not known.

    Raises LeftAloneError where the directory is not what llmflake made of it.
    """
    _require_ours(directory, owner)
    # It may be used by another name, which a symbolic link or a bind mount gave it.
    same = [hashes for other, hashes in used.items() if other == directory or _identity(other) == _identity(directory)]
    if same:
        known = [hashes for hashes in same if hashes is not None]
        keep = {found.replace(":", "-") for hashes in known for found in hashes}
        kept = _hashed(directory / KEPT) if len(known) == len(same) else []
        return Unused(directory, tuple(path for path in kept if path.name not in keep), whole=False)
    if near := next((other for other in used if _within(other, directory) or _within(directory, other)), None):
        raise LeftAloneError(f"{near}, which is used, is not apart from it")
    state = State.read(directory)
    right = [path for path, (size, _, found) in state.whole.items() if state.has(Wanted(path, size, found))]
    files = tuple(directory / path for path in sorted(right) if is_below(path) and _is_plain(directory, path))
    return Unused(directory, (*files, *_hashed(directory / KEPT), *_hashed(directory / PARTS)), whole=True)


def remove(found: Unused) -> Unused:
    """Remove the files that were found; return what its owner could not remove. The directory itself stays."""
    left = []
    with _as_owner(found.directory):
        for path in found.files:
            try:
                path.unlink(missing_ok=True)
            except OSError:  # it is in a folder of somebody else's
                left.append(path)
        if found.whole:
            for name in (STATE, UNWRITTEN):
                with contextlib.suppress(OSError):
                    (found.directory / name).unlink()
        folders = {found.directory / KEPT, found.directory / PARTS, *(path.parent for path in found.files)}
        for folder in sorted(folders, key=_depth, reverse=True):
            _remove_empty(folder, found.directory)
    return Unused(found.directory, tuple(left), found.whole)


def remove_directory(directory: Path, entry: Path) -> bool:
    """Remove a directory and its entry; return False where files of others keep it.

    The entry goes first: a download that finds the directory made anew enters it again.
    """
    if any(directory.iterdir()):
        return False
    entry.unlink()
    try:
        directory.rmdir()
    except OSError:
        entry.symlink_to(directory)
        return False
    return True


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


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _within(path: Path, other: Path) -> bool:
    """Return whether a directory is in another one, by whatever names."""
    identity = _identity(other)
    if other in path.parents or other.resolve() in path.resolve().parents:
        return True
    if identity is not None and identity in map(_identity, path.resolve().parents):
        return True
    here = _identity(path)  # a mount may have brought it elsewhere
    return here is not None and any(_identity(Path(folder)) == here for folder, _, _ in os.walk(other))


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
