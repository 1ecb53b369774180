"""The table: golden for two examples, and at any width whole, within its columns, with nothing left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.plan.result import Plan
from generator.show import units
from generator.show.lines import Line, plain
from generator.show.table import NARROWEST, WIDEST, table
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT
from tests.shown import CROWDED, example, plan_of

GOLDEN = ROOT / "tests" / "golden" / "plan"
PLANS = {**{path.stem: plan_of(path) for path in EXAMPLES}, "crowded": plan_of(CROWDED)}


def marks(lines: list[Line]) -> dict[str, str]:
    """Return the mark of each text."""
    return {span.text.strip(): span.mark for line in lines for span in line if span.text.strip()}


@pytest.mark.parametrize("name", ["aspen1.toml", "two-machines.json"])
def test_the_table_is_the_golden_one(name: str, *, update_golden: bool) -> None:
    path = GOLDEN / f"{name.partition('.')[0]}.txt"
    text = plain(table(example(name)))
    if update_golden:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), "to accept: pytest --update-golden, and read the change"


@given(st.sampled_from(sorted(PLANS)), st.integers(0, 200))
@settings(deadline=None)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = plain(table(PLANS[name], width)).splitlines()
    assert max(map(len, lines)) <= min(max(width, NARROWEST), WIDEST)


def test_the_longest_names_fit_too() -> None:
    name = "n" * 63
    machine = PLANS["aspen1"].machines[0]
    service = replace(machine.services[0], service=name)
    plan = Plan((replace(machine, machine=name, services=(service,), at_once=(name,)),))
    lines = plain(table(plan, 80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert min(len(line) for line in lines[:4]) > 30  # nothing is squeezed beside the name


@given(st.sampled_from(sorted(PLANS)), st.integers(NARROWEST, WIDEST))
@settings(deadline=None)
def test_nothing_that_the_plan_says_is_left_out(name: str, width: int) -> None:
    shown = "".join(plain(table(PLANS[name], width)).split())
    for machine in PLANS[name].machines:
        for service in machine.services:
            texts = [service.service, service.verdict.upper(), service.model or "", *service.unknown, *service.needs]
            texts += [text for caveat in service.caveats for text in (caveat.text, caveat.source)]
            texts += [entry.source for entry in service.measured]
            # A value stands in the middle of a label that is wrapped.
            texts += [word for entry in service.measured for word in f"{entry.engine} {entry.format}".split()]
            texts += [f"{units.rate(entry.value)}{entry.date}" for entry in service.measured]
            texts += [part.name for part in service.memory.parts]
            for text in texts:
                assert "".join(text.split()) in shown, text


def test_the_bars_cells_are_in_proportion() -> None:
    lines = plain(table(example("aspen1.toml"))).splitlines()
    counts = {glyph: sum(line.count(glyph) for line in lines[:7]) for glyph in "█▓▒·░"}
    cells = sum(counts.values())
    for glyph, gib in zip("█▓▒·░", (68.6, 17.87, 11.29, 17.25, 10.2), strict=True):
        assert abs(counts[glyph] - gib / 125.2 * cells) <= 1


def test_the_bar_says_what_takes_turns_and_what_is_too_much() -> None:
    lines = plain(table(PLANS["crowded"])).splitlines()
    assert any(line.startswith("  seed ") and "takes turns" in line for line in lines)
    assert any(line.startswith("  too much ") and "!!!" in line and line.endswith("22.4") for line in lines)
    assert any(line.startswith("  ollama ") and line.endswith("unknown") for line in lines)


@pytest.mark.parametrize(
    ("plan", "text", "mark"),
    [
        ("nvidia", "FEASIBLE", "good"),
        ("aspen1", "FEASIBLE WITH CAVEATS", "warn"),
        ("crowded", "NOT FEASIBLE", "bad"),
        ("ollama", "UNKNOWN", "warn"),
        ("aspen1", "accepted", "good"),
        ("crowded", "NOT accepted", "bad"),
        ("aspen1", "unknown", "label"),
    ],
)
def test_what_matters_is_marked(plan: str, text: str, mark: str) -> None:
    found = [span.mark for line in table(PLANS[plan]) for span in line if span.text.strip() == text]
    assert mark in found


def test_another_engines_measurement_is_faint() -> None:
    found = marks(table(PLANS["aspen1"]))
    assert found["vLLM ROCm, mxfp4"] == ""
    assert found["llama.cpp b9187 ROCm ROCm 7.2.3, mxfp4"] == "faint"
