"""An earlier report beside a new one: what passed and does not any more, and which numbers moved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# The units that are compared: 1 where more is worse, -1 where less is.
_WORSE = {"s": 1, "tokens/s": -1}
_NOISE = 0.1  # of the earlier value


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the criteria of an earlier report by id. Raises ValueError where the file is no report."""
    try:
        criteria = json.loads(path.read_text(encoding="utf-8"))["criteria"]
        return {entry["id"]: entry for entry in criteria}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report that --report wrote as JSON: {error}") from error


def drift(earlier: dict[str, dict[str, Any]], verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Compare verdicts with an earlier report: one verdict for each criterion that got worse, or one that none did."""
    worse = 0
    for verdict in verdicts:
        before = earlier.get(verdict.criterion.id)
        if before is None:
            continue
        found = _worse(before, verdict)
        if found is not None:
            worse += 1
            yield _criterion(verdict.criterion.id, str(before["measured"])).failed(found, "see what changed since")
    gone = sorted(set(earlier) - {verdict.criterion.id for verdict in verdicts})
    compared = len(earlier) - len(gone)
    if not compared:
        yield _criterion("baseline", "an earlier report of these criteria").not_checked(
            "no criterion is in both reports"
        )
    elif not worse:
        yield _criterion("baseline", "nothing got worse").passed(f"{compared} criteria compared, none is worse")


def interrupted() -> Verdict:
    """Return the verdict where there was no time to compare."""
    return _criterion("baseline", "nothing got worse").not_checked("interrupted")


def _criterion(name: str, expected: str) -> Criterion:
    return Criterion("baseline", name, "report", expected, f"as before, numbers within {_NOISE:.0%}")


def _worse(before: dict[str, Any], verdict: Verdict) -> str | None:
    if before["outcome"] == "passed" and verdict.outcome != "passed":
        return f"{verdict.outcome}: {verdict.measured}"
    old, new = before.get("value"), verdict.value
    if not old or new is None or verdict.unit not in _WORSE or before.get("unit") != verdict.unit:
        return None
    change = (new - old) / old
    return (
        f"{verdict.measured}: {abs(change):.0%} {'less' if change < 0 else 'more'}"
        if change * _WORSE[verdict.unit] > _NOISE
        else None
    )
