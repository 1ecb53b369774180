"""What the memory of a machine is divided into."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from generator.show import bar
from generator.show.bar import Bar, memory_bar
from tests.conftest import EXAMPLES
from tests.shown import CROWDED, GIB, example, machine, plan_of, service

if TYPE_CHECKING:
    from pathlib import Path

CROWD = machine(plan_of(CROWDED), "one")


def rows(drawn: Bar | None) -> dict[str, bar.Row]:
    assert drawn is not None
    return {row.label: row for row in drawn.rows}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_runs_at_once_the_rest_and_the_system_fill_the_bar_without_gaps(path: Path) -> None:
    for shown in plan_of(path).machines:
        drawn = memory_bar(shown)
        assert drawn is not None
        at = 0.0
        for segment in (segment for row in drawn.rows if not row.turns for segment in row.segments):
            assert segment.start == pytest.approx(at)
            at += segment.bytes
        assert at == pytest.approx(drawn.scale)
        assert drawn.scale == pytest.approx((shown.available or 0.0) + (shown.system or 0.0))


def test_a_service_has_its_parts_in_order() -> None:
    shown = example("aspen1.toml")
    parts = rows(memory_bar(shown.machines[0]))["llm"].segments
    wanted = service(shown, "llm").memory.parts
    assert [part.name for part in parts] == [part.name for part in wanted]
    assert [part.bytes for part in parts] == pytest.approx([part.bytes for part in wanted])


def test_a_service_that_takes_turns_starts_at_the_left() -> None:
    found = rows(memory_bar(example("two-machines.json").machines[0]))
    assert not found["batch"].turns
    assert found["small"].turns
    assert found["small"].segments[0].start == 0.0


def test_parts_beyond_vllms_share_are_cut() -> None:
    seed = rows(memory_bar(CROWD))["seed"]
    assert sum(segment.bytes for segment in seed.segments) == seed.bytes
    assert seed.bytes == pytest.approx(105.8 * GIB, rel=1e-3)


def test_what_is_too_much_stands_after_the_limit() -> None:
    drawn = memory_bar(CROWD)
    over = rows(drawn)[bar.OVER].segments[0]
    assert drawn is not None
    assert over.start == drawn.limit
    assert over.bytes == pytest.approx((CROWD.together or 0.0) - drawn.limit)
    assert rows(drawn)[bar.SYSTEM].segments[0].start == pytest.approx(over.start + over.bytes)


def test_with_a_service_of_unknown_size_nothing_is_called_headroom() -> None:
    found = rows(memory_bar(example("ollama.toml").machines[0]))
    assert found["ollama"].bytes is None
    assert bar.LEFT in found
    assert bar.FREE not in found


def test_a_service_on_the_cpu_takes_nothing_of_the_gpu() -> None:
    assert "on-cpu" not in rows(memory_bar(machine(plan_of(CROWDED), "two")))


def test_unknown_hardware_has_no_bar() -> None:
    assert memory_bar(replace(CROWD, available=None)) is None
