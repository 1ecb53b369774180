"""Services that take turns: one that is stopped while another has the turn is as it should be, and not to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.spec.rules.placement import take_turns
from generator.verify.observe import properties
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.process import Output
    from generator.verify.expectation import MachineExpectation, ServiceExpectation

_NAME = "turn"


def in_turns(expected: MachineExpectation) -> tuple[ServiceExpectation, ...]:
    """Return the services of a machine that take turns with another there."""
    return tuple(one for one in expected.services if _others(expected, one))


def turn(expected: MachineExpectation, one: ServiceExpectation, seen: Mapping[str, Output]) -> Verdict | None:
    """Return the verdict on a service that gave its turn away; None on one that runs, or has no excuse.

    What systemd does not say, or a unit that it does not know, is no excuse.
    """
    if _state(one, seen) != "inactive":
        return None
    having = next((other for other in _others(expected, one) if _state(other, seen) == "active"), None)
    if having is None:
        return None
    unit = having.service.unit
    rule = f"spec: services.{one.service.name}.conflicts"
    if having.service.name not in one.service.conflicts:
        rule = f"spec: services.{having.service.name}.conflicts"
    criterion = Criterion("service", _NAME, one.service.name, f"it runs, or {unit} has the turn", rule)
    return criterion.passed(f"stopped: {unit} has the turn; start it and verify again to check it")


def _others(expected: MachineExpectation, one: ServiceExpectation) -> list[ServiceExpectation]:
    return [other for other in expected.services if other is not one and take_turns(one.service, other.service)]


def _state(one: ServiceExpectation, seen: Mapping[str, Output]) -> str | None:
    """Return the state of a unit that is there, None where it is not, or cannot be seen."""
    output = seen.get(f"unit:{one.service.unit}")
    told = properties(output.out) if output is not None and output.code == 0 else {}
    return told.get("ActiveState") if told.get("LoadState") == "loaded" else None
