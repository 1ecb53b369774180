"""Check a spec against the schema, and say what is wrong in our words, at the place where it is wrong.

jsonschema finds the errors; none of its texts reaches a person. Two keywords help a schema to be understood:
``examples`` (what to write for a missing key) and our own ``x-hint`` (what a value must look like, where a pattern does
not tell).
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from generator.spec.source import path_text, quoted, walk
from generator.spec.wording import (
    MISSING,
    NOTHING,
    as_list,
    ecma_pattern,
    enum_words,
    example_of,
    kind_of,
    nearest,
    sentence,
    shown,
    type_words,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from generator.errors import Problem
    from generator.spec.positions import DataPath
    from generator.spec.source import Source
    from generator.spec.wording import Words

_ANNOTATIONS = {"$comment", "default", "deprecated", "description", "examples", "title", "x-hint"}
_SCHEMAS = {
    *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties"),
}
_LISTS_OF_SCHEMAS = {"allOf", "anyOf", "oneOf", "prefixItems"}
_MAPS_OF_SCHEMAS = {"$defs", "dependentSchemas", "patternProperties", "properties"}
_ABOUT_KEYS = {"additionalProperties", "propertyNames", "unevaluatedProperties"}


def validate(source: Source, schema: Mapping[str, Any]) -> tuple[list[Problem], list[DataPath]]:
    """Return the problems that a JSON Schema (2020-12) has with a spec, sorted by place, and the paths of wrong values.

    Unknown keys are problems and no wrong values: what stands beside them can still be read.

    Stricter than JSON Schema, because Nix is: 1.0 is no integer, infinity no number, a date nothing at all; and ``$``
    in a pattern is the end of the text, not a line's.
    """
    root = _Resolver(schema).resolve(dict(schema))
    findings = [_finding(error, ()) for error in _validator_class()(root).iter_errors(source.data)]
    problems = set(_Translator(source, root).problems(findings))
    wrong = [finding.path for finding in findings if finding.keyword not in _ABOUT_KEYS]
    wrong += [(*finding.path, finding.value) for finding in findings if finding.keyword == "propertyNames"]
    if source.format == "toml":
        told = {problem.path for problem in problems}
        for path, words in _not_json(source):
            wrong.append(path)
            if path_text(path) not in told:
                problems.add(source.problem(path, *words))
    return sorted(problems), wrong


def _not_json(source: Source) -> Iterator[tuple[DataPath, Words]]:
    for path, value in walk(source.data):
        if isinstance(value, dt.date | dt.time):
            yield path, (f"{shown(value, 'toml')} is a {kind_of(value, 'toml')}", "put quotes around it")
        elif isinstance(value, float) and not math.isfinite(value):
            yield path, (f"{value} is not a finite number", "write a finite number")


@functools.cache
def _validator_class() -> Any:  # noqa: ANN401 - jsonschema makes the class at run time
    from jsonschema import Draft202012Validator, ValidationError, validators  # a tenth of a second

    def is_integer(_checker: object, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def is_number(checker: object, value: object) -> bool:
        return is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))

    def property_names(validator: Any, names: Any, instance: object, _schema: object) -> Iterator[ValidationError]:  # noqa: ANN401
        for name in instance if isinstance(instance, dict) else ():
            errors = list(validator.descend(name, names))
            if errors:  # jsonschema's own does not tell a wrong key from a wrong value
                yield ValidationError("", instance=name, context=errors)

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": is_integer, "number": is_number})
    extend: Any = validators.extend  # its types are incomplete
    return extend(Draft202012Validator, {"propertyNames": property_names}, type_checker=checker)


class _Resolver:
    """Replaces local references, but for cycles: following them takes time; and makes patterns mean the same here."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._done: dict[str, Any] = {}
        self._active: list[str] = []

    def resolve(self, node: Any) -> Any:  # noqa: ANN401 - a schema is a mapping or a boolean
        if not isinstance(node, dict):
            return NOTHING if node is False else node
        result = {keyword: self._convert(keyword, value) for keyword, value in node.items()}
        target = self._follow(result["$ref"]) if str(result.get("$ref", "")).startswith("#") else None
        if target is None:
            return result
        del result["$ref"]
        if isinstance(target, dict) and result.keys() <= _ANNOTATIONS:
            return target | result
        return {**result, "allOf": [*result.get("allOf", ()), target]} if result else target

    def _convert(self, keyword: str, value: Any) -> Any:  # noqa: ANN401
        if keyword in _SCHEMAS:
            return value if keyword in _ABOUT_KEYS and value is False else self.resolve(value)
        if keyword in _LISTS_OF_SCHEMAS:
            return [self.resolve(item) for item in value]
        if keyword in _MAPS_OF_SCHEMAS:
            rename = _python_pattern if keyword == "patternProperties" else str
            return {rename(name): self.resolve(item) for name, item in value.items()}
        return _python_pattern(value) if keyword == "pattern" else value

    def _follow(self, reference: str) -> Any:  # noqa: ANN401
        if reference in self._active:
            return None
        if reference not in self._done:
            self._active.append(reference)
            target: Any = self._root
            for part in reference.split("/")[1:]:
                name = unquote(part).replace("~1", "/").replace("~0", "~")
                target = target[int(name)] if isinstance(target, list) else target[name]
            self._done[reference] = self.resolve(target)
            self._active.pop()
        return self._done[reference]


def _python_pattern(pattern: str) -> str:
    """Translate an ECMA pattern: in Python a dollar also matches before a last line feed, and 1 is not the only 1."""
    tokens = re.finditer(r"\\.|\[(?:\\.|[^\]\\])*\]|.", pattern, re.DOTALL)
    return "(?a:" + "".join(r"\Z" if token[0] == "$" else token[0] for token in tokens) + ")"


@dataclass(frozen=True, slots=True)
class _Finding:
    """An error of jsonschema: a rule (keyword and its value in a schema) that a value breaks."""

    path: DataPath
    depth: int  # how many of the last steps of the path lie below the value that has branches
    branch: int  # of anyOf or oneOf
    keyword: str
    rule: Any
    value: Any
    schema: Mapping[str, Any]
    inner: tuple[_Finding, ...]


def _finding(error: Any, base: DataPath) -> _Finding:  # noqa: ANN401 - a ValidationError
    path = (*base, *error.relative_path)
    steps = error.relative_schema_path
    return _Finding(
        path=path,
        depth=len(error.relative_path),
        branch=steps[0] if steps and isinstance(steps[0], int) else 0,
        keyword=error.validator,
        rule=error.validator_value,
        value=error.instance,
        schema=error.schema if isinstance(error.schema, dict) else {},
        inner=tuple(_finding(inner, path) for inner in error.context),
    )


@dataclass(frozen=True, slots=True)
class _Translator:
    """Makes findings into problems of a source."""

    source: Source
    schema: Mapping[str, Any]  # the resolved root

    def problems(self, findings: Sequence[_Finding]) -> Iterator[Problem]:
        """Yield at least one problem a finding; what more is wrong with a value of the wrong type says nothing new."""
        special = {
            "additionalProperties": self._unknown_keys,
            "anyOf": self._branches,
            "dependentRequired": self._needed_keys,
            "oneOf": self._branches,
            "propertyNames": self._wrong_keys,
            "required": self._missing_keys,
            "unevaluatedProperties": self._unknown_keys,
            "uniqueItems": self._repeated_items,
        }
        mistyped = {finding.path for finding in findings if finding.keyword == "type"}
        for finding in findings:
            if finding.keyword != "type" and finding.path in mistyped:
                continue
            problems = list(special[finding.keyword](finding)) if finding.keyword in special else []
            yield from problems or [
                self.source.problem(
                    finding.path,
                    *words(finding.keyword, finding.value, finding.rule, finding.schema, self.source.format),
                )
            ]

    def _unknown_keys(self, finding: _Finding) -> Iterator[Problem]:
        parts = list(_parts(finding.schema)) if finding.keyword == "unevaluatedProperties" else [finding.schema]
        known = list(dict.fromkeys(key for part in parts for key in part.get("properties", ())))
        patterns = [pattern for part in parts for pattern in part.get("patternProperties", ())]
        for key in finding.value:
            if key in known or any(re.search(pattern, key) for pattern in patterns):
                continue
            like = nearest(key, known)
            if like:
                hint = f"did you mean {quoted(like)}?"
            elif patterns:
                hint = f"keys here match {' or '.join(ecma_pattern(pattern) for pattern in patterns)}"
            else:
                hint = f"the keys here are {', '.join(path_text((item,)) for item in known)}" if known else "remove it"
            yield self.source.problem((*finding.path, key), f"unknown key {quoted(key)}", hint, key=True)

    def _missing_keys(self, finding: _Finding) -> Iterator[Problem]:
        for key in finding.rule:
            if key not in finding.value:
                yield self.source.problem(finding.path, f"missing key {quoted(key)}", self._add(finding, key))

    def _needed_keys(self, finding: _Finding) -> Iterator[Problem]:
        for key, others in finding.rule.items():
            for other in others if key in finding.value else ():
                if other not in finding.value:
                    what = f"key {quoted(key)} needs key {quoted(other)}"
                    yield self.source.problem((*finding.path, key), what, self._add(finding, other), key=True)

    def _wrong_keys(self, finding: _Finding) -> Iterator[Problem]:
        for inner in finding.inner:
            what, hint = words(inner.keyword, inner.value, inner.rule, inner.schema, self.source.format)
            yield self.source.problem((*finding.path, finding.value), f"key {what}", hint, key=True)

    def _branches(self, finding: _Finding) -> Iterator[Problem]:
        """Descend to the branch that the value was most likely meant for; if all fail alike, unite them."""
        form = self.source.format
        branches = [list(inner) for _, inner in itertools.groupby(finding.inner, key=lambda inner: inner.branch)]
        kinds = [_first(branch, {"type"}, depth=0) for branch in branches]
        choices = [_first(branch, {"const", "enum"}, depth=1) for branch in branches]
        places = {choice.path if choice else None for choice in choices}
        if branches and all(kinds):
            wanted = dict.fromkeys(name for kind in kinds if kind for name in as_list(kind.rule))
            yield self.source.problem(finding.path, *type_words(finding.value, list(wanted), finding.schema, form))
        elif choices and choices[0] and len(places) == 1:
            allowed = [value for choice in choices if choice for value in _allowed(choice)]
            yield self.source.problem(choices[0].path, *enum_words(choices[0].value, allowed, form))
        elif branches:
            ranks = [
                (kind is not None, choice is not None, sum(map(_weight, branch)))
                for kind, choice, branch in zip(kinds, choices, branches, strict=True)
            ]
            yield from self.problems(branches[ranks.index(min(ranks))])

    def _repeated_items(self, finding: _Finding) -> Iterator[Problem]:
        seen: dict[str, int] = {}
        for index, item in enumerate(finding.value):
            first = seen.setdefault(json.dumps(item, sort_keys=True, default=repr), index)
            if first != index:
                what = f"{shown(item, self.source.format)} is in the list twice"
                yield self.source.problem((*finding.path, index), what, f"remove it; it is already item {first + 1}")

    def _add(self, finding: _Finding, key: str) -> str:
        """Return what to write for a missing key."""
        if "x-hint" in finding.schema:
            return sentence(finding.schema["x-hint"])
        below = finding.schema.get("properties", {}).get(key)
        if not isinstance(below, dict) or not below.keys() & {"default", "description", "examples", "type"}:
            below = _below(self.schema, (*finding.path, key)) or {}
        example, form = example_of(below), self.source.format
        written = "…" if example is MISSING else shown(example, form)
        if not written.endswith("…"):
            return (
                f"add e.g. {path_text((key,))} = {written}" if form == "toml" else f"add e.g. {quoted(key)}: {written}"
            )
        if form == "toml" and "object" in as_list(below.get("type")):
            entry = list(example)[:1] if isinstance(example, dict) and "properties" not in below else []
            return f"add a table [{path_text((*finding.path, key, *entry))}]"
        return f"add it: {sentence(below['description'])}" if "description" in below else "add it"


def _allowed(finding: _Finding) -> list[Any]:
    return [finding.rule] if finding.keyword == "const" else list(finding.rule)


def _first(branch: Iterable[_Finding], keywords: set[str], depth: int) -> _Finding | None:
    return next((finding for finding in branch if finding.keyword in keywords and finding.depth <= depth), None)


def _weight(finding: _Finding) -> int:
    """Return how much a finding speaks against its branch."""
    if finding.keyword == "additionalProperties":
        return len(set(finding.value) - set(finding.schema.get("properties", ())))
    return 1


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    """Yield a schema and those in it that concern the same value."""
    if isinstance(schema, dict):
        yield schema
        for keyword in ("allOf", "anyOf", "oneOf", "if", "then", "else"):
            for part in as_list(schema.get(keyword)):
                yield from _parts(part)


def _below(schema: Any, path: DataPath) -> Any:  # noqa: ANN401
    """Return the schema of the value at a path, as far as properties and items lead to it."""
    for step in path:
        if not isinstance(schema, dict):
            return None
        if isinstance(step, int):
            schema = schema.get("items")
        else:
            schema = schema.get("properties", {}).get(step, schema.get("additionalProperties"))
    return schema if isinstance(schema, dict) else None
