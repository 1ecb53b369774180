"""From a spec file to a deployment, or to every problem that it has."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from generator import resources
from generator.errors import SpecError
from generator.spec import coverage, model, pins, rules
from generator.spec.pins import Pins
from generator.spec.rules.finding import Context
from generator.spec.schema import validate
from generator.spec.source import Source, read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from generator.errors import Problem
    from generator.spec.model import Deployment, Placement
    from generator.spec.positions import DataPath
    from generator.spec.rules.finding import Finding

    Rule = Callable[[Context], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec that is right: its text with positions, what it says, where its services run, and what its lock says."""

    source: Source
    deployment: Deployment
    placement: Placement
    pins: Pins = field(default_factory=Pins)
    notes: tuple[str, ...] = ()


def load_spec(path: Path | str, *further: Rule, locked: Pins | None = None, lock: str | None = None) -> Spec:
    """Read and check a spec file ("-" is standard input); ``further`` are rules of higher floors, as the planner's.

    With ``locked`` each branch and tag is what that lock says it is, and what it does not say is a problem; ``lock`` is
    where it is, if not beside the spec.

    Raises SpecError with every problem at once: those of the schema, and those of the rules for what it lets through.
    """
    source = read_source(path)
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))
    problems, wrong = validate(source, schema)
    right = _sound(source.data, wrong)
    context = _context(source.data, right, locked)
    found = _problems(source, context, rules.check, *further)
    command = coverage.lock_command(str(path), lock)
    if locked is not None:
        said = _context(source.data, right)
        found |= _problems(source, said, lambda _: coverage.gaps(said.deployment, locked, command))
    if wrong:
        found |= _problems(source, _context(source.data, _legible(source.data, wrong), locked), rules.check_names)
    if told := {*problems, *found}:
        raise SpecError(tuple(sorted(told)))
    deployment = context.deployment
    notes = coverage.notes(deployment, locked, command) if locked is not None else []
    return Spec(source, deployment, context.placement, locked or Pins(), tuple(notes))


def problems_of(spec: Spec, *checks: Rule) -> tuple[Problem, ...]:
    """Return what rules find in a spec, as problems at their places, sorted; each once."""
    names = (_names(spec.source.data, table) for table in _TABLES)
    return tuple(sorted(_problems(spec.source, Context(spec.deployment, spec.placement, *names), *checks)))


def _problems(source: Source, context: Context, *checks: Rule) -> set[Problem]:
    findings = [finding for check in checks for finding in check(context)]
    return {source.problem(f.path, f.what, f.hint, key=f.key) for f in findings}


def _context(data: dict[str, Any], right: dict[str, Any], locked: Pins | None = None) -> Context:
    deployment = model.build(right)
    if locked is not None:
        deployment = pins.apply(deployment, locked)
    return Context(deployment, model.place(deployment), *(_names(data, table) for table in _TABLES))


def _names(data: dict[str, Any], table: str) -> frozenset[str]:
    entries = data.get(table)
    return frozenset(entries) if isinstance(entries, dict) else frozenset()


def _sound(data: dict[str, Any], wrong: list[DataPath]) -> dict[str, Any]:
    """Return the machines, models, services and gateways that the schema has nothing against.

    The rules then speak of them in the same run: a person corrects a file once, not once a layer.
    """
    broken = {path[:_ENTRY_DEPTH] for path in wrong}
    tables = {
        table: {name: entry for name, entry in data.get(table, {}).items() if (table, name) not in broken}
        if (table,) not in broken
        else {}
        for table in (*_TABLES, "sources")
    }
    if "machines" not in data or not broken.isdisjoint({("machines",), ("models",)}):
        tables["services"] = {}  # nothing that they name could be found
    clan = data["clan"] if "clan" in data and not any(path[:1] == ("clan",) for path in wrong) else {"name": ""}
    right = {"clan": clan, **tables}
    # Monitoring speaks of every machine and service: where one is broken, what it lacks could not be told from that.
    if "monitoring" in data and not any(path[:1] in {("monitoring",), ("machines",), ("services",)} for path in wrong):
        right["monitoring"] = data["monitoring"]
    return right


def _legible(data: dict[str, Any], wrong: list[DataPath]) -> dict[str, Any]:
    """Return what is sound, and wrong machines and services without what is wrong in them, if the names are right."""
    right = _sound(data, wrong)
    faults: dict[tuple[str, str], set[str]] = {}
    for path in wrong:
        if len(path) >= _ENTRY_DEPTH:
            faults.setdefault((str(path[0]), str(path[1])), set()).add(str(path[2]) if path[2:] else "")
    for (table, name), keys in faults.items():
        if keys.isdisjoint(_NAMING.get(table, keys)):
            right[table][name] = {key: value for key, value in data[table][name].items() if key not in keys}
    return right


_TABLES = ("machines", "models", "services", "gateways")
_ENTRY_DEPTH = 2  # ("machines", "aspen1")
# The keys by which an entry names others, those without which it says nothing, and "" for the entry as a whole.
_NAMING = {
    "machines": {"", "hardware", "tags"},
    "services": {"", "engine", "machines", "tags", "model", "conflicts"},
}
