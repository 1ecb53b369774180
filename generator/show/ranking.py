"""A comparison as a table for people and as data: the ways to serve one model on one machine, in order."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from generator.show import units
from generator.show.data import estimate_data
from generator.show.lines import Line, Span, trimmed, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generator.plan.compare import Option

_NAME = 52
_COLUMNS = (("takes", 7), ("empty", 8), ("full", 8), ("first", 7))
_FITS = "feasible"
_WIDEST = 96
_LONGEST = _NAME - 3
_LEGEND = "takes: GiB; empty, full: tokens a second with nothing in the context and with all; first: seconds to a token"


def ranking(service: str, machine: str, options: Iterable[Option]) -> list[Line]:
    """Return the lines of a comparison: by context, the fastest at its end first; what does not fit in short."""
    lines: list[Line] = [(Span(f"{service} on {machine}", "title"),)]
    fitting = [option for option in options if option.plan.verdict.startswith(_FITS)]
    others = [option for option in options if not option.plan.verdict.startswith(_FITS)]
    for context, group in groupby(fitting, key=lambda option: option.context):
        heads = "".join(f"{name:>{width}}" for name, width in _COLUMNS)
        lines += [(), (Span(f"  {f'context of {context} tokens':{_NAME}}", "label"), Span(heads, "faint"))]
        lines += [_option(option) for option in group]
    if fitting:
        lines += [(), *((Span(f"  {line}", "faint"),) for line in wrap(_LEGEND, _WIDEST))]
    lines += _rest(others)
    return [trimmed(line) for line in lines]


def ranking_data(service: str, machine: str, options: Iterable[Option]) -> dict[str, Any]:
    """Return a comparison for machines, in order; bytes, tokens a second, seconds, unrounded."""
    return {
        "service": service,
        "machine": machine,
        "options": [
            {
                "engine": option.engine,
                "backend": option.backend,
                "format": option.format,
                "repository": option.repository,
                "context": option.context,
                "asked": option.asked,
                "verdict": option.plan.verdict,
                "needs": list(option.plan.needs),
                "claim": option.plan.memory.claim,
                "decode": estimate_data(option.plan.speed.decode if option.plan.speed else None),
                "decode_deep": estimate_data(option.plan.speed.decode_deep if option.plan.speed else None),
                "first_token": estimate_data(option.plan.speed.first_token if option.plan.speed else None),
            }
            for option in options
        ],
    }


def _option(option: Option) -> Line:
    speed = option.plan.speed
    unknown = speed is None or speed.decode is None
    values = (
        units.gib(option.plan.memory.claim),
        units.rate(speed.decode.value) if speed and speed.decode else "?",
        units.rate(speed.decode_deep.value) if speed and speed.decode_deep else "?",
        units.seconds(speed.first_token.value) if speed and speed.first_token else "?",
    )
    numbers = "".join(f"{value:>{width}}" for value, (_, width) in zip(values, _COLUMNS, strict=True))
    needs = f"  {', '.join(option.plan.needs)}" if option.plan.needs else ""
    name = ("> " if option.asked else "  ") + _name(option)
    return (
        Span(f"  {name:{_NAME}}", "good" if option.asked else ""),
        Span(numbers, "faint" if unknown else ""),
        Span(needs, "warn"),
    )


def _name(option: Option) -> str:
    text = f"{option.engine} {option.backend}, {option.repository or option.format}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _rest(options: Iterable[Option]) -> Iterator[Line]:
    contexts: dict[tuple[str, str], list[str]] = {}
    for option in options:
        contexts.setdefault((_name(option), option.plan.verdict), []).append(str(option.context))
    for index, ((name, verdict), sizes) in enumerate(contexts.items()):
        if index == 0:
            yield ()
            yield (Span("  does not fit, or is not known to", "label"),)
        mark = "bad" if verdict.startswith("not") else "warn"
        yield (Span(f"    {name:{_NAME - 2}} "), Span(verdict, mark), Span(f" at {', '.join(sizes)}"))
