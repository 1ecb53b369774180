r"""Python values as Nix text in RFC 166 layout: the sole owner of Nix escaping.

JSON's escapes are not Nix's (``"\u0041"`` is ``u0041`` in Nix, and ``${`` stays alive): nothing here goes through JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
_KEYWORDS = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with", "__curPos"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Code:
    """Constant Nix source without any data in it, printed as it is."""

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


def print_nix(value: object, indent: int = 0) -> str:  # noqa: PLR0911 - one for each kind of value
    """Return a value as Nix: None, bool, int, float, str, lists, mappings, and the classes above.

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
            return text.replace("\n", "\n" + "  " * indent)
        case Dotted(bindings):
            return _set(bindings, indent, dotted=True)
        case Mapping():
            return _set(value, indent, dotted=False)
        case Sequence():
            return _list(value, indent)
    raise TypeError(f"Nix has no {type(value).__name__}")


def name(text: str) -> str:
    """Return an attribute name, quoted where it must be."""
    return text if _IDENTIFIER.fullmatch(text) and text not in _KEYWORDS else _string(text)


def _string(text: str) -> str:
    if "\0" in text:
        raise ValueError("Nix strings cannot hold a NUL character")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("Nix strings cannot hold a lone surrogate")
    escaped = "".join(_ESCAPES.get(char, char) for char in text)
    # "$${" would be read as an escaped dollar: every dollar before a brace is escaped by itself.
    return '"' + re.sub(r"\$(?=\$*\{)", r"\\$", escaped) + '"'


def _integer(value: int) -> str:
    if not _INT_MIN <= value <= _INT_MAX:
        raise ValueError(f"{value} does not fit into Nix's 64 bit")
    # Nix reads -x as "minus x", and x alone would not fit.
    return f"({_INT_MIN + 1} - 1)" if value == _INT_MIN else str(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"Nix has no {value}")
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    # "1e-07" is a name in Nix, "1.0e-07" a number.
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{e}{exponent}"


def _list(items: Sequence[object], indent: int) -> str:
    if not items:
        return "[ ]"
    texts = [_element(item, indent + 1) for item in items]
    if len(texts) == 1 and "\n" not in texts[0]:
        return f"[ {texts[0]} ]"
    inner = "  " * (indent + 1)
    return "[\n" + "".join(f"{inner}{text}\n" for text in texts) + "  " * indent + "]"


def _element(item: object, indent: int) -> str:
    text = print_nix(item, indent)
    # In a list "- 1" are two elements, and "f x" as well.
    compound = text.startswith("-") or (isinstance(item, Code) and re.search(r"\s", text) is not None)
    return f"({text})" if compound else text


def _set(bindings: Mapping[str, object], indent: int, *, dotted: bool) -> str:
    if not bindings:
        return "{ }"
    inner = "  " * (indent + 1)
    lines = []
    for index, (key, bound) in enumerate(bindings.items()):
        value = bound
        if isinstance(value, Commented):
            if index:
                lines.append("")
            lines += [f"{inner}# {line}".rstrip() for line in value.comment.splitlines()]
            value = value.value
        path = [key]
        while dotted and isinstance(value, Mapping) and len(value) == 1:
            ((only, value),) = value.items()
            path.append(only)
        if dotted and isinstance(value, Mapping):
            value = Dotted(value)
        left = f"{inner}{'.'.join(name(part) for part in path)} ="
        if isinstance(value, Code) and "\n" in value.text:
            lines += [left, f"{inner}  {print_nix(value, indent + 2)};"]
        else:
            lines.append(f"{left} {print_nix(value, indent + 1)};")
    return "\n".join(["{", *lines, "  " * indent + "}"])
