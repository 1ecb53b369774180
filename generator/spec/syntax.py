"""TOML and JSON as data; what is wrong with a text, at its place, with what to do."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, NoReturn

from generator.errors import Location, Problem, SpecError
from generator.spec import positions
from generator.spec.paths import path_text
from generator.spec.positions import MAX_DEPTH

if TYPE_CHECKING:
    from generator.spec.positions import DataPath

_MAX_DIGITS = 20  # the 64-bit integer with the longest text: -9223372036854775808
MAX_INTEGER = (1 << 63) - 1
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


def refuse(name: str, what: str, hint: str, *, position: tuple[int, int] = (0, 0), path: DataPath = ()) -> NoReturn:
    """Raise SpecError with one problem of a file."""
    raise SpecError((Problem(Location(name, *position), path_text(path), what, hint),)) from None


def end_of(text: str) -> tuple[int, int]:
    """Return line and column of what follows a text, from 1."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _refuse_control(name: str, text: str, pattern: re.Pattern[str]) -> None:
    match = pattern.search(text)
    if match:
        what = f"the control character U+{ord(match[0]):04X} is not allowed"
        hint = (
            "remove it, or write it as an escape in a string" if match[0] != "\0" else "remove it; Nix cannot hold it"
        )
        refuse(name, what, hint, position=end_of(text[: match.start()]))


def _hint(message: str) -> str:
    return next((hint for start, hint in _HINTS if message.startswith(start)), "correct the syntax")


def parse_toml(name: str, text: str) -> object:
    """Return the data of a TOML text. Raise SpecError where it is none, or more than Nix could hold."""
    _refuse_control(name, text, _TOML_CONTROL)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_MESSAGE.fullmatch(str(error))
        message, line, column = match.groups() if match else (str(error), None, None)
        message = message[:1].lower() + message[1:]
        again = positions.toml_redefinition(text) if message.startswith(("cannot ", "duplicate ")) else None
        if again:
            refuse(name, *_redefined(again), position=again.again, path=again.path)
        hint = (
            "the text looks like JSON: give the file a name that ends in .json"
            if text.lstrip()[:1] == "{"
            else _hint(message)
        )
        refuse(name, message, hint, position=(int(line), int(column)) if line and column else end_of(text))
    except RecursionError:
        _refuse_depth(name, text, is_json=False)
    except ValueError:  # Python converts no integer of more than some thousand digits
        path, position = positions.toml_integer_longer_than(_MAX_DIGITS, text) or ((), (0, 0))
        refuse(name, *too_large(), position=position, path=path)


def parse_json(name: str, text: str) -> object:
    """Return the data of a JSON text. Raise SpecError where it is none, or has a key twice."""
    _refuse_control(name, text, _CONTROL)
    repeated = False

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        result = dict(pairs)
        repeated |= len(result) < len(pairs)
        return result

    def integer(digits: str) -> int:
        return int(digits) if len(digits) <= _MAX_DIGITS else MAX_INTEGER + 1

    try:
        data = json.loads(text, object_pairs_hook=table, parse_int=integer)
    except json.JSONDecodeError as error:
        message = error.msg[:1].lower() + error.msg[1:]
        refuse(name, message, _hint(message), position=(error.lineno, error.colno))
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


def too_large() -> tuple[str, str]:
    """Return what to say of an integer that Nix cannot hold."""
    return "this integer does not fit in 64 bits", f"write one from {-MAX_INTEGER - 1} to {MAX_INTEGER}"


def too_deep() -> tuple[str, str]:
    """Return what to say of a value below ``MAX_DEPTH``."""
    return "this is nested too deeply", f"nest at most {MAX_DEPTH} levels"


def _refuse_depth(name: str, text: str, *, is_json: bool) -> NoReturn:
    path, position = positions.first_too_deep(text, is_json=is_json) or ((), (0, 0))
    refuse(name, *too_deep(), position=position, path=path)
