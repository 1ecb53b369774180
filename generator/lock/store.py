"""The lock file itself: one writer at a time, the old one whole until the new one is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from generator.emit.present import reason
from generator.errors import Location, LockError, Problem
from generator.spec.lockfile import MARKER, pins_data
from generator.undisturbed import NO_LOCKS, undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.pins import Pins

_MODE = 0o644


def lock_text(pins: Pins) -> str:
    """Return the text of a lock."""
    import tomli_w

    return f"# {MARKER}\n# To renew an entry: llmflake lock SPEC --update NAME\n\n{tomli_w.dumps(pins_data(pins))}"


@contextmanager
def held(spec: str) -> Iterator[None]:
    """Hold a spec against other runs that lock it: the spec is there before its lock is, and is not replaced.

    Raises LockError when another run holds it.
    """
    if spec == "-":
        yield
        return
    with Path(spec).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what, hint = "another llmflake lock is at work on this spec", "wait until it has ended"
            raise LockError((Problem(Location(spec), "", what, hint),)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:  # some file systems have none
                raise
        yield


def write(path: Path, text: str, before: str | None) -> None:
    """Write a lock in one step; ``before`` is the text that it replaces, None where there is none.

    Raises LockError when the file is another one by now, or cannot be written; it is as it was then.
    """
    try:
        if _present(path) != before:
            what, hint = "this lock has changed in the meantime", "start again"
            raise LockError((Problem(Location(str(path)), "", what, hint),))
        with undisturbed():
            _replace(path.resolve(), text)
    except OSError as error:
        what = f"cannot be written: {reason(error)}"
        raise LockError((Problem(Location(str(path)), "", what, "correct that, and start again"),)) from error


def _present(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is a descriptor
            file.write(text.encode())
            file.flush()
            os.fchmod(descriptor, _MODE)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
