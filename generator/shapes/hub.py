"""The hub's metadata of a repository as a shape and bytes, through huggingface_hub; weights are never downloaded.

Of a repository come the list of its files with their sizes, its config.json and index, and the first bytes of its
safetensors files, which are their headers. The endpoint is HF_ENDPOINT's, and the token the library's own, which is
never printed: no message of the library is passed on.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from generator.errors import ShapeError
from generator.shapes import config, safetensors
from generator.shapes.fields import wrong
from generator.shapes.files import FileBytes, Measured, parts, refuse_missing, without_copies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from huggingface_hub import HfApi

    from generator.shapes.shape import Shape

_FILES_INSTEAD = "or give the model's files: config.json and its index, or a GGUF file"
_LOG_IN = "hf auth login"
_NOT_FOUND, _UNAUTHORISED, _FORBIDDEN, _TOO_MANY = 404, 401, 403, 429
_NOT_MODELS = ("*mmproj*", "*imatrix*", "*.imatrix.gguf")
_CONNECTIONS = 8


def read_repository(  # noqa: PLR0913 - what a request is made of
    repository: str,
    *,
    revision: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    endpoint: str | None = None,
    timeout: float = 10.0,
) -> Measured:
    """Return shape and bytes of the model in a repository ("owner/name").

    ``include`` and ``exclude`` are patterns of file names as ``hf download`` has them; a repository of several GGUF
    files needs one. ``timeout`` is seconds without an answer; ``endpoint`` None leaves it to the library.

    Raises ShapeError, which says what to do: offline, unknown, gated, too many requests, broken answers, no weights.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    api = HfApi(endpoint=endpoint)
    place = f"{api.endpoint}/{repository}" + (f"@{revision}" if revision else "")
    with _explained(place), TemporaryDirectory(prefix="llmflake-") as folder:
        info = api.model_info(repository, revision=revision, files_metadata=True, timeout=timeout)
        sizes = {entry.rfilename: entry.size for entry in info.siblings or ()}
        found = _Repository(api, repository, info.sha or revision, place, sizes, Path(folder), timeout)
        wanted = [name for name in sizes if _matches(name, include, exclude)]
        if any(name.endswith(".safetensors") for name in wanted):
            return found.safetensors([name for name in wanted if name.endswith(".safetensors")])
        return found.gguf([name for name in wanted if name.endswith(".gguf")])


def _matches(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    wanted = not include or any(fnmatchcase(name, pattern) for pattern in include)
    return wanted and not any(fnmatchcase(name, pattern) for pattern in exclude)


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository at one commit: ``sizes`` are bytes by file name, None where the hub does not say them."""

    api: HfApi
    name: str
    revision: str | None
    place: str
    sizes: Mapping[str, int | None]
    folder: Path
    timeout: float

    def safetensors(self, names: Iterable[str]) -> Measured:
        """Return the model of safetensors files: those of the index, or all that are no copies."""
        shape = self.shape()
        listed = [name for name in without_copies(names) if "/" not in name]
        index = self.json(safetensors.INDEX)
        if index is not None:
            named = safetensors.index_files(index, f"{self.place}/{safetensors.INDEX}")
            refuse_missing(f"{self.place}/{safetensors.INDEX}", set(named) - set(self.sizes))
            listed = [name for name in named if name in set(listed)]
        if not listed:
            raise self.wrong("holds no weights that an engine would read", "check include and exclude")
        return Measured(shape, safetensors.split(self.tensors(listed), shape), tuple(sorted(listed)))

    def tensors(self, names: Iterable[str]) -> list[tuple[str, int]]:
        """Return names and bytes of the tensors in files, from their headers."""
        from concurrent.futures import ThreadPoolExecutor

        def header(name: str) -> list[tuple[str, int]]:
            found = self.api.parse_safetensors_file_metadata(self.name, name, revision=self.revision)
            return [(key, info.data_offsets[1] - info.data_offsets[0]) for key, info in found.tensors.items()]

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return [tensor for tensors in pool.map(header, names) for tensor in tensors]

    def gguf(self, names: Iterable[str]) -> Measured:
        """Return the model of GGUF files: their total, and the shape where a configuration is beside them."""
        models = {parts(name) for name in names if not any(fnmatchcase(name.lower(), other) for other in _NOT_MODELS)}
        if not models:
            raise self.wrong("holds neither safetensors nor GGUF files that match", "check include and exclude")
        if len(models) > 1:
            shown = ", ".join(sorted(model[0] for model in models)[:4]) + (" …" if len(models) > 4 else "")  # noqa: PLR2004
            raise self.wrong(f"holds {len(models)} models: {shown}", 'name one with include, as "*Q4_K_M*"')
        (files,) = models
        refuse_missing(self.place, set(files) - set(self.sizes))
        sizes = [self.sizes[name] for name in files]
        known = [size for size in sizes if size is not None]
        if len(known) != len(sizes):
            raise self.wrong("does not say how large its files are", "download them and give their path")
        shape = self.shape() if config.NAME in self.sizes else None
        # The configuration tells the format of the model that the file was made of, not the file's.
        return Measured(replace(shape, native_format=None) if shape else None, FileBytes(sum(known)), files)

    def shape(self) -> Shape:
        """Return the shape that the repository's configuration tells."""
        data = self.json(config.NAME)
        if data is None:
            raise self.wrong(f"has no {config.NAME}", "name a repository that has one, or give a GGUF file")
        beside = self.json(config.QUANTISATION)
        return config.read_config(config.with_quantisation(data, beside), f"{self.place}/{config.NAME}")

    def json(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return the content of a small file, None where the repository has none of that name."""
        if name not in self.sizes:
            return None
        path = self.api.hf_hub_download(
            self.name, name, revision=self.revision, cache_dir=self.folder, etag_timeout=self.timeout
        )
        try:
            return config.load_json(Path(path))
        except ShapeError as error:
            raise wrong(f"{self.place}/{name}", "", "is no JSON", "ask its owner, or try again") from error

    def wrong(self, what: str, hint: str) -> ShapeError:
        """Return the error for something about the repository."""
        return wrong(self.place, "", what, hint)


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into our error, in our words."""
    from huggingface_hub import errors
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise wrong(place, "", "is not asked: HF_HUB_OFFLINE is set", f"unset it, {_FILES_INSTEAD}") from error
    except errors.GatedRepoError as error:
        raise wrong(place, "", "is gated", f"accept its terms on its page, then {_LOG_IN}") from error
    except errors.RevisionNotFoundError as error:
        raise wrong(place, "", "has no such revision", "check the revision") from error
    except errors.RepositoryNotFoundError as error:
        what = "is not known, or private"
        raise wrong(place, "", what, f"check the name; for a private one {_LOG_IN}") from error
    except errors.HfHubHTTPError as error:
        raise _status(place, error.response.status_code) from error
    except (HTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        hint = f"check the network and HF_ENDPOINT, {_FILES_INSTEAD}"
        raise wrong(place, "", f"cannot be reached ({type(error).__name__})", hint) from error
    except errors.HFValidationError as error:
        raise wrong(place, "", "is no name of a repository", "write owner/name") from error
    except (ValueError, TypeError, KeyError, AttributeError, errors.SafetensorsParsingError) as error:
        raise wrong(place, "", "gives an answer that is not understood", f"try again, {_FILES_INSTEAD}") from error


def _status(place: str, status: int) -> ShapeError:
    if status == _TOO_MANY:
        return wrong(place, "", "had too many requests (429)", f"wait a few minutes, or {_LOG_IN}")
    if status in {_UNAUTHORISED, _FORBIDDEN}:
        return wrong(place, "", f"refuses this token ({status})", _LOG_IN)
    if status == _NOT_FOUND:
        return wrong(place, "", "is not there (404)", "check the name and the revision")
    return wrong(place, "", f"answers {status}", f"try again later, {_FILES_INSTEAD}")
