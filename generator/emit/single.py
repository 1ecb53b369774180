"""Write one file: whole or not at all, and never over a file of somebody else."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from generator.emit.present import MARKER_LINES, InTheWayError, is_ours, read_present, reason, staging_name
from generator.errors import Location, OutputError, Problem

if TYPE_CHECKING:
    from pathlib import Path


def write_file(path: Path, text: str) -> bool:
    """Write a text that carries the marker; return False where the file was already just that.

    Raises OutputError where the directory is not there or not writable, or something not llmflake's is in the way.
    """
    elsewhere = "move it away, or choose another file"
    if not path.parent.is_dir():
        raise _error(path, f"there is no directory {path.parent}", "make it first, or choose another")
    try:
        present = read_present(path.parent, path.name)
    except InTheWayError as error:
        raise _error(path, str(error), elsewhere) from error
    data = text.encode()
    if present == data:
        return False
    if present is not None and not is_ours(present):
        raise _error(path, f"this file is not llmflake's (no line of its first {MARKER_LINES} says so)", elsewhere)
    staged = path.parent / staging_name()
    try:
        try:
            with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:  # noqa: PTH123 - no Path
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # some file systems tell only now that they are full
            staged.replace(path)
        except BaseException:
            with suppress(OSError):
                staged.unlink()
            raise
    except OSError as error:
        hint = "nothing was changed; correct that, or choose another file"
        raise _error(path, f"cannot be written: {reason(error)}", hint) from error
    return True


def _error(path: Path, what: str, hint: str) -> OutputError:
    return OutputError((Problem(Location(str(path)), "", what, hint),))
