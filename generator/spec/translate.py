"""What jsonschema finds, as problems in our words; none of its texts reaches a person.

Two keywords help a schema to be understood: ``examples`` (what to write for a missing key) and our own ``x-hint`` (what
a value must look like, where a pattern does not tell).
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.spec.paths import path_text, quoted
from generator.spec.wording import (
    MISSING,
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


@dataclass(frozen=True, slots=True)
class Finding:
    """An error of jsonschema: a rule (keyword and its value in a schema) that a value breaks."""

    path: DataPath
    depth: int  # how many of the last steps of the path lie below the value that has branches
    branch: int  # of anyOf or oneOf
    keyword: str
    rule: Any
    value: Any
    schema: Mapping[str, Any]
    inner: tuple[Finding, ...]


def finding_of(error: Any, base: DataPath) -> Finding:  # noqa: ANN401 - a ValidationError
    """Return an error of jsonschema, at a path below ``base``, with those of its branches."""
    path = (*base, *error.relative_path)
    steps = error.relative_schema_path
    return Finding(
        path=path,
        depth=len(error.relative_path),
        branch=steps[0] if steps and isinstance(steps[0], int) else 0,
        keyword=error.validator,
        rule=error.validator_value,
        value=error.instance,
        schema=error.schema if isinstance(error.schema, dict) else {},
        inner=tuple(finding_of(inner, path) for inner in error.context),
    )


def not_json(value: object) -> Words:
    """Return what to say of a value that TOML has and JSON has not: a date or time, or a number that is not finite."""
    if isinstance(value, float):
        return f"{value} is not a finite number", "write a finite number"
    return f"{shown(value, 'toml')} is a {kind_of(value, 'toml')}", "put quotes around it"


@dataclass(frozen=True, slots=True)
class Translator:
    """Makes findings into problems of a source."""

    source: Source
    schema: Mapping[str, Any]  # the resolved root

    def problems(self, findings: Sequence[Finding]) -> Iterator[Problem]:
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

    def _unknown_keys(self, finding: Finding) -> Iterator[Problem]:
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

    def _missing_keys(self, finding: Finding) -> Iterator[Problem]:
        for key in finding.rule:
            if key not in finding.value:
                yield self.source.problem(finding.path, f"missing key {quoted(key)}", self._add(finding, key))

    def _needed_keys(self, finding: Finding) -> Iterator[Problem]:
        for key, others in finding.rule.items():
            for other in others if key in finding.value else ():
                if other not in finding.value:
                    what = f"key {quoted(key)} needs key {quoted(other)}"
                    yield self.source.problem((*finding.path, key), what, self._add(finding, other), key=True)

    def _wrong_keys(self, finding: Finding) -> Iterator[Problem]:
        for inner in finding.inner:
            what, hint = words(inner.keyword, inner.value, inner.rule, inner.schema, self.source.format)
            yield self.source.problem((*finding.path, finding.value), f"key {what}", hint, key=True)

    def _branches(self, finding: Finding) -> Iterator[Problem]:
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

    def _repeated_items(self, finding: Finding) -> Iterator[Problem]:
        seen: dict[str, int] = {}
        for index, item in enumerate(finding.value):
            first = seen.setdefault(json.dumps(item, sort_keys=True, default=repr), index)
            if first != index:
                what = f"{shown(item, self.source.format)} is in the list twice"
                yield self.source.problem((*finding.path, index), what, f"remove it; it is already item {first + 1}")

    def _add(self, finding: Finding, key: str) -> str:
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


def _allowed(finding: Finding) -> list[Any]:
    return [finding.rule] if finding.keyword == "const" else list(finding.rule)


def _first(branch: Iterable[Finding], keywords: set[str], depth: int) -> Finding | None:
    return next((finding for finding in branch if finding.keyword in keywords and finding.depth <= depth), None)


def _weight(finding: Finding) -> int:
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
