"""A plan as a table for people: lines of marked text that fit into a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.plan import memory
from generator.show import bar, facts, units
from generator.show.lines import Line, Span, hang, trimmed, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generator.plan.result import MachinePlan, Measurement, Plan, ServicePlan
    from generator.show.facts import Fact

WIDEST = 100
NARROWEST = 60
_VERDICTS = {"feasible": "good", "feasible with caveats": "warn", "not feasible": "bad", "unknown": "warn"}
_GLYPHS = {
    memory.WEIGHTS: "█",
    memory.CACHE: "▓",
    memory.STATE: "▚",
    memory.COMPUTE: "▒",
    memory.REST: "▒",
    bar.FREE: "·",
    bar.LEFT: "·",
    bar.OVER: "!",
    bar.SYSTEM: "░",
}
_TURNS = "takes turns"
_NUMBER = 8  # columns of a value
_BAND = 16  # columns of its bounds
_LABEL = 56  # columns of what it is a value of, at most
_NAME = 20  # columns of the labels beside text


def table(plan: Plan, width: int = WIDEST) -> list[Line]:
    """Return the lines of a plan; ``width`` is the terminal's, of which at most ``WIDEST`` columns are used."""
    width = min(max(width, NARROWEST), WIDEST)
    lines: list[Line] = []
    for machine in plan.machines:
        lines += [*([()] if lines else []), *_machine(machine, width)]
    return [trimmed(line) for line in lines]


def _machine(machine: MachinePlan, width: int) -> Iterator[Line]:
    name: Line = (Span(machine.machine, "title"), Span("  "))
    if len(machine.machine) > _NAME:
        yield name
        name = (Span("  "),)
    yield from hang(name, facts.hardware(machine), width)
    indent = sum(len(span.text) for span in name)
    yield from (_indented(line, indent) for line in wrap(facts.machine_memory(machine), width - indent))
    drawn = bar.memory_bar(machine)
    if drawn is not None:
        yield ()
        yield from _bar(drawn, width)
    for service in machine.services:
        yield ()
        yield from _service(service, width)


def _bar(drawn: bar.Bar, width: int) -> Iterator[Line]:
    label = min(max(len(row.label) for row in drawn.rows), _NAME)
    cells = width - label - 14  # 2 before, 2 after the label, 10 for the number
    legend: dict[str, list[str]] = {}
    for row in drawn.rows:
        line = [Span(f"  {_cut(row.label, label):{label}}  ")]
        at = 0
        for segment in row.segments:
            first, last = (round(end / drawn.scale * cells) for end in (segment.start, segment.start + segment.bytes))
            glyph = _GLYPHS.get(segment.name, "▒")
            line += [Span(" " * (first - at)), Span(glyph * (last - first), segment.name)]
            at = last
            if segment.name in bar.PARTS and segment.name not in legend.setdefault(glyph, []):
                legend[glyph].append(segment.name)
        aside = f"  {_TURNS}" if row.turns and cells - at > len(_TURNS) + 2 else ""
        line += [Span(aside, "faint"), Span(" " * (cells - at - len(aside)))]
        unit = " GiB" if row is drawn.rows[0] and row.bytes is not None else ""
        yield (*line, Span(f"{units.gib(row.bytes):>6}{unit}" if row.bytes is not None else units.UNKNOWN))
    if legend:
        yield from _legend(legend, label + 4, width)


def _legend(legend: dict[str, list[str]], indent: int, width: int) -> Iterator[Line]:
    line, used = [Span(" " * indent)], indent
    for glyph, names in legend.items():
        told = f" {', '.join(names)}   "
        if used > indent and used + 1 + len(told.rstrip()) > width:
            yield tuple(line)
            line, used = [Span(" " * indent)], indent
        line += [Span(glyph, names[0]), Span(told, "faint")]
        used += 1 + len(told)
    yield tuple(line)


def _service(service: ServicePlan, width: int) -> Iterator[Line]:
    label = min(width - 6 - _NUMBER - _BAND, _LABEL)
    verdict = Span(facts.verdict(service), _VERDICTS.get(service.verdict, ""))
    title = Span(f"{service.service}: ", "title")
    yield from [(title, verdict)] if len(title.text + verdict.text) <= width else [(title,), (Span("  "), verdict)]
    yield from (_indented(line) for line in wrap(facts.serves(service), width - 2))
    for need, accepted, meaning in facts.needs(service):
        told = Span("accepted", "good") if accepted else Span("NOT accepted", "bad")
        yield from hang((Span(f"  {need}, "), told, Span(": ")), meaning, width)
    yield from _heading("memory", "GiB", label)
    for fact in facts.memory(service):
        yield from _number(fact.label, fact.value, fact.band, label)
    yield from _heading("speed", "tokens/s", label)
    yield from _speed(service, label, width)
    yield from _texts("context and concurrency", facts.sizes(service), width)
    yield from _texts("start", facts.start(service), width)
    if service.unknown:
        yield from _heading("unknown")
    for text in service.unknown:
        yield from hang((Span("    "),), text, width)
    if service.caveats:
        yield from _heading("caveats")
    for number, caveat in enumerate(service.caveats, 1):
        yield from hang((Span(f"    {number:2}. "),), caveat.text, width)
        yield from (_indented(line, 8, "faint") for line in wrap(caveat.source, width - 8))


def _speed(service: ServicePlan, label: int, width: int) -> Iterator[Line]:
    sources = facts.sources(service)
    for pace in facts.paces(service):
        yield from _number(pace.label, pace.value, pace.band, label)
        for entry in pace.measured:
            yield from _measured(entry, label, sources.index(entry.source) + 1)
    if bearing := facts.bearing(service):
        yield from (_indented(line, 4, "faint") for line in wrap(bearing, width - 4))
    for number, source in enumerate(sources, 1):
        yield from hang((Span(f"    [{number}] ", "faint"),), source, width, "faint")


def _measured(entry: Measurement, label: int, number: int) -> Iterator[Line]:
    """Yield a measurement below the estimate, its value in the same column; ``number`` is its source's."""
    mark = "" if entry.same_engine else "faint"
    first, *rest = wrap(facts.published(entry), label - 4)
    yield (
        Span(f"      {first:{label - 2}}", mark),
        Span(f"{units.rate(entry.value):>{_NUMBER}}", mark),
        Span(f"  {entry.date} [{number}]", "faint"),
    )
    yield from (_indented(line, 8, mark) for line in rest)


def _number(label: str, value: str, band: str, columns: int) -> Iterator[Line]:
    first, *rest = wrap(label, columns)
    yield (
        Span(f"    {first:{columns}}"),
        Span(f"{value:>{_NUMBER}}", "warn" if value == units.UNKNOWN else "label"),
        Span(f"  {band}"),
    )
    yield from (_indented(line, 6) for line in rest)


def _texts(title: str, lines: Iterable[Fact], width: int) -> Iterator[Line]:
    yield from _heading(title)
    for fact in lines:
        yield from hang((Span(f"    {fact.label:{_NAME}}"),), fact.value, width)


def _heading(text: str, unit: str = "", label: int = 0) -> Iterator[Line]:
    """Yield a blank line and a heading; with a unit, also the names of the columns, the first of which ends there."""
    yield ()
    end = label + 2 + _NUMBER - len(text)  # both are indented by two less than the numbers' labels
    yield (Span(f"  {text}", "label"), Span(f"{unit:>{end}}  between" if unit else "", "faint"))


def _indented(text: str, by: int = 2, mark: str = "") -> Line:
    return (Span(" " * by), Span(text, mark))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
