"""Numbers as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.plan.speed import Estimate
from generator.show import units

GIB = 1024**3


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0.0, "0.0"),
        (1.0, "<0.1"),
        (0.049 * GIB, "<0.1"),
        (0.05 * GIB, "0.1"),
        (68.597 * GIB, "68.6"),
        (-0.01 * GIB, "0.0"),
        (-22.14 * GIB, "-22.1"),
        (None, "unknown"),
    ],
)
def test_memory_is_in_gib_with_one_decimal(size: float | None, text: str) -> None:
    assert units.gib(size) == text


def test_a_size_with_its_unit_has_none_where_it_is_unknown() -> None:
    assert (units.with_gib(GIB * 115.0), units.with_gib(None)) == ("115.0 GiB", "unknown")


@pytest.mark.parametrize(
    ("value", "text"), [(7.644, "7.6"), (99.94, "99.9"), (99.96, "100"), (632.69, "633"), (None, "unknown")]
)
def test_a_rate_has_a_decimal_below_a_hundred(value: float | None, text: str) -> None:
    assert units.rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.827, "0.83 s"), (0.996, "1.0 s"), (9.96, "10 s"), (119.9, "120 s"), (200.0, "3.3 min"), (None, "unknown")],
)
def test_a_duration_has_about_two_digits(value: float | None, text: str) -> None:
    assert units.duration(value) == text


def test_a_band_says_its_bounds() -> None:
    assert units.band(Estimate(7.6, 6.54, 25.1)) == "6.5 to 25.1"
    assert units.band(Estimate(0.8, 0.594, 1.27), time=True) == "0.59 to 1.3"
    assert units.band(None) == ""


@given(st.floats(0, 1e15))
def test_rounding_never_moves_a_size_by_more_than_half_a_tenth(size: float) -> None:
    text = units.gib(size)
    shown = 0.0 if text == "<0.1" else float(text)
    assert abs(shown - size / GIB) <= 0.05 + 1e-9
