"""A spec file as text, as data, and as a map from the one to the other.

What no later stage could use is refused here: what cannot be read or parsed, or is parsed but has no place in Nix.
"""

from __future__ import annotations

import functools
import json
import math
import re
import sys
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from generator.errors import Location, Problem, SpecError, printable
from generator.spec import positions
from generator.spec.positions import MAX_DEPTH, DataPath

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

Format = Literal["toml", "json"]

MAX_BYTES = 4 << 20
MAX_SHOWN = 60
"""The most characters of a key or value that a message shows."""

_MAX_DIGITS = 20  # the 64-bit integer with the longest text: -9223372036854775808
_MAX_INTEGER = (1 << 63) - 1
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_TOML_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_TOML_MESSAGE = re.compile(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")
_HINTS = (  # beginnings of the parsers' messages
    ("cannot ", "define each key and table once"),
    ("duplicate ", "define each key and table once"),
    (
        "expected '=' after a key",
        "write key = value; put quotes around a key with other characters than A-Z a-z 0-9 - _",
    ),
    ("expected newline or end", "put each key = value on a line of its own, and quotes around strings and wrong dates"),
    ("illegal character '\\n'", "close the string on its line, or write it between three quotes"),
    ("unescaped", "write two backslashes, or put the string between single quotes"),
    ("invalid value", "put quotes around a string; true and false are lower case"),
    ("expected", "close what is open"),
    ("unclosed", "close what is open"),
    ("illegal trailing comma", "remove the comma"),
    ("expecting property name", "put double quotes around the key, and no comma after the last one"),
    ("expecting value", "put double quotes around a string; true, false and null are lower case; JSON has no comments"),
    ("expecting ','", "put a comma between the values, or close the list"),
    ("expecting ':'", "put a colon between key and value"),
    ("extra data", "keep one object, and nothing after it"),
    ("invalid control", "close the string on its line, or write the character as an escape like \\n"),
    ("invalid \\escape", "write two backslashes"),
    ("unterminated string", "close the string"),
)


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
    data = _parse_json(name, text) if is_json else _parse_toml(name, text)
    if not isinstance(data, dict):
        _refuse(name, "the top level is not an object", "write { … } around it", position=(1, 1))
    source = Source(name, text, "json" if is_json else "toml", data)
    problems = tuple(sorted(_unfit(source)))
    if problems:
        raise SpecError(problems)
    return source


def walk(data: object) -> Iterator[tuple[DataPath, Any]]:
    """Yield every value of nested data with its path, without recursion; nothing below ``MAX_DEPTH`` + 1."""
    todo: list[tuple[DataPath, Any]] = [((), data)]
    while todo:
        path, value = todo.pop()
        yield path, value
        if len(path) > MAX_DEPTH:
            continue
        if isinstance(value, dict):
            todo.extend(((*path, key), item) for key, item in value.items())
        elif isinstance(value, list):
            todo.extend(((*path, index), item) for index, item in enumerate(value))


def path_text(path: DataPath) -> str:
    """Return a path as people write it, ``services."my llm".args[0]``: on one line, and no key endlessly long."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            bare = len(step) <= MAX_SHOWN and _BARE_KEY.fullmatch(step)
            text += ("." if text else "") + (step if bare else quoted(step))
    return text


def quoted(text: str) -> str:
    """Return a text in quotes: on one line, and shortened to what a message shows."""
    plain = json.dumps(shortened(text), ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in plain)


def shortened(text: str) -> str:
    """Return a text, cut at the length that a message shows."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _refuse(name: str, what: str, hint: str, *, position: tuple[int, int] = (0, 0), path: DataPath = ()) -> NoReturn:
    raise SpecError((Problem(Location(name, *position), path_text(path), what, hint),)) from None


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
        _refuse(name, "there is no such file", "give the path of a spec, or - to read it from standard input")
    except IsADirectoryError:
        _refuse(name, "this is a directory", "give the path of a spec file in it")
    except PermissionError:
        _refuse(name, "you may not read this file", "make it readable, as with chmod u+r")
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        _refuse(name, f"cannot be read: {reason[:1].lower()}{reason[1:]}", "give the path of a spec file")
    if len(data) > MAX_BYTES:
        _refuse(
            name, f"the file is larger than {MAX_BYTES >> 20} MiB", "give a spec; models and logs do not belong in one"
        )
    return data


def _decode(name: str, data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        _refuse(name, "the file begins with a byte order mark", "save it as UTF-8 without BOM", position=(1, 1))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        what = f"byte 0x{data[error.start]:02x} is not UTF-8 text"
        _refuse(name, what, "save the file as UTF-8", position=_end(data[: error.start].decode()))
    if not text.strip():
        _refuse(name, "the file is empty", "describe a deployment in it; the folder examples shows how")
    return text


def _end(text: str) -> tuple[int, int]:
    """Return line and column of what follows a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _refuse_control(name: str, text: str, pattern: re.Pattern[str]) -> None:
    match = pattern.search(text)
    if match:
        what = f"the control character U+{ord(match[0]):04X} is not allowed"
        hint = (
            "remove it, or write it as an escape in a string" if match[0] != "\0" else "remove it; Nix cannot hold it"
        )
        _refuse(name, what, hint, position=_end(text[: match.start()]))


def _hint(message: str) -> str:
    return next((hint for start, hint in _HINTS if message.startswith(start)), "correct the syntax")


def _parse_toml(name: str, text: str) -> object:
    _refuse_control(name, text, _TOML_CONTROL)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_MESSAGE.fullmatch(str(error))
        message, line, column = match.groups() if match else (str(error), None, None)
        message = message[:1].lower() + message[1:]
        again = positions.toml_redefinition(text) if message.startswith(("cannot ", "duplicate ")) else None
        if again:
            _refuse(name, *_redefined(again), position=again.again, path=again.path)
        hint = (
            "the text looks like JSON: give the file a name that ends in .json"
            if text.lstrip()[:1] == "{"
            else _hint(message)
        )
        _refuse(name, message, hint, position=(int(line), int(column)) if line and column else _end(text))
    except RecursionError:
        _refuse_depth(name, text, is_json=False)
    except ValueError:  # Python converts no integer of more than some thousand digits
        path, position = positions.toml_integer_longer_than(_MAX_DIGITS, text) or ((), (0, 0))
        _refuse(name, *_too_large(), position=position, path=path)


def _parse_json(name: str, text: str) -> object:
    _refuse_control(name, text, _CONTROL)
    repeated = False

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        result = dict(pairs)
        repeated |= len(result) < len(pairs)
        return result

    def integer(digits: str) -> int:
        return int(digits) if len(digits) <= _MAX_DIGITS else _MAX_INTEGER + 1

    try:
        data = json.loads(text, object_pairs_hook=table, parse_int=integer)
    except json.JSONDecodeError as error:
        message = error.msg[:1].lower() + error.msg[1:]
        _refuse(name, message, _hint(message), position=(error.lineno, error.colno))
    except RecursionError:
        _refuse_depth(name, text, is_json=True)
    if repeated:
        raise SpecError(
            tuple(
                Problem(Location(name, *again.again), path_text(again.path), *_redefined(again))
                for again in positions.json_redefinitions(text)
            )
        )
    return data


def _redefined(again: positions.Redefinition) -> tuple[str, str]:
    line, column = again.first
    return "this key is defined twice", f"it is first defined at line {line}, column {column}; keep one"


def _too_large() -> tuple[str, str]:
    return "this integer does not fit in 64 bits", f"write one from {-_MAX_INTEGER - 1} to {_MAX_INTEGER}"


def _too_deep() -> tuple[str, str]:
    return "this is nested too deeply", f"nest at most {MAX_DEPTH} levels"


def _refuse_depth(name: str, text: str, *, is_json: bool) -> NoReturn:
    path, position = positions.first_too_deep(text, is_json=is_json) or ((), (0, 0))
    _refuse(name, *_too_deep(), position=position, path=path)


def _unfit(source: Source) -> Iterator[Problem]:
    """Yield a problem for each value that was parsed but that Nix, or the files we write for it, cannot hold."""
    for path, value in walk(source.data):
        if len(path) > MAX_DEPTH:
            yield source.problem(path, *_too_deep())
        elif isinstance(value, dict):
            for key in value:
                if _unfit_text(key):
                    yield source.problem((*path, key), *_unfit_text(key), key=True)
        elif isinstance(value, str) and _unfit_text(value):
            yield source.problem(path, *_unfit_text(value))
        elif isinstance(value, int) and not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER:
            yield source.problem(path, *_too_large())
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
