"""From a spec file to a deployment, or to every problem that it has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator import resources
from generator.errors import SpecError
from generator.spec import model, rules
from generator.spec.rules.finding import Context
from generator.spec.schema import validate
from generator.spec.source import Source, read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from generator.spec.model import Deployment, Placement
    from generator.spec.positions import DataPath
    from generator.spec.rules.finding import Finding

    Rule = Callable[[Context], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec that is right: its text with positions, what it says, and where its services run."""

    source: Source
    deployment: Deployment
    placement: Placement


def load_spec(path: Path | str, *further: Rule) -> Spec:
    """Read and check a spec file ("-" is standard input); ``further`` are rules of higher floors, as the planner's.

    Raises SpecError with every problem at once: those of the schema, and those of the rules for what it lets through.
    """
    source = read_source(path)
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))
    problems, wrong = validate(source, schema)
    data = _without(source.data, wrong)
    deployment = model.build(data) if data is not None else None
    if deployment is None:
        raise SpecError(tuple(problems))
    placement = model.place(deployment)
    context = Context(
        deployment, placement, *(_names(source.data, table) for table in ("machines", "models", "services", "gateways"))
    )
    findings = [finding for rule in (rules.check, *further) for finding in rule(context)]
    found = [source.problem(f.path, f.what, f.hint, key=f.key) for f in findings]
    if problems or found:
        raise SpecError(tuple(sorted({*problems, *found})))
    return Spec(source, deployment, placement)


def _names(data: dict[str, Any], table: str) -> frozenset[str]:
    entries = data.get(table)
    return frozenset(entries) if isinstance(entries, dict) else frozenset()


def _without(data: dict[str, Any], wrong: list[DataPath]) -> dict[str, Any] | None:
    """Return the data without the machines, models and services that the schema refuses; None if the rest says nothing.

    The rules then speak of everything else in the same run: a person corrects a file once, not once a layer.
    """
    if any(len(path) < _ENTRY_DEPTH or path[0] == "clan" for path in wrong):
        return None
    broken = {path[:_ENTRY_DEPTH] for path in wrong}
    return {
        table: {name: entry for name, entry in entries.items() if (table, name) not in broken}
        if isinstance(entries, dict) and table != "clan"
        else entries
        for table, entries in data.items()
    }


_ENTRY_DEPTH = 2  # ("machines", "aspen1")
