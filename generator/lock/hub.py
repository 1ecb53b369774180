"""The model hub: which commit a revision is, which files it has, and what they hash to."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from generator.errors import Location, LockError, Problem
from generator.lock.limits import REQUEST_SECONDS, Limits, TemporaryError
from generator.spec.pins import FilePin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    _Result = TypeVar("_Result")

_TOKEN = "set HF_TOKEN, or HF_TOKEN_PATH to a file that holds it"  # noqa: S105 - says where a token goes
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the hub lists it: ``sha256`` where it is stored as LFS, else only git's own hash of it, ``blob``."""

    path: str
    size: int
    sha256: str | None
    blob: str


@dataclass(frozen=True, slots=True)
class Hub:
    """A model hub; ``endpoint`` None is the public one, or HF_ENDPOINT; ``limits`` says how long to try.

    huggingface_hub takes the token from the environment or a file: it is never seen here.
    """

    limits: Limits
    endpoint: str | None = None

    def commit(self, repository: str, revision: str) -> str:
        """Return the commit that a branch, a tag or a commit of a repository is now."""
        info = self._ask(repository, revision, lambda: self._api().model_info(repository, revision=revision))
        return str(info.sha)

    def files(self, repository: str, commit: str, include: Sequence[str], exclude: Sequence[str]) -> tuple[Listed, ...]:
        """Return the files of a repository that the patterns select, sorted by path; never git's own and README.md."""
        from huggingface_hub.hf_api import RepoFile
        from huggingface_hub.utils import filter_repo_objects

        tree = self._ask(
            repository,
            commit,
            lambda: list(self._api().list_repo_tree(repository, recursive=True, revision=commit)),
        )
        listed = [
            Listed(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
            for entry in tree
            if isinstance(entry, RepoFile) and not entry.path.startswith(".git") and entry.path != "README.md"
        ]
        chosen = filter_repo_objects(
            listed, allow_patterns=list(include) or None, ignore_patterns=list(exclude), key=lambda file: file.path
        )
        files = tuple(sorted(chosen, key=lambda file: file.path))
        if not files:
            self._refuse(repository, f"include and exclude leave no file of commit {commit}", "correct the patterns")
        return files

    def pin(self, repository: str, commit: str, file: Listed) -> FilePin:
        """Return a file's pin: from the hub's listing, or, where that has no SHA-256, from the file itself.

        Raises LockError when the file is not the one that the listing names.
        """
        sha256 = file.sha256 or self._ask(repository, commit, lambda: self._fetch(repository, commit, file))
        return FilePin(file.path, file.size, sha256)

    def _fetch(self, repository: str, commit: str, file: Listed) -> str:
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

        url = hf_hub_url(repository, file.path, revision=commit, endpoint=self._api().endpoint)
        sha256 = hashlib.sha256()
        blob = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        size = 0
        # "identity": a compressed answer has another length.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        with get_session().stream("GET", url, headers=headers, follow_redirects=True) as response:
            hf_raise_for_status(response)
            for chunk in response.iter_bytes(_CHUNK):
                sha256.update(chunk)
                blob.update(chunk)
                size += len(chunk)
        if size < file.size:
            raise TemporaryError(f"{file.path} was cut off after {size} of {file.size} bytes")
        if blob.hexdigest() != file.blob:
            what = f"{file.path} is not the file of commit {commit}: its git hash is {blob.hexdigest()}"
            self._refuse(
                repository, f"{what}, and the hub lists {file.blob}", "try again; if it stays so, tell the hub"
            )
        return sha256.hexdigest()

    def _api(self) -> Any:  # noqa: ANN401 - huggingface_hub is imported only where it is used
        from huggingface_hub import HfApi, get_session

        get_session().timeout = REQUEST_SECONDS  # its own default is to wait for ever
        return HfApi(endpoint=self.endpoint)

    def _ask(self, repository: str, revision: str, request: Callable[[], _Result]) -> _Result:
        return self.limits.call(self._api().endpoint, lambda: self._translated(repository, revision, request))

    def _translated(self, repository: str, revision: str, request: Callable[[], _Result]) -> _Result:
        from huggingface_hub import errors, get_session

        library: Any = sys.modules[type(get_session()).__module__.partition(".")[0]]  # httpx, or what replaced it
        try:
            return request()
        except errors.GatedRepoError:
            self._refuse(
                repository, "this repository is for those who accepted its terms", f"accept them, and {_TOKEN}"
            )
        except errors.RevisionNotFoundError:
            self._refuse(repository, f'there is no branch, tag or commit "{revision}"', "name one that is there")
        except errors.RepositoryNotFoundError:
            self._refuse(repository, *self._no_repository())
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status not in _LATER:
                self._refuse(repository, f"the hub answered {status}", _TOKEN if status in {401, 403} else "")
            raise TemporaryError(f"the hub answered {status}", _seconds(error.response.headers)) from None
        except library.TransportError as error:
            raise TemporaryError(_reason(error)) from None

    def _no_repository(self) -> tuple[str, str]:
        from huggingface_hub import get_token

        if get_token():
            return "the hub has no such repository, or does not show it to this token", "correct its name, or the token"
        return "the hub has no such repository, or it is private", f"correct its name; for a private one {_TOKEN}"

    def _refuse(self, repository: str, what: str, hint: str) -> NoReturn:
        place = Location(f"{self._api().endpoint}/{repository}")
        raise LockError((Problem(place, "", what, hint),)) from None


def _seconds(headers: Any) -> float:  # noqa: ANN401 - of either library
    value = str(headers.get("Retry-After", ""))
    return float(value) if value.isdecimal() else 0.0


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text[:1].lower() + text[1:]
