"""The drawings: where things stand is in proportion."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.plan.speed import Estimate
from generator.show import bar, chart
from tests.shown import CROWDED, example, machine, plan_of, service

ENTRY = service(example("aspen1.toml"), "llm").measured[0]


def share(text: str | None) -> float:
    assert text is not None
    return float(text.removesuffix("%"))


@given(st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_within(most: float) -> None:
    found = chart.ticks(most)
    assert 2 <= len(found) <= 7
    assert found[0] == 0
    assert found[-1] <= most
    step = f"{found[1]:e}".partition("e")[0]
    assert float(step) in {1.0, 2.0, 5.0}


def test_nothing_has_no_ticks() -> None:
    assert chart.ticks(0.0) == []


def test_the_scale_holds_bounds_and_measurements() -> None:
    assert chart.scale([None, Estimate(5, 4, 9)], [replace(ENTRY, value=7.0)]) == pytest.approx(9.18)
    assert chart.scale([], [replace(ENTRY, value=10.0)]) == pytest.approx(10.2)
    assert chart.scale([None], []) == 0


def test_an_estimate_is_a_bar_with_the_line_of_its_band() -> None:
    drawn = chart.estimate(Estimate(50, 40, 80), 100)
    value = next(entry for entry in drawn.iter("rect") if entry.get("class") == "value")
    band = next(entry for entry in drawn.iter("line") if entry.get("class") == "band")
    assert [value.get("width"), band.get("x1"), band.get("x2")] == ["50%", "40%", "80%"]


@pytest.mark.parametrize(("same", "kind"), [(True, "dot"), (False, "dot other")])
def test_a_measurement_is_a_dot_at_its_value(kind: str, *, same: bool) -> None:
    drawn = chart.measurement(replace(ENTRY, value=25.0, same_engine=same), 100)
    (dot,) = drawn.iter("circle")
    assert (dot.get("cx"), dot.get("class")) == ("25%", kind)


def test_the_bar_of_memory_is_full_and_in_proportion() -> None:
    drawn = bar.memory_bar(example("aspen1.toml").machines[0])
    assert drawn is not None
    (picture,) = chart.memory(drawn, "label", {"llm": 0})
    rectangles = list(picture.iter("rect"))
    at = 0.0
    for rectangle, segment in zip(rectangles, (part for row in drawn.rows for part in row.segments), strict=True):
        assert share(rectangle.get("x")) == pytest.approx(at, abs=1e-3)
        assert share(rectangle.get("width")) == pytest.approx(100 * segment.bytes / drawn.scale, abs=1e-3)
        at += share(rectangle.get("width"))
    assert at == pytest.approx(100, abs=1e-3)
    assert (picture.get("role"), picture.get("aria-label")) == ("img", "label")


def test_services_have_colours_of_their_own() -> None:
    crowd = machine(plan_of(CROWDED), "one")
    drawn = bar.memory_bar(crowd)
    assert drawn is not None
    pictures = list(chart.memory(drawn, "", {entry.service: index for index, entry in enumerate(crowd.services)}))
    classes = {rectangle.get("class") for picture in pictures for rectangle in picture.iter("rect")}
    hues = {kind.rpartition(" ")[2] for kind in classes if kind is not None and "weights" in kind}
    assert len(hues) == 4
    assert len(pictures) == 2  # what runs at once, and what takes turns with it


def test_the_limit_is_marked_as_bad_only_where_it_is_exceeded() -> None:
    def limits(name: str) -> list[str | None]:
        shown = machine(plan_of(CROWDED), "one") if name == "crowded" else example(name).machines[0]
        drawn = bar.memory_bar(shown)
        assert drawn is not None
        picture = next(iter(chart.memory(drawn, "", {})))
        return [line.get("class") for line in picture.iter("line")]

    assert limits("aspen1.toml") == ["limit"]
    assert limits("crowded") == ["limit bad"]
    assert limits("nvidia.toml") == []
