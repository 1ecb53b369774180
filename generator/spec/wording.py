"""How problems are worded: a value and the rule that it breaks, as two short texts for a person."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from generator.spec.paths import path_text, quoted, shortened
from generator.spec.resolve import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from generator.spec.source import Format

    Words = tuple[str, str]  # what is wrong, what to do

MISSING = object()
_MAX_ITEMS = 20  # of a list or table, in a message that is cut anyway


def ecma_pattern(pattern: str) -> str:
    """Return a pattern as the schema writes it."""
    return pattern.removeprefix("(?a:").removesuffix(")").replace(r"\Z", "$")


def words(keyword: str, value: object, rule: object, schema: Mapping[str, Any], form: Format) -> Words:
    """Return what to say of a rule (a keyword and its value in a schema) that a value breaks as a whole."""
    if keyword in _WORDS:
        return _WORDS[keyword](value, rule, schema, form)
    what = f"{shown(value, form)} is not allowed here"
    if keyword == "not" and rule == NOTHING["not"]:
        return what, "remove it"
    if "x-hint" in schema:
        return what, sentence(schema["x-hint"])
    return what, f"the schema's rule is {keyword}: {shortened(json.dumps(rule))}"


def type_words(value: object, wanted: object, schema: Mapping[str, Any], form: Format) -> Words:
    """Return what to say of a value of the wrong type."""
    kinds = [kind for kind in as_list(wanted) if kind != "null" or form == "json"]
    names = " or ".join(_kind_name(kind, form) for kind in kinds)
    got = kind_of(value, form)
    if not isinstance(value, dict | list) and value is not None:
        got += f" {shown(value, form)}"
    meant = next((better for kind in kinds if (better := _converted(value, kind)) is not MISSING), MISSING)
    if meant is not MISSING:
        hint = f"write {shown(meant, form)}"
    else:
        example = example_of(schema)
        hint = f"write {_with_article(names)}" if example is MISSING else f"write e.g. {shown(example, form)}"
    return f"expected {names}, got {got}", hint


def _converted(value: object, kind: str) -> Any:  # noqa: ANN401 - any value of JSON
    """Return what was probably meant by a value that is not of the kind."""
    result: Any = MISSING
    match kind, value:
        case "integer" | "number", str() if re.fullmatch(r"-?[0-9]{1,18}", value):
            result = int(value)
        case "number", str() if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", value):
            result = float(value)
        case "integer", float() if value.is_integer():
            result = int(value)
        case "boolean", str() | int() if str(value).lower() in {"true", "yes", "on", "1"}:
            result = True
        case "boolean", str() | int() if str(value).lower() in {"false", "no", "off", "0"}:
            result = False
        case "string", bool():
            result = "true" if value else "false"
        case "string", int() | float():
            result = str(value)
        case "string", dt.date() | dt.time():
            result = value.isoformat()
        case "array", str() | bool() | int() | float():
            result = [value]
    return result


def enum_words(value: object, allowed: Sequence[Any], form: Format) -> Words:
    """Return what to say of a value that is none of the allowed ones."""
    if len(allowed) == 1:
        return f"expected {shown(allowed[0], form)}, got {shown(value, form)}", f"write {shown(allowed[0], form)}"
    texts = {str(item): item for item in allowed}
    like = None if isinstance(value, dict | list) else nearest(str(value), texts)
    what = f"{shown(value, form)} is not one of the allowed values"
    if like:
        return what, f"did you mean {shown(texts[like], form)}?"
    return what, f"write one of {', '.join(shown(item, form) for item in allowed)}"


def _pattern_words(value: object, pattern: str, schema: Mapping[str, Any], form: Format) -> Words:
    text = schema.get("x-hint") or schema.get("description")
    hint = sentence(text) if text else f"write a string that matches {ecma_pattern(pattern)}"
    return f"{shown(value, form)} has the wrong form", hint


def _multiple_words(value: float, factor: float, _schema: object, form: Format) -> Words:
    what = f"{shown(value, form)} is not a multiple of {factor}"
    if not (isinstance(value, int) and isinstance(factor, int)):
        return what, "write a multiple of it"
    below = value // factor * factor
    return what, f"write e.g. {below} or {below + factor}"


def _limit(relation: str, todo: str) -> Callable[[Any, Any, Any, Format], Words]:
    return lambda value, limit, _schema, form: (f"{shown(value, form)} is {relation} {limit}", todo.format(limit))


def _count(word: str, bound: str, unit: str) -> Callable[[Any, Any, Any, Format], Words]:
    def say(value: str | list[Any] | dict[str, Any], limit: int, _schema: object, form: Format) -> Words:
        name = shown(value, form) if isinstance(value, str) and value else f"this {kind_of(value, form)}"
        what = f"{name} is too {word}: {_counted(len(value), unit)}" if value else f"{name} is empty"
        return what, f"give it at {bound} {_counted(limit, unit)}"

    return say


_WORDS: Mapping[str, Callable[[Any, Any, Any, Format], Words]] = {
    "type": type_words,
    "enum": lambda value, allowed, _schema, form: enum_words(value, allowed, form),
    "const": lambda value, allowed, _schema, form: enum_words(value, [allowed], form),
    "pattern": _pattern_words,
    "minimum": _limit("less than", "write {} or more"),
    "maximum": _limit("more than", "write {} or less"),
    "exclusiveMinimum": _limit("not more than", "write more than {}"),
    "exclusiveMaximum": _limit("not less than", "write less than {}"),
    "multipleOf": _multiple_words,
    "minLength": _count("short", "least", "character"),
    "maxLength": _count("long", "most", "character"),
    "minItems": _count("short", "least", "item"),
    "maxItems": _count("long", "most", "item"),
    "minProperties": _count("small", "least", "key"),
    "maxProperties": _count("large", "most", "key"),
}


def example_of(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return a value that a schema allows, if it tells one."""
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    return schema.get("default", schema.get("const", MISSING))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    import difflib  # only a wrong spec needs it

    plain = {item.lower().replace("_", "-"): item for item in known}
    close = difflib.get_close_matches(shortened(word).lower().replace("_", "-"), plain, n=1)
    return plain[close[0]] if close else None


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _kind_name(kind: str, form: Format) -> str:
    return "table" if kind == "object" and form == "toml" else kind


def _with_article(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def kind_of(value: object, form: Format) -> str:
    """Return the name of a value's type, as the language of the spec calls it."""
    kinds = {
        bool: "boolean",
        int: "integer",
        float: "float",
        str: "string",
        list: "array",
        dict: _kind_name("object", form),
        dt.datetime: "date and time",
        dt.date: "date",
        dt.time: "time",
    }
    return kinds.get(type(value), "null")


def shown(value: object, form: Format) -> str:
    """Return a value as it is written in the language of the spec: shortened, and on one line."""
    match value:
        case str():
            return quoted(value)
        case list():
            return shortened(f"[{', '.join(shown(item, form) for item in value[:_MAX_ITEMS])}]")
        case dict():
            left, equals, right = ("{ ", " = ", " }") if form == "toml" else ("{", ": ", "}")
            some = itertools.islice(value.items(), _MAX_ITEMS)
            pairs = [
                f"{path_text((key,)) if form == 'toml' else quoted(key)}{equals}{shown(item, form)}"
                for key, item in some
            ]
            return shortened(f"{left}{', '.join(pairs)}{right}") if pairs else "{}"
        case dt.date() | dt.time():
            return value.isoformat()
        case float():
            return str(value)
        case _:
            return json.dumps(value)


def sentence(text: str) -> str:
    """Return a description as the end of a sentence."""
    return " ".join(text.split()).removesuffix(".")


def as_list(value: object) -> list[Any]:
    """Return a list as it is, None as an empty one, anything else as a list of one."""
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value is None else [value]
