"""What stands in an output directory: files of ours, files of others, things in the way, leftovers of killed runs."""

from __future__ import annotations

import errno
import os
import re
import stat
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from generator.errors import Location, OutputError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MARKER = "Managed by llmflake"  # in one of a file's first lines; in JSON, as the value of "_comment"
MARKER_LINES = 5
_SUFFIXES = frozenset(
    {".nix", ".json", ".toml", ".md", ".sh", ".py"}
)  # of files that may be ours without being wanted any more
_STAGING = re.compile(r"\.llmflake-[0-9a-f]{16}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class InTheWayError(Exception):
    """Something other than a plain, readable file stands where one of ours goes; the text says what."""


def is_ours(data: bytes) -> bool:
    """Return whether a file carries the marker in its first lines."""
    return MARKER.encode() in b"\n".join(data.split(b"\n", MARKER_LINES)[:MARKER_LINES])


def is_plain(path: str) -> bool:
    """Return whether a path is one that llmflake would write: relative, downwards, printable."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return "\\" not in path and not _CONTROL.search(path) and not {"", ".", ".."} & set(path.split("/"))


def staging_name() -> str:
    """Return a new name for a staging directory."""
    return f".llmflake-{os.urandom(8).hex()}"


def is_staging(name: str) -> bool:
    """Return whether a name is one of those."""
    return _STAGING.fullmatch(name) is not None


def leftovers(folder: Path) -> list[Path]:
    """Return the staging directories in a folder that are this user's."""
    return [path for path in folder.iterdir() if is_staging(path.name) and _is_own_folder(path.lstat())]


def _is_own_folder(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def nearest_folder(root: Path) -> Path:
    """Return a directory, or the nearest above it when it does not exist yet.

    Raises OutputError when something else stands there, or it cannot be seen.
    """
    what = ""
    try:
        for folder in (root, *root.parents):
            kind = _kind(folder)  # asked once: another run may be making it
            if kind == "directory":
                return folder
            if kind:
                what = f"this is {kind}"
                break
    except OSError as error:
        folder, what = root, f"cannot be read: {reason(error)}"
    raise OutputError((Problem(Location(str(folder)), "", what, "choose another output directory"),))


def _kind(path: Path) -> str:
    """Return what is at a path, links followed: "directory", or what stands in its way; "" where there is nothing."""
    try:
        return "directory" if stat.S_ISDIR(path.stat().st_mode) else "a file, not a directory"
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            raise
    return "a symbolic link to nothing" if path.is_symlink() else ""


def read_present(root: Path, path: str) -> bytes | None:
    """Return the bytes of a plain file below root, following no link on the way; None where there is nothing.

    Raises InTheWayError.
    """
    parts = PurePosixPath(path).parts
    try:
        for depth in range(1, len(parts) + 1):
            mode = root.joinpath(*parts[:depth]).lstat().st_mode
            last = depth == len(parts)
            if stat.S_ISLNK(mode):
                where = "this" if last else f"{'/'.join(parts[:depth])} on the way to it"
                raise InTheWayError(f"{where} is a symbolic link, which is not followed")
            if last and stat.S_ISDIR(mode):
                raise InTheWayError("this is a directory, where a file goes")
            if not last and not stat.S_ISDIR(mode):
                raise InTheWayError(f"{'/'.join(parts[:depth])} is a file, where a directory goes")
            if last and not stat.S_ISREG(mode):
                raise InTheWayError("this is no plain file")
        return (root / path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InTheWayError(f"cannot be read: {reason(error)}") from error


def stale(root: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the path and bytes of each file of ours below root that is not wanted. Follows no links."""
    for folder, names, entries in os.walk(root):
        below = Path(folder).relative_to(root)
        names[:] = [name for name in names if name != ".git" and not is_staging(name)]
        if folder != str(root) and "flake.nix" in entries and (below / "flake.nix").as_posix() not in wanted:
            names.clear()  # another flake, perhaps generated from another spec: its files are not this one's
            continue
        for entry in entries:
            path, relative = Path(folder, entry), (below / entry).as_posix()
            if relative in wanted or path.suffix not in _SUFFIXES or not is_plain(relative):
                continue
            data = _read_ours(path)
            if data is not None:
                yield relative, data


def _read_ours(path: Path) -> bytes | None:
    """Return the bytes of a plain file with the marker, else None; of other files only the first lines are read."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        with path.open("rb") as file:
            head = b"".join(islice(file, MARKER_LINES))
            return head + file.read() if is_ours(head) else None
    except OSError:
        return None  # what cannot be read is not ours


def reason(error: OSError) -> str:
    """Return what the system says about an error, as part of a sentence."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]
