# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Bring a model's files onto this machine, exactly as pinned: ``python -m generator.machine.fetch MANIFEST``.

The manifest is JSON: repository, revision (a commit), include, exclude, directory, and files (each with path, size and
sha256), or null where the hub is to say which files there are. Files that are there and right are not touched, what is
half there is resumed, and nothing counts as there before its size and hash are right. What another revision wanted is
kept by its hash, for the way back, until llmflake-kept removes it. While the hub cannot be reached this waits and tries
again; what waiting does not cure ends it, with an exit code of its own.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from generator.machine.directories import register
from generator.machine.files import PARTS, State, Wanted, difference, is_below, kept_of, link, part_of, selection_of

GIB = 1 << 30
RESERVE = GIB
"""Bytes that stay free."""
WAITS = (1, 5, 15, 60, 300)
"""Seconds before each next try; the last again and again."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_ENTRY = {errno.EACCES, errno.EPERM, errno.EROFS}
RANGE = 4 * GIB
"""The most bytes that one request asks for: the hub's storage refuses to send 50 GB at once."""
TIMEOUT = 60.0
"""Seconds that nothing may come in."""
_CHUNK = 1 << 20
_PARTIAL = 206
_LATER = {408, 425, 429}
_SERVER_ERROR = 500


class RefusedError(Exception):
    """The download cannot succeed by trying again; ``code`` is the exit code (sysexits.h)."""

    def __init__(self, code: int, message: str) -> None:
        """Say what it is, and what to do."""
        super().__init__(message)
        self.code = code


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
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
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
    finally:
        os.close(descriptor)


def files_of(manifest: dict[str, Any], state: State) -> list[Wanted]:
    """Return the files that are wanted: those of the manifest, or those that the hub lists at that commit."""
    if manifest["files"] is not None:
        return [Wanted(file["path"], file["size"], f"sha256:{file['sha256']}") for file in manifest["files"]]
    selection = selection_of(manifest)
    if state.selection != selection or state.listing is None:
        listing = _listing(*(manifest[key] for key in ("repository", "revision", "include", "exclude")))
        state.selection, state.listing = selection, listing
        state.write()
    return state.listing


def _listing(repository: str, revision: str, include: list[str], exclude: list[str]) -> list[Wanted]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile
    from huggingface_hub.utils import filter_repo_objects

    tree = HfApi().list_repo_tree(repository, recursive=True, revision=revision)
    files = [
        Wanted(entry.path, entry.size, f"sha256:{entry.lfs.sha256}" if entry.lfs else f"git:{entry.blob_id}")
        for entry in tree
        if isinstance(entry, RepoFile) and not entry.path.startswith(".git") and entry.path != "README.md"
    ]
    chosen = filter_repo_objects(
        files, allow_patterns=include or None, ignore_patterns=exclude, key=lambda file: file.path
    )
    listing = sorted(chosen, key=lambda file: file.path)
    if not listing:
        raise RefusedError(os.EX_DATAERR, f"include and exclude leave no file of {repository} at {revision}")
    return listing


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
        _continue(manifest, file, part)
        found = difference(part, file)
        if found is None:
            _place(state, file, part)
            return
        part.unlink()
        say(f"{found}{'; downloading it again' if again else ''}")
    what = f"{found}: {manifest['repository']} at {manifest['revision']} is not what was pinned"
    raise RefusedError(os.EX_DATAERR, f"{what}; look at the repository, then run llmflake lock")


def _continue(manifest: dict[str, Any], file: Wanted, part: Path) -> None:
    """Download what is missing of a file, a range at a time.

    huggingface_hub's own function begins a file anew in every process (in 2.4.0), and refuses files of more than 50 GB
    without its native extension; its session, addresses, headers and errors are used here.
    """
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(manifest["repository"], file.path, revision=manifest["revision"])
    with part.open("ab") as opened:
        while (have := opened.tell()) < file.size:
            last = min(have + RANGE, file.size) - 1
            # "identity": of a compressed answer, no range can be asked for. The session drops the token on the way to
            # another host.
            headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={have}-{last}"}
            with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT) as response:
                hf_raise_for_status(response)
                if response.status_code != _PARTIAL:  # the whole file comes, from its beginning
                    opened.truncate(0)
                for chunk in response.iter_bytes(_CHUNK):
                    opened.write(chunk)
            if opened.tell() == have:
                raise OSError(f"the hub sent nothing of {file.path}")


def patiently(waits: tuple[float, ...], attempt: Any) -> Any:  # noqa: ANN401 - whatever the attempt returns
    """Return what an attempt returns; try again for ever where waiting may help."""
    count = 0
    while True:
        try:
            return attempt()
        except Exception as error:
            message = _hopeful(error)
            if message is None:
                raise
            wait = waits[min(count, len(waits) - 1)]
            say(f"{message}; trying again in {wait:g} s")
            time.sleep(wait)
            count += 1


def _hopeful(error: Exception) -> str | None:
    """Return what to say of an error that may be over soon; None of one that is no such error.

    Raises RefusedError for what waiting does not cure.
    """
    from huggingface_hub import errors, get_session

    library: Any = sys.modules[type(get_session()).__module__.partition(".")[0]]  # httpx, or what replaced it
    token = "put a token where llmflake.hubTokenFile says"  # noqa: S105 - says where one goes
    if isinstance(error, errors.LocalEntryNotFoundError | library.TransportError):
        return f"the hub cannot be reached: {_first_line(error)}"
    if isinstance(error, errors.GatedRepoError):
        raise RefusedError(
            os.EX_NOPERM, f"this repository is for those who accepted its terms: accept them, and {token}"
        )
    if isinstance(error, errors.RevisionNotFoundError | errors.EntryNotFoundError):
        raise RefusedError(os.EX_UNAVAILABLE, f"the hub has it no more: {_first_line(error)}; run llmflake lock")
    if isinstance(error, errors.RepositoryNotFoundError):
        raise RefusedError(os.EX_UNAVAILABLE, f"there is no such repository, or it is private: correct it, or {token}")
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in _LATER or status >= _SERVER_ERROR:
            return f"the hub answered {status}"
        raise RefusedError(os.EX_UNAVAILABLE, f"the hub answered {status}; {token}")
    if isinstance(error, OSError) and error.errno in _FULL:
        raise RefusedError(os.EX_CANTCREAT, "no space left; free some")
    if isinstance(error, OSError) and error.errno in _NO_ENTRY:
        raise RefusedError(os.EX_NOPERM, f"{error.filename or 'the directory'} is not writable; allow it")
    return _first_line(error) if isinstance(error, OSError) else None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def say(text: str) -> None:
    """Print a line at once: it goes to the journal."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
