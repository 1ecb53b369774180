"""What writing a flake would change in a directory: decided first, so that it can be shown, refused, or done."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.emit.present import (
    MARKER_LINES,
    InTheWayError,
    is_ours,
    is_plain,
    nearest_folder,
    read_present,
    reason,
    stale,
)
from generator.errors import Location, OutputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Changes:
    """Files by what happens to them, as paths below ``root``; ``files`` are the wanted texts, ``old`` the present."""

    root: Path
    files: Mapping[str, str]
    old: Mapping[str, bytes]
    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    deleted: tuple[str, ...]
    keep: frozenset[str] = frozenset()
    unmarked: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether the directory is already as wanted."""
        return not (self.created or self.updated or self.deleted)

    @property
    def work(self) -> frozenset[tuple[str, bytes | None, str | None]]:
        """Each path that changes, with what is there now and what is there then."""
        return frozenset(
            (path, self.old.get(path), self.files.get(path)) for path in (*self.created, *self.updated, *self.deleted)
        )


def plan_changes(
    root: Path,
    files: Mapping[str, str],
    *,
    keep: frozenset[str] = frozenset(),
    unmarked: frozenset[str] = frozenset(),
) -> Changes:
    """Compare a directory with the files it should hold.

    What exists at a path of ``keep`` is left alone, whatever it is. ``unmarked`` are paths that are ours without a
    marker (flake.lock has no room for one). Files that carry the marker and are not wanted any more are deleted.

    Raises OutputError, naming every file in the way: one that llmflake did not write, a link, a directory; ValueError
    for paths that no output has.
    """
    _require_plain(files)
    there = nearest_folder(root) == root and _holds_something(root)
    kept = {path for path in keep if os.path.lexists(root / path)}
    problems = []
    old: dict[str, bytes] = {}
    for path in sorted(files.keys() - kept) if there else ():
        try:
            found = read_present(root, path)
        except InTheWayError as error:
            problems.append(_in_the_way(root, path, str(error)))
            continue
        if found is None:
            continue
        old[path] = found
        if path not in unmarked and found != files[path].encode() and not is_ours(found):
            what = f"this file is not llmflake's (no line of its first {MARKER_LINES} says so)"
            problems.append(_in_the_way(root, path, what))
    if problems:
        raise OutputError(tuple(problems))
    same = {path for path in old if old[path] == files[path].encode()}
    unwanted = dict(stale(root, files.keys() | kept)) if there else {}
    return Changes(
        root=root,
        files=files,
        old={**old, **unwanted},
        created=tuple(sorted(files.keys() - old.keys() - kept)),
        updated=tuple(sorted(old.keys() - same)),
        unchanged=tuple(sorted(same | (kept & files.keys()))),
        deleted=tuple(sorted(unwanted)),
        keep=keep,
        unmarked=unmarked,
    )


def _holds_something(root: Path) -> bool:
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:  # what cannot be listed may still be entered
        return True


def unified_diff(changes: Changes) -> str:
    """Return the changes as a diff that ``git apply`` and ``patch -p1`` read; "" when there are none."""
    import difflib

    parts: list[str] = []
    for path in sorted({*changes.created, *changes.updated, *changes.deleted}):
        before, after = changes.old.get(path), changes.files.get(path)
        parts.append(f"diff --git a/{path} b/{path}\n")
        # Without these lines an empty file would not be seen in the diff.
        parts += ["new file mode 100644\n"] if before is None else []
        parts += ["deleted file mode 100644\n"] if after is None else []
        lines = difflib.unified_diff(
            _lines("" if before is None else before.decode(errors="replace")),
            _lines(after or ""),
            "/dev/null" if before is None else f"a/{path}",
            "/dev/null" if after is None else f"b/{path}",
        )
        parts += [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    return "".join(parts)


def read_existing(root: Path, path: str) -> str | None:
    """Return the text of a file of the directory, or None where there is none.

    Raises OutputError when it cannot be read.
    """
    try:
        return (root / path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise OutputError((_in_the_way(root, path, "cannot be read: it is not UTF-8"),)) from error
    except OSError as error:
        raise OutputError((_in_the_way(root, path, f"cannot be read: {reason(error)}"),)) from error


def _lines(text: str) -> list[str]:
    r"""Split at "\n" alone: str.splitlines also does at form feeds and other characters, which a diff does not."""
    return [line + "\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])


def _require_plain(files: Iterable[str]) -> None:
    folders: set[str] = set()
    for path in files:
        if not is_plain(path):
            raise ValueError(f"not a plain relative path: {path!r}")
        folders.update(path[:at] for at, char in enumerate(path) if char == "/")
    if both := folders.intersection(files):
        raise ValueError(f"both files and directories: {sorted(both)}")


def _in_the_way(root: Path, path: str, what: str) -> Problem:
    return Problem(Location(str(root / path)), "", what, f"move it away, or choose another directory than {root}")
