"""What there is to decide, before anything is: what a silent server or an interruption leaves undecided."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from generator.process import Output
from generator.verify import api, endurance, metrics, rocm, service, speed, system
from generator.verify.keys import keyed
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from generator.verify.expectation import MachineExpectation, ServiceExpectation
    from generator.verify.run import Plan
    from generator.verify.verdict import Phase

MACHINE = {"system": system.judge, "rocm": rocm.judge, "service": service.judge}
SERVER = ("api", "speed", "metrics", "soak")
_OPEN = frozenset({"metrics"})  # vLLM asks for no key there, and what does says so itself


def asked(plan: Plan) -> tuple[Phase, ...]:
    """Return the phases that ask a server, in order."""
    return (*(phase for phase in plan.phases if phase in SERVER), *(("soak",) if plan.soak_seconds > 0 else ()))


def locked(one: ServiceExpectation, phase: Phase, plan: Plan) -> Criterion | None:
    """Return the criterion of a phase that a key is missing for; None where it needs none, or has it."""
    name = one.service.name
    if phase in _OPEN or not keyed(one.service) or name in plan.keys:
        return None
    return Criterion(phase, "key-file", name, "the key that it asks for is given", "spec: services.*.api_key")


def criteria(one: ServiceExpectation, phase: Phase, plan: Plan) -> tuple[Criterion, ...]:
    """Return all criteria of a phase that asks a server."""
    missing = locked(one, phase, plan)
    if missing is not None:
        return (missing,)
    if phase == "api":
        return tuple(api.criteria(one, key=one.service.name in plan.keys))
    return tuple({"speed": speed.criteria, "metrics": metrics.criteria, "soak": endurance.criteria}[phase](one))


def interrupted(expected: MachineExpectation, plan: Plan, verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Yield verdicts on what was not decided when somebody interrupted."""
    decided = {verdict.criterion.id for verdict in verdicts}
    groups = [(verdict.criterion.phase, verdict.criterion.subject) for verdict in verdicts]
    phases = {phase for phase, _ in groups}
    nothing: defaultdict[str, Output] = defaultdict(lambda: Output(1, "", ""))
    for phase in plan.phases:
        if phase in MACHINE and phase not in phases:  # one that began is whole: it is judged before it is said
            yield from (_cut(verdict.criterion) for verdict in MACHINE[phase](expected, nothing))
    for one in expected.services:
        name = one.service.name
        if f"service.{name}.turn" in decided:
            continue
        for phase in asked(plan):
            # Only what was looked at last can be half of itself, and a load is judged at its end.
            whole = (phase, name) in groups and ((phase, name) != groups[-1] or phase == "soak")
            if whole or f"{phase}.{name}.reachable" in decided:
                continue
            yield from (_cut(criterion) for criterion in criteria(one, phase, plan) if criterion.id not in decided)


def _cut(criterion: Criterion) -> Verdict:
    return criterion.not_checked("interrupted")
