r"""Python values as Nix text in RFC 166 layout: the sole owner of Nix escaping.

JSON's escapes are not Nix's (``"\u0041"`` is ``u0041`` in Nix, and ``${`` stays alive): nothing here goes through JSON.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
# Nix takes "or" as a name, but formatters and other parsers stumble over it; true, false and null are plain names.
_KEYWORDS = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_SIMPLE_CODE = re.compile(r"[A-Za-z0-9_./'][A-Za-z0-9_./'-]*")  # a name, a selection, a path, a number


@dataclass(frozen=True, slots=True)
class Code:
    """Constant Nix source without any data in it, printed as it is; its further lines are indented with the first.

    Text of many lines in double quotes would change with that; text in ``''`` does not.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Commented:
    """A binding's value with a comment above it and a blank line above that; an empty comment is just the line."""

    value: object
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Dotted:
    """Bindings whose nested sets of one binding each are written ``a.b.c = …;``."""

    bindings: Mapping[str, object]


def print_nix(value: object, *, indent: int = 0) -> str:  # noqa: PLR0911 - one for each kind of value
    """Return a value as Nix: None, bool, int, float, str, lists, tuples, mappings, and the classes above.

    ``indent`` is the depth, in steps of two spaces, of the line on which the text begins; lines after it are indented
    by that.

    Raises ValueError for what Nix cannot hold: NUL, lone surrogates, integers beyond 64 bit, infinities; TypeError for
    other types.
    """
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return _integer(value)
        case float():
            return _float(value)
        case str():
            return _string(value)
        case Code(text):
            return re.sub(r"\n(?=[^\n])", "\n" + "  " * indent, text)
        case Dotted(bindings):
            return _set(bindings, indent, dotted=True)
        case Mapping():
            return _set(value, indent, dotted=False)
        case list() | tuple():
            return _list(value, indent)
    raise TypeError(f"Nix has no {type(value).__name__}")


def _name(text: object) -> str:
    """Return an attribute name, quoted where it must be."""
    if not isinstance(text, str):
        raise TypeError(f"names in Nix are strings, and {text!r} is none")
    return text if _IDENTIFIER.fullmatch(text) and text not in _KEYWORDS else _string(text)


def _string(text: str) -> str:
    escaped = "".join(_ESCAPES.get(char, char) for char in _checked(text))
    # "$${" would be read as an escaped dollar: every dollar before a brace is escaped by itself.
    return '"' + re.sub(r"\$(?=\$*\{)", r"\\$", escaped) + '"'


def _checked(text: str) -> str:
    if "\0" in text:
        raise ValueError("Nix text cannot hold a NUL character")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("Nix text cannot hold a lone surrogate")
    return text


def _integer(value: int) -> str:
    if not _INT_MIN <= value <= _INT_MAX:
        raise ValueError(f"{value} does not fit into Nix's 64 bit")
    # Nix reads -x as "minus x", and x alone would not fit.
    return f"({_INT_MIN + 1} - 1)" if value == _INT_MIN else str(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"Nix has no {value}")
    smallest = sys.float_info.min
    if value == 0 and math.copysign(1, value) < 0:
        return "(0.0 * -1)"  # Nix reads -0.0 as 0 - 0.0, which is 0.0
    if 0 < abs(value) < smallest:
        # Nix refuses to read subnormal numbers, and calculates with them; both factors and the product are exact.
        return f"({_float(value / smallest)} * {_float(smallest)})"
    mantissa, e, exponent = repr(value).partition("e")
    # "1e-07" is no number in Nix, "1.0e-07" is.
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{e}{exponent}"


def _list(items: list[object] | tuple[object, ...], indent: int) -> str:
    if not items:
        return "[ ]"
    texts = [_element(item, indent + 1) for item in items]
    if len(texts) == 1 and "\n" not in texts[0]:
        return f"[ {texts[0]} ]"
    inner = "  " * (indent + 1)
    return "[\n" + "".join(f"{inner}{text}\n" for text in texts) + "  " * indent + "]"


def _element(item: object, indent: int) -> str:
    text = print_nix(item, indent=indent)
    # In a list "f x" are two elements, and "-1" is none.
    compound = not _SIMPLE_CODE.fullmatch(text) if isinstance(item, Code) else text.startswith("-")
    return f"({text})" if compound else text


def _set(bindings: Mapping[str, object], indent: int, *, dotted: bool) -> str:
    if not bindings:
        return "{ }"
    lines: list[str] = []
    for key, value in bindings.items():
        lines += _binding(key, value, indent + 1, dotted=dotted, first=not lines)
    return "\n".join(["{", *lines, "  " * indent + "}"])


def _binding(key: str, value: object, indent: int, *, dotted: bool, first: bool) -> list[str]:
    lines = []
    inner = "  " * indent
    if isinstance(value, Commented):
        lines += [] if first else [""]
        lines += [f"{inner}# {line}".rstrip() for line in _checked(value.comment).splitlines()]
        value = value.value
    path = [key]
    while dotted and isinstance(value, Mapping) and len(value) == 1:
        ((only, below),) = value.items()
        if isinstance(below, Commented):
            break
        path.append(only)
        value = below
    if dotted and isinstance(value, Mapping):
        value = Dotted(value)
    left = f"{inner}{'.'.join(_name(part) for part in path)} ="
    if isinstance(value, Code) and "\n" in value.text:
        return [*lines, left, f"{inner}  {print_nix(value, indent=indent + 1)};"]
    return [*lines, f"{left} {print_nix(value, indent=indent)};"]
