"""Caveats: conditions that can hold, sources, dates. tests/test_plan_service.py shows that each of them does hold."""

from __future__ import annotations

import re
from typing import Any

import pytest

from generator.catalog.caveats import CaveatRecord, caveats
from generator.plan.service import facts
from tests.planning import vllm as ask_vllm


def record(**when: Any) -> CaveatRecord:  # noqa: ANN401
    return CaveatRecord(when, "text", "source", "2026-01-01")


@pytest.mark.parametrize("entry", caveats(), ids=[entry.text[:40] for entry in caveats()])
def test_every_condition_asks_for_a_fact_that_there_is(entry: CaveatRecord) -> None:
    """A misspelt condition would never hold, and nobody would miss its caveat."""
    known = facts(ask_vllm(), 1)
    assert entry.when
    for name in entry.when:
        fact = name if name in known else re.sub(r"(_above(_gib)?|_before|_from)$", "", name)
        assert fact in known, name


@pytest.mark.parametrize("entry", caveats(), ids=[entry.text[:40] for entry in caveats()])
def test_every_caveat_has_a_text_a_source_and_a_date(entry: CaveatRecord) -> None:
    assert not entry.text.endswith(".")
    assert len(entry.source) > 5
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", entry.date)


@pytest.mark.parametrize(
    ("when", "known", "holds"),
    [
        ({"engine": "vllm"}, {"engine": "vllm"}, True),
        ({"engine": "vllm"}, {"engine": "llamacpp"}, False),
        ({"engine": "vllm"}, {}, False),
        ({"gtt_limit": False}, {"gtt_limit": False}, True),
        ({"gtt_limit": False}, {}, False),
        ({"kernel_before": "6.18.4"}, {"kernel": "6.18.3"}, True),
        ({"kernel_before": "6.18.4"}, {"kernel": "6.18.4"}, False),
        ({"kernel_before": "6.18.4"}, {"kernel": "6.18.10"}, False),
        ({"kernel_before": "6.18.4"}, {"kernel": None}, True),
        ({"release_from": "0.22"}, {"release": "0.23.0"}, True),
        ({"release_from": "0.22"}, {"release": "0.9.0"}, False),
        ({"release_from": "0.22"}, {"release": None}, False),
        ({"utilisation_above": 0.9}, {"utilisation": 0.91}, True),
        ({"utilisation_above": 0.9}, {"utilisation": 0.9}, False),
        ({"utilisation_above": 0.9}, {"utilisation": None}, False),
        ({"weights_above_gib": 20}, {"weights": 20.1}, True),
        ({"weights_above_gib": 20}, {}, False),
        ({"services_above": 1}, {"services": 2}, True),
        ({"engine": "vllm", "services_above": 1}, {"engine": "vllm", "services": 1}, False),
    ],
)
def test_a_condition(when: dict[str, Any], known: dict[str, Any], holds: bool) -> None:  # noqa: FBT001
    assert record(**when).holds(known) is holds
