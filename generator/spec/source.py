"""A spec file as text, as data, and as a map from the one to the other.

What no later stage could use is refused here: what cannot be read or parsed, or is parsed but has no place in Nix.
"""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from generator.errors import Location, Problem, SpecError, printable
from generator.spec import positions
from generator.spec.paths import path_text, walk
from generator.spec.positions import MAX_DEPTH, DataPath
from generator.spec.syntax import MAX_INTEGER, end_of, parse_json, parse_toml, refuse, too_deep, too_large

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

Format = Literal["toml", "json"]

MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A spec that was read and parsed; ``name`` is the path as the user gave it."""

    name: str
    text: str
    format: Format
    data: dict[str, Any]

    def locate(self, path: DataPath, *, key: bool = False) -> Location:
        """Return where the value at a path stands, or its key; of a path that is not there, the nearest table."""
        spans = _spans(self.text, self.format)
        found = next(end for end in range(len(path), -1, -1) if path[:end] in spans)
        span = spans[path[:found]]
        return Location(self.name, *(span.key if key and found == len(path) else span.value))

    def problem(self, path: DataPath, what: str, hint: str, *, key: bool = False) -> Problem:
        """Return a problem with the value at a path, or with its key; what it quotes of the spec is put on one line."""
        return Problem(self.locate(path, key=key), path_text(path), printable(what), printable(hint))


def read_source(path: pathlib.Path | str) -> Source:
    """Read and parse a spec: JSON if its name ends so, else TOML; ``-`` is standard input, in either.

    Raise SpecError if it is not a text that holds one table of values that Nix can hold.
    """
    name = "<stdin>" if str(path) == "-" else str(path)
    text = _decode(name, _read(name, path))
    is_json = text.lstrip().startswith("{") if name == "<stdin>" else name.lower().endswith(".json")
    data = parse_json(name, text) if is_json else parse_toml(name, text)
    if not isinstance(data, dict):
        refuse(name, "the top level is not an object", "write { … } around it", position=(1, 1))
    source = Source(name, text, "json" if is_json else "toml", data)
    problems = tuple(sorted(_unfit(source)))
    if problems:
        raise SpecError(problems)
    return source


@functools.lru_cache(maxsize=2)
def _spans(text: str, form: Format) -> Mapping[DataPath, positions.Span]:
    return positions.json_positions(text) if form == "json" else positions.toml_positions(text)


def _read(name: str, path: pathlib.Path | str) -> bytes:
    try:
        if name == "<stdin>":
            data = sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""
        else:
            with open(path, "rb") as file:  # noqa: PTH123 - a Path would make "" the current directory
                data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        refuse(name, "there is no such file", "give the path of a spec, or - to read it from standard input")
    except IsADirectoryError:
        refuse(name, "this is a directory", "give the path of a spec file in it")
    except PermissionError:
        refuse(name, "you may not read this file", "make it readable, as with chmod u+r")
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        refuse(name, f"cannot be read: {reason[:1].lower()}{reason[1:]}", "give the path of a spec file")
    if len(data) > MAX_BYTES:
        refuse(
            name, f"the file is larger than {MAX_BYTES >> 20} MiB", "give a spec; models and logs do not belong in one"
        )
    return data


def _decode(name: str, data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        refuse(name, "the file begins with a byte order mark", "save it as UTF-8 without BOM", position=(1, 1))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        what = f"byte 0x{data[error.start]:02x} is not UTF-8 text"
        refuse(name, what, "save the file as UTF-8", position=end_of(data[: error.start].decode()))
    if not text.strip():
        refuse(name, "the file is empty", "describe a deployment in it; the folder examples shows how")
    return text


def _unfit(source: Source) -> Iterator[Problem]:
    """Yield a problem for each value that was parsed but that Nix, or the files we write for it, cannot hold."""
    for path, value in walk(source.data):
        if len(path) > MAX_DEPTH:
            yield source.problem(path, *too_deep())
        elif isinstance(value, dict):
            for key in value:
                if _unfit_text(key):
                    yield source.problem((*path, key), *_unfit_text(key), key=True)
        elif isinstance(value, str) and _unfit_text(value):
            yield source.problem(path, *_unfit_text(value))
        elif isinstance(value, int) and not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
            yield source.problem(path, *too_large())
        elif isinstance(value, float) and source.format == "json" and not math.isfinite(value):
            yield source.problem(
                path, "this number is not finite", "write a smaller number; JSON has no NaN and Infinity"
            )


def _unfit_text(text: str) -> tuple[str, str] | tuple[()]:
    if "\0" in text:
        return "this text holds a NUL character", "remove it; Nix cannot hold it"
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "this text holds half of a surrogate pair", "write both halves, or the character itself"
    return ()
