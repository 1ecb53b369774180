"""One verdict a criterion: what was expected and why, what was measured, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Outcome = Literal["passed", "failed", "not checked"]
Phase = Literal["system", "rocm", "service", "api", "speed", "metrics", "soak", "baseline"]
PHASES: tuple[Phase, ...] = ("system", "rocm", "service", "api", "speed", "metrics")

ACCEPTED, NOT_ACCEPTED, COULD_NOT_CHECK = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Criterion:
    """What is checked: ``rule`` says where the expectation comes from."""

    phase: Phase
    name: str  # unique within the subject, as "gtt"
    subject: str  # the machine or the service
    expected: str
    rule: str

    @property
    def id(self) -> str:
        """Return what the criterion is called in reports and baselines."""
        return f"{self.phase}.{self.subject}.{self.name}"

    def passed(self, measured: str, value: float | None = None, unit: str = "") -> Verdict:
        """Return the verdict that it holds."""
        return Verdict(self, "passed", measured, "", value, unit)

    def failed(self, measured: str, advice: str, value: float | None = None, unit: str = "") -> Verdict:
        """Return the verdict that it does not hold, with what to do."""
        return Verdict(self, "failed", measured, advice, value, unit)

    def not_checked(self, why: str, advice: str = "") -> Verdict:
        """Return the verdict that it could not be looked at."""
        return Verdict(self, "not checked", why, advice, None, "")

    def decide(
        self,
        holds: bool,  # noqa: FBT001 - the decision itself
        measured: str,
        advice: str,
        value: float | None = None,
        unit: str = "",
    ) -> Verdict:
        """Return passed or failed."""
        return self.passed(measured, value, unit) if holds else self.failed(measured, advice, value, unit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a criterion. ``value`` and ``unit`` are what a baseline compares, where there is a number."""

    criterion: Criterion
    outcome: Outcome
    measured: str
    advice: str
    value: float | None
    unit: str


def short(value: float) -> str:
    """Return a number for people: three significant digits, or all digits before the point.

    >>> short(6.5398), short(5.0), short(1234.5)
    ('6.54', '5', '1234')
    """
    return f"{value:.3g}" if abs(value) < _THOUSAND else f"{value:.0f}"


_THOUSAND = 999.5  # from here, three digits would need an exponent


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 0 when all passed, 1 when one failed, 2 when none failed but one, or all, could not be checked."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if "failed" in outcomes:
        return NOT_ACCEPTED
    return ACCEPTED if outcomes == {"passed"} else COULD_NOT_CHECK
