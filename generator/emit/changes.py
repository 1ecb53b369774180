"""What writing a flake would change in a directory: decided first, so that it can be shown, refused, or done."""

from __future__ import annotations

import difflib
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from generator.errors import Location, OutputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARKER = "Managed by llmflake"
STAGING_PREFIX = ".llmflake-"
_MARKER_LINES = 5
_SUFFIXES = {".nix", ".json", ".toml", ".md"}


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

    @property
    def empty(self) -> bool:
        """Whether the directory is already as wanted."""
        return not (self.created or self.updated or self.deleted)


def plan_changes(root: Path, files: Mapping[str, str], *, unmarked: frozenset[str] = frozenset()) -> Changes:
    """Compare a directory with the files it should hold.

    ``unmarked`` are paths that are ours without a marker (flake.lock has no room for one). Files that carry the marker
    and are not wanted any more are deleted.

    Raises OutputError, naming every file in the way: one that llmflake did not write, a link, a directory.
    """
    for path in files:
        _require_relative(path)
    problems = list(_root_problems(root))
    old: dict[str, bytes] = {}
    if not problems:
        for path in files:
            try:
                found = _present(root, path)
            except _InTheWayError as error:
                problems.append(Problem(Location(str(root / path)), "", str(error), _hint(root)))
                continue
            if found is None:
                continue
            old[path] = found
            if path not in unmarked and found != files[path].encode() and not is_ours(found):
                problems.append(
                    Problem(
                        Location(str(root / path)),
                        "",
                        f"this file is not llmflake's (no line of its first {_MARKER_LINES} says so)",
                        _hint(root),
                    )
                )
    if problems:
        raise OutputError(tuple(problems))
    stale = dict(_stale(root, files)) if root.is_dir() else {}
    return Changes(
        root=root,
        files=files,
        old={**old, **stale},
        created=tuple(path for path in sorted(files) if path not in old),
        updated=tuple(path for path in sorted(files) if path in old and old[path] != files[path].encode()),
        unchanged=tuple(path for path in sorted(files) if path in old and old[path] == files[path].encode()),
        deleted=tuple(sorted(stale)),
    )


def unified_diff(changes: Changes) -> str:
    """Return the changes as a unified diff; "" when there are none."""
    parts: list[str] = []
    for path in sorted({*changes.created, *changes.updated, *changes.deleted}):
        before = changes.old.get(path)
        after = changes.files.get(path)
        lines = difflib.unified_diff(
            [] if before is None else before.decode(errors="replace").splitlines(keepends=True),
            [] if after is None else after.splitlines(keepends=True),
            "/dev/null" if before is None else f"a/{path}",
            "/dev/null" if after is None else f"b/{path}",
        )
        parts += [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    return "".join(parts)


def is_ours(data: bytes) -> bool:
    """Return whether a file carries the marker in its first lines."""
    return MARKER.encode() in b"\n".join(data.split(b"\n", _MARKER_LINES)[:_MARKER_LINES])


def read_existing(root: Path, path: str) -> str | None:
    """Return the text of a file of the directory, or None where there is none.

    Raises OutputError when it cannot be read.
    """
    try:
        return (root / path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(
            (Problem(Location(str(root / path)), "", f"cannot be read: {error}", _hint(root)),)
        ) from error


class _InTheWayError(Exception):
    """Something other than a plain file stands where one of ours goes."""


def _present(root: Path, path: str) -> bytes | None:
    """Return the bytes of a plain file below root, following no link on the way; None where there is nothing."""
    parts = PurePosixPath(path).parts
    for depth in range(1, len(parts) + 1):
        here = root.joinpath(*parts[:depth])
        try:
            mode = here.lstat().st_mode
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _InTheWayError(f"cannot be read: {os.strerror(error.errno or 0).lower()}") from error
        last = depth == len(parts)
        if stat.S_ISLNK(mode):
            raise _InTheWayError("here is a symbolic link, which is not followed")
        if last and stat.S_ISDIR(mode):
            raise _InTheWayError("here is a directory, where a file goes")
        if not last and not stat.S_ISDIR(mode):
            raise _InTheWayError(f"{'/'.join(parts[:depth])} is a file, where a directory goes")
        if last and not stat.S_ISREG(mode):
            raise _InTheWayError("here is no plain file")
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise _InTheWayError(f"cannot be read: {os.strerror(error.errno or 0).lower()}") from error


def _root_problems(root: Path) -> Iterator[Problem]:
    if root.exists() and not root.is_dir():
        yield Problem(Location(str(root)), "", "this is no directory", "choose another output directory")


def _stale(root: Path, files: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for folder, names, entries in os.walk(root):
        names[:] = [name for name in names if name != ".git" and not name.startswith(STAGING_PREFIX)]
        for entry in entries:
            path = Path(folder, entry)
            relative = path.relative_to(root).as_posix()
            if relative in files or path.suffix not in _SUFFIXES or path.is_symlink() or not path.is_file():
                continue
            try:
                data = path.read_bytes()
            except OSError:
                continue  # what cannot be read is not ours
            if is_ours(data):
                yield relative, data


def _require_relative(path: str) -> None:
    parts = path.split("/")
    if not path or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"not a plain relative path: {path!r}")


def _hint(root: Path) -> str:
    return f"move it away, or choose another directory than {root}"
