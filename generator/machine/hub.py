# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""What a download asks of the hub: which files there are, and their bytes, for as long as waiting may help."""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from generator.machine.files import Wanted

if TYPE_CHECKING:
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_ENTRY = {errno.EACCES, errno.EPERM, errno.EROFS}
RANGE = 4 << 30
"""The most bytes that one request asks for: the hub's storage refuses to send 50 GB at once."""
TIMEOUT = 60.0
"""Seconds that nothing may come in."""
_CHUNK = 1 << 20
_PARTIAL = 206
_LATER = {408, 425, 429}
_SERVER_ERROR = 500


class RefusedError(Exception):
    """The download ends; ``code`` is the exit code (sysexits.h): its unit starts again after EX_TEMPFAIL alone."""

    def __init__(self, code: int, message: str) -> None:
        """Say what it is, and what to do."""
        super().__init__(message)
        self.code = code


def listing_of(repository: str, revision: str, include: list[str], exclude: list[str]) -> list[Wanted]:
    """Return the files that the hub has at a commit and that are chosen, by path. Raises RefusedError where none is."""
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


def resume(manifest: dict[str, Any], file: Wanted, part: Path) -> None:
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
