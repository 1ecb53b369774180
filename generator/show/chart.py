"""The drawings of the page, as SVG that is as wide as its place: where things stand is a share of the width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generator.show import bar, units
from generator.show.dom import add, el, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

    from generator.plan.result import Measurement
    from generator.plan.speed import Estimate
    from generator.show.bar import Bar, Segment

HUES = 6  # colours of services, in page.css
_BAR = 44  # pixels of height
_THICK, _CAP = 14, 10
_AXIS = 20
_TICKS = 5
# A name is written on its part where it has room at this width, in letters of so many pixels.
_WIDTH, _LETTER, _MARGIN = 880, 7.2, 20
_CLASSES = {
    "weights": "weights",
    "KV cache": "cache",
    "recurrent state": "state",
    bar.FREE: "free",
    bar.LEFT: "free",
    bar.OVER: "over",
    bar.SYSTEM: "system",
}


def part_class(name: str) -> str:
    """Return the class of a part of the memory bar; page.css gives it its shade."""
    return _CLASSES.get(name, "beside")


def memory(drawn: Bar, label: str, indices: dict[str, int]) -> Iterator[Element]:
    """Yield the bar of a machine, then one for each service that takes turns with what is in it.

    ``label`` says in words what it shows; ``indices`` number the services, for their colours.
    """
    together = [row for row in drawn.rows if not row.turns]
    chart = _svg(_BAR, label)
    for row in together:
        for segment in row.segments:
            _segment(chart, drawn, segment, indices.get(row.label))
    if drawn.limit < drawn.scale:
        at = percent(drawn.limit, drawn.scale)
        over = any(segment.name == bar.OVER for row in together for segment in row.segments)
        add(chart, el("line", class_="limit bad" if over else "limit", x1=at, x2=at, y1=0, y2=_BAR))
    yield chart
    for row in drawn.rows:
        if row.turns and row.bytes is not None:
            chart = _svg(_BAR // 2, f"{row.label}, which takes turns with the others: {units.with_gib(row.bytes)}")
            for segment in row.segments:
                _segment(chart, drawn, segment, indices.get(row.label), height=_BAR // 2)
            yield chart


def _segment(chart: Element, drawn: Bar, segment: Segment, index: int | None, height: int = _BAR) -> None:
    classes = f"part {part_class(segment.name)}" + (f" s{index % HUES}" if index is not None else "")
    start, width = percent(segment.start, drawn.scale), percent(segment.bytes, drawn.scale)
    told = el("title", f"{segment.name}: {units.with_gib(segment.bytes)}")
    rectangle = el("rect", told, x=start, y=0, width=width, height=height, class_=classes)
    add(chart, rectangle)
    if height == _BAR and segment.bytes / drawn.scale * _WIDTH > len(segment.name) * _LETTER + _MARGIN:
        # An SVG inside clips its text, however narrow it becomes.
        text = el("text", segment.name, x=10, y=height / 2, dy="0.35em", class_=classes.replace("part", "name"))
        add(chart, el("svg", text, x=start, y=0, width=width, height=height))


def scale(estimates: Iterable[Estimate | None], measured: Iterable[Measurement]) -> float:
    """Return the value at the right end of a speed chart, 0 where there is nothing to show."""
    values = [estimate.high for estimate in estimates if estimate is not None]
    values += [entry.value for entry in measured]
    return max(values, default=0.0) * 1.02


def ticks(most: float) -> list[float]:
    """Return round values from 0 to at most ``most``: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(127.0)
    [0.0, 50.0, 100.0]
    """
    if most <= 0:
        return []
    rough = most / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [index * step for index in range(int(most / step) + 1)]


def estimate(found: Estimate, most: float) -> Element:
    """Return a bar from 0 to the estimate, with a line from its low to its high bound."""
    chart = _plot(most)
    low, high = percent(found.low, most), percent(found.high, most)
    add(
        chart,
        el(
            "rect",
            x=0,
            y="50%",
            width=percent(found.value, most),
            height=_THICK,
            transform=_centred(_THICK),
            class_="value",
        ),
        el("line", x1=low, x2=high, y1="50%", y2="50%", class_="band"),
    )
    for end in (low, high):
        add(chart, el("rect", x=end, y="50%", width=2, height=_CAP, transform=_centred(_CAP, 2), class_="cap"))
    return chart


def measurement(entry: Measurement, most: float) -> Element:
    """Return a dot at a published value: full for the same engine, hollow for another."""
    chart = _plot(most)
    at = percent(entry.value, most)
    kind = "dot" if entry.same_engine else "dot other"
    add(
        chart,
        el("line", x1=0, x2=at, y1="50%", y2="50%", class_="stem"),
        el("circle", cx=at, cy="50%", r=5, class_=kind),
    )
    return chart


def _centred(height: int, width: int = 0) -> str:
    return f"translate({-width / 2:g} {-height / 2:g})"


def axis(most: float) -> Element:
    """Return the numbers of the axis."""
    chart = el("svg", width="100%", height=_AXIS, aria_hidden="true")
    for tick in ticks(most):
        anchor = "start" if tick == 0 else "middle"
        add(chart, el("text", f"{tick:g}", x=percent(tick, most), y=14, text_anchor=anchor))
    return chart


def _plot(most: float) -> Element:
    chart = el("svg", aria_hidden="true")
    for tick in ticks(most):
        at = percent(tick, most)
        add(chart, el("line", x1=at, x2=at, y1=0, y2="100%", class_="grid"))
    return chart


def _svg(height: int, label: str) -> Element:
    return el("svg", el("title", label), class_="memory", width="100%", height=height, role="img", aria_label=label)
