# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Bring a model's files onto this machine, exactly as pinned: ``python -m generator.machine.fetch MANIFEST``.

The manifest is JSON: repository, revision (a commit), include, exclude, directory, and files (each with path, size and
sha256), or null where the hub is to say which files there are. Files that are there and right are not touched, what is
half there is resumed, and nothing counts as there before its size and hash are right. What another revision wanted is
kept by its hash, for the way back, until llmflake-kept removes it. While the hub cannot be reached this waits and tries
again; what waiting does not cure ends it, with an exit code of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator.machine.directories import register
from generator.machine.files import PARTS, State, Wanted, difference, is_below, kept_of, link, part_of, selection_of
from generator.machine.hub import RefusedError, listing_of, patiently, resume, say

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 1 << 30
RESERVE = GIB
"""Bytes that stay free."""
WAITS = (1, 5, 15, 60, 300)
"""Seconds before each next try; the last again and again."""
_LOOKS = 3


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    if len(arguments) != 1:
        say("usage: python -m generator.machine.fetch MANIFEST")
        return os.EX_USAGE
    try:
        manifest = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        bring(manifest, WAITS)
    except RefusedError as error:
        say(str(error))
        return error.code
    except OSError as error:
        say(f"{error.filename or arguments[0]}: {error.strerror or error}")
        return os.EX_CANTCREAT
    return os.EX_OK


def bring(manifest: dict[str, Any], waits: tuple[float, ...]) -> None:
    """Make the directory hold the files; raises RefusedError when that cannot be."""
    directory = Path(manifest["directory"])
    with _held(directory):
        register(directory)
        state = State.read(directory)
        wanted = patiently(waits, lambda: files_of(manifest, state))
        if unsafe := [file.path for file in wanted if not is_below(file.path)]:
            raise RefusedError(os.EX_DATAERR, f"{unsafe[0]!r} is no path in {directory}; nothing was downloaded")
        missing = [file for file in wanted if not state.has(file) and not _adopt(state, file)]
        _require_space(directory, missing)
        for number, file in enumerate(missing, 1):
            say(f"{number} of {len(missing)}: {file.path}, {file.size / GIB:.2f} GiB")
            patiently(waits, lambda file=file: _download(manifest, state, file))
        for path in state.forget_others(wanted):
            say(f"{path} is not wanted any more; it is kept, see llmflake-kept")
        state.drop_kept()
        shutil.rmtree(directory / PARTS, ignore_errors=True)
        total = sum(file.size for file in wanted)
        say(
            f"{manifest['repository']} at {manifest['revision']}: {len(wanted)} files, {total / GIB:.2f} GiB, all right"
        )


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Hold a directory against other downloads, and against llmflake-kept.

    Raises RefusedError where it went while this waited: a unit sees the one that is made anew when it starts again.
    """
    for look in range(_LOOKS):
        if look and not os.access(directory, os.W_OK):
            break
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, directory):
                yield
                return
        finally:
            os.close(descriptor)
    raise RefusedError(os.EX_TEMPFAIL, f"{directory} was removed while this waited for it; starting again")


def _is_at(descriptor: int, directory: Path) -> bool:
    """Return whether what was opened is still what the path leads to."""
    try:
        return os.path.samestat(os.fstat(descriptor), directory.stat())
    except FileNotFoundError:
        return False


def files_of(manifest: dict[str, Any], state: State) -> list[Wanted]:
    """Return the files that are wanted: those of the manifest, or those that the hub lists at that commit."""
    if manifest["files"] is not None:
        return [Wanted(file["path"], file["size"], f"sha256:{file['sha256']}") for file in manifest["files"]]
    selection = selection_of(manifest)
    if state.selection != selection or state.listing is None:
        listing = listing_of(*(manifest[key] for key in ("repository", "revision", "include", "exclude")))
        state.selection, state.listing = selection, listing
        state.write()
    return state.listing


def _adopt(state: State, file: Wanted) -> bool:
    """Take over a file that is there already, if it is right: after a kill, put there by hand, or kept from before."""
    path, kept = state.directory / file.path, kept_of(state.directory, file.hash)
    if path.is_file() and difference(path, file) is None:
        state.remember(file)
        return True
    if not kept.is_file() or difference(kept, file) is not None:
        return False
    part = part_of(state.directory, file)
    part.parent.mkdir(exist_ok=True)
    part.unlink(missing_ok=True)
    link(kept, part)
    _place(state, file, part)
    say(f"{file.path} was kept from before")
    return True


def _place(state: State, file: Wanted, part: Path) -> None:
    """Move what is right to its path; what was right there before is kept."""
    path = state.directory / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    state.set_aside(file.path)
    part.replace(path)
    state.remember(file)


def _require_space(directory: Path, missing: list[Wanted]) -> None:
    parts = [part_of(directory, file) for file in missing]
    half = sum(part.stat().st_size for part in parts if part.is_file())
    needed = sum(file.size for file in missing) - half
    free = shutil.disk_usage(directory).free
    if missing and needed + RESERVE > free:
        what = f"{needed / GIB:.1f} GiB are still to come, and {directory} has {free / GIB:.1f} GiB free"
        hint = f"free {(needed + RESERVE - free) / GIB:.1f} GiB; llmflake-kept tells what may go"
        raise RefusedError(os.EX_CANTCREAT, f"{what}; {hint}")


def _download(manifest: dict[str, Any], state: State, file: Wanted) -> None:
    """Download a file, and once more if it is not right: what was damaged on the way is right then."""
    part = part_of(state.directory, file)
    part.parent.mkdir(exist_ok=True)
    found = None
    for again in (True, False):
        resume(manifest, file, part)
        found = difference(part, file)
        if found is None:
            _place(state, file, part)
            return
        part.unlink()
        say(f"{found}{'; downloading it again' if again else ''}")
    what = f"{found}: {manifest['repository']} at {manifest['revision']} is not what was pinned"
    raise RefusedError(os.EX_DATAERR, f"{what}; look at the repository, then run llmflake lock")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
