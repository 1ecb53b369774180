"""Numbers as text. Rounding happens here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.plan.speed import Estimate

_GIB = 1024**3
_SMALL = 0.05  # below this, one decimal would say 0.0
_WHOLE = 100
_TENTHS = 10
_MINUTES = 120
UNKNOWN = "unknown"


def gib(size: float | None) -> str:
    """Return bytes as GiB with one decimal, without the unit: "68.6"; "<0.1" for what is more than nothing.

    >>> gib(73_658_000_000), gib(1024.0), gib(None)
    ('68.6', '<0.1', 'unknown')
    """
    if size is None:
        return UNKNOWN
    value = size / _GIB
    if 0 < value < _SMALL:
        return "<0.1"
    return f"{round(value, 1) + 0.0:.1f}"  # + 0.0: a minus zero is a zero


def with_gib(size: float | None) -> str:
    """Return bytes as GiB with one decimal and the unit: "68.6 GiB"."""
    return UNKNOWN if size is None else f"{gib(size)} GiB"


def rate(value: float | None) -> str:
    """Return tokens a second without the unit: one decimal below 100, none above.

    >>> rate(7.644), rate(632.69)
    ('7.6', '633')
    """
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if round(value, 1) < _WHOLE else f"{value:.0f}"


def seconds(value: float | None) -> str:
    """Return seconds without the unit: two decimals below 1, one below 10, none above.

    >>> seconds(0.8272), seconds(10.37)
    ('0.83', '10')
    """
    if value is None:
        return UNKNOWN
    if round(value, 2) < 1:
        return f"{value:.2f}"
    return f"{value:.1f}" if round(value, 1) < _TENTHS else f"{value:.0f}"


def duration(value: float | None) -> str:
    """Return seconds with their unit, as minutes from two minutes on.

    >>> duration(10.37), duration(200.0)
    ('10 s', '3.3 min')
    """
    if value is None:
        return UNKNOWN
    return f"{value / 60:.1f} min" if value >= _MINUTES else f"{seconds(value)} s"


def band(estimate: Estimate | None, *, time: bool = False) -> str:
    """Return the bounds of an estimate: "6.5 to 25.1"; "" where there is none. ``time`` is for seconds, not rates."""
    if estimate is None:
        return ""
    text = seconds if time else rate
    return f"{text(estimate.low)} to {text(estimate.high)}"
