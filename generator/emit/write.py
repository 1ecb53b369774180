"""Carry out changes: all of them or none, whatever happens in the middle."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from generator.emit.changes import STAGING_PREFIX, Changes
from generator.errors import Location, OutputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 10.0  # seconds to wait for another run in the same directory


def apply(changes: Changes) -> None:
    """Make the directory as wanted.

    Every new file is written beside its place first; only when all of them are there are they moved in, and a failure
    after that moves everything back.

    Raises OutputError when the directory cannot be written.
    """
    if changes.empty:
        return
    root = changes.root
    try:
        made = _make_directories(root)
        try:
            with _locked(root):
                _swap(changes)
        except BaseException:
            _remove_directories(made)
            raise
    except OSError as error:
        what = os.strerror(error.errno).lower() if error.errno else str(error)
        place = str(root) if error.filename is None or STAGING_PREFIX in str(error.filename) else str(error.filename)
        raise OutputError(
            (
                Problem(
                    Location(place), "", f"cannot be written: {what}", "nothing was changed; correct that and try again"
                ),
            )
        ) from error


def _swap(changes: Changes) -> None:
    root = changes.root
    for leftover in root.glob(f"{STAGING_PREFIX}*"):  # of a run that was killed
        shutil.rmtree(leftover)
    staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=root))
    done: list[tuple[Path, Path]] = []  # moves, to be undone in reverse
    made: list[Path] = []
    try:
        new, old = staging / "new", staging / "old"
        for path in (*changes.created, *changes.updated):
            _write(new / path, changes.files[path])
        for path in (*changes.updated, *changes.deleted):
            _move(root / path, old / path, done, made=None)
        for path in (*changes.created, *changes.updated):
            _move(new / path, root / path, done, made=made)
    except BaseException:
        for source, target in reversed(done):
            target.replace(source)
        _remove_directories(made)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _remove_empty(root, changes.deleted)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # some file systems tell that they are full only now


def _move(source: Path, target: Path, done: list[tuple[Path, Path]], made: list[Path] | None) -> None:
    new = _make_directories(target.parent)
    if made is not None:
        made += new
    # Noted first: an interruption between the move and its note would lose the file.
    done.append((source, target))
    try:
        source.replace(target)
    except BaseException:
        if source.exists() and not target.exists():
            done.pop()
        raise


def _make_directories(path: Path) -> list[Path]:
    """Create a directory with its parents; return those that were not there, outermost first."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            made.append(folder)
    except BaseException:
        _remove_directories(made)
        raise
    return made


def _remove_directories(made: list[Path]) -> None:
    for folder in reversed(made):
        with suppress(OSError):  # somebody else put something in
            folder.rmdir()


def _remove_empty(root: Path, deleted: tuple[str, ...]) -> None:
    for path in deleted:
        for folder in (root / path).parents:
            if folder == root:
                break
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the directory against another run."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OutputError(
                        (Problem(Location(str(root)), "", "another run is writing here", "wait until it has ended"),)
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
