"""Published measurements of speed, of one model on one kind of hardware; read only when a plan is shown."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PATH = Path(__file__).resolve().parent / "measurements" / "speed.csv"


@cache
def _rows() -> tuple[dict[str, str], ...]:
    import csv

    with _PATH.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def speeds(model: str, hardware: str) -> tuple[dict[str, str], ...]:
    """Return the rows of a model (by its repository) on hardware (by the beginning of its name), newest first.

    Columns are those of measurements/speed.csv; ``value_tps`` is tokens a second.
    """
    found = [row for row in _rows() if row["hf_id"] == model and row["hardware"].startswith(hardware)]
    return tuple(sorted(found, key=lambda row: row["date"].removeprefix("<="), reverse=True))
