"""Carry out changes: all of them or none, whatever happens in the middle."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generator.emit.changes import Changes, plan_changes
from generator.emit.present import is_staging, leftovers, nearest_folder, reason, staging_name
from generator.errors import Location, OutputError, Problem
from generator.undisturbed import NO_LOCKS, undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PATIENCE = 10.0  # seconds to wait for another run in the same directory
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True, slots=True)
class _Move:
    """What happens at ``target``: ``new`` is moved there (None: nothing is), ``old`` is where what was there goes."""

    target: Path
    new: Path | None
    old: Path | None


def apply(changes: Changes, *, patience: float = _PATIENCE) -> None:
    """Make the directory as wanted; after any failure it is as it was before, without leftovers.

    New files are first written to a staging directory on the same file system. Only when all of them are there are
    they moved in. Another run in the same directory is waited for, ``patience`` seconds.

    Raises OutputError when the directory cannot be written, or has changed since the changes were planned.
    """
    nearest_folder(changes.root)
    root = changes.root.resolve()
    done = False
    while not done:
        base = nearest_folder(root)
        try:
            done = (changes.empty and not leftovers(base)) or _apply_below(base, root, changes, patience)
        except OSError as error:
            raise OutputError((_problem(error, changes.root, base),)) from error


def _apply_below(base: Path, root: Path, changes: Changes, patience: float) -> bool:
    """Apply the changes with ``base`` locked; return False when root came into being before that."""
    with _locked(base, patience) as locked:
        if base != nearest_folder(root):
            return False
        # Without a lock, a staging directory may be one that another run is using.
        for leftover in leftovers(base) if locked else ():
            _clear(leftover, root)
        # A run that was waited for may have written what this one was to write.
        now = plan_changes(changes.root, changes.files, keep=changes.keep, unmarked=changes.unmarked)
        if not now.work <= changes.work:
            raise OutputError(
                (Problem(Location(str(changes.root)), "", "files here have changed in the meantime", "start again"),)
            )
        if not now.empty:
            _carry_out(now, root, base)
    return True


def _carry_out(changes: Changes, root: Path, base: Path) -> None:
    """Stage and commit; ``base`` is root, or the folder that exists above it and will get a whole tree at once."""
    staging = base / staging_name()
    new, old = staging / "new", staging / "old"
    inner = root.relative_to(base)
    try:
        staging.mkdir(mode=0o700)
        _write({new / inner / path: changes.files[path] for path in (*changes.created, *changes.updated)})
        if inner.parts:
            moves = [_Move(base / inner.parts[0], new / inner.parts[0], None)]
        else:
            moves = [
                *(_Move(root / path, new / path, None) for path in _outermost(root, changes.created)),
                *(_Move(root / path, new / path, old / path) for path in changes.updated),
                *(_Move(root / path, None, old / path) for path in changes.deleted),
            ]
        with undisturbed():
            _commit(moves)
            _remove_empty(root, changes.deleted)
    except _NotPutBackError as error:
        hint = f"the files of before are in {old}: copy them from there before the next run, which removes them"
        raise OutputError((Problem(Location(str(changes.root)), "", str(error), hint),)) from error
    except BaseException:
        _remove(staging)
        raise
    _remove(staging)


def _outermost(root: Path, paths: Iterable[str]) -> dict[str, None]:
    """Return what is new below root, of each path the outermost part: a whole folder is one move."""
    there: dict[str, bool] = {}
    found: dict[str, None] = {}
    for path in paths:
        for part in (*(path[:at] for at, char in enumerate(path) if char == "/"), path):
            if part not in there:
                there[part] = os.path.lexists(root / part)
            if not there[part]:
                found[part] = None
                break
    return found


def _write(files: Mapping[Path, str]) -> None:
    """Write new files; not synced, for after a crash of the machine the spec gives them again."""
    for folder in {path.parent: None for path in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:  # noqa: PTH123 - no Path
            file.write(text.encode())


class _NotPutBackError(Exception):
    """A commit failed, and undoing it failed too."""


def _commit(moves: list[_Move]) -> None:
    try:
        for move in moves:
            if move.old is not None:
                move.old.parent.mkdir(parents=True, exist_ok=True)
                _set_aside(move.target, move.old, stays=move.new is not None)
            if move.new is not None:
                move.new.replace(move.target)
    except BaseException as error:
        try:
            for move in reversed(moves):
                _undo(move)
        except OSError as second:
            raise _NotPutBackError(f"writing failed, and so did undoing it: {reason(second)}") from error
        raise


def _set_aside(target: Path, old: Path, *, stays: bool) -> None:
    """Keep what is at a target; with a link it stays there too, so that a kill never leaves the place empty."""
    if stays:
        with suppress(OSError):  # a file system without hard links
            old.hardlink_to(target)
            return
    target.replace(old)


def _undo(move: _Move) -> None:
    """Put back what was there, judging by what is where: a failure may have come before or after any step."""
    if move.old is None:
        if move.new is not None and not os.path.lexists(move.new):
            move.target.replace(move.new)
    elif os.path.lexists(move.old):
        move.old.replace(move.target)


def _clear(leftover: Path, root: Path) -> None:
    """Remove what a killed run left: directories that it had just emptied, and its staging directory."""
    old = leftover / "old"
    _remove_empty(root, [path.relative_to(old).as_posix() for path in old.rglob("*")])
    shutil.rmtree(leftover, ignore_errors=True)


def _remove_empty(root: Path, paths: Iterable[str]) -> None:
    """Remove the directories that files at these paths were the last in."""
    for path in paths:
        for folder in (root / path).parents:
            if folder == root:
                break
            with suppress(OSError):
                folder.rmdir()


def _remove(staging: Path) -> None:
    with undisturbed():
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _locked(folder: Path, patience: float) -> Iterator[bool]:
    """Hold a directory against other runs; yield whether it is held, for some file systems have no locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _lock(descriptor, folder, time.monotonic() + patience)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OutputError(
                    (Problem(Location(str(folder)), "", "another run is writing here", "wait until it has ended"),)
                ) from None
            time.sleep(0.05)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            raise
        else:
            return True


def _problem(error: OSError, root: Path, base: Path) -> Problem:
    """Return a failure as the user should see it: at a place that they know, not in staging."""
    names = [Path(name) for name in (error.filename2, error.filename) if isinstance(name, str)]
    place = next((name for name in names if not any(is_staging(part) for part in name.parts)), None)
    if error.errno in _NOT_WRITABLE:
        folder = base if place is None else place if os.path.isdir(place) else place.parent  # noqa: PTH112 - never raises
        where, what, hint = folder, "the directory is not writable", "allow it, or choose another directory"
    elif error.errno == errno.ENOSPC:
        device = next(folder for folder in (base, *base.parents) if folder.is_mount())
        where, what, hint = root, f"no space left on {device}", "free some, or choose another directory"
    else:
        where, what, hint = place or root, f"cannot be written: {reason(error)}", "correct that, and start again"
    return Problem(Location(str(where)), "", what, f"nothing was changed; {hint}")
