"""The phases, in order: each verdict as it is decided."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from generator.catalog.metrics import counters
from generator.machine.counters import Names
from generator.spec.address import bracketed
from generator.verify import api, endurance, engine_memory, metrics, speed
from generator.verify.left import MACHINE, asked, criteria, locked
from generator.verify.load import Server
from generator.verify.observe import commands, observe, unit_state
from generator.verify.soak import Load, soak
from generator.verify.transport import TransportError
from generator.verify.turns import in_turns, turn
from generator.verify.verdict import Criterion, Phase, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from generator.process import Output
    from generator.verify.expectation import MachineExpectation, ServiceExpectation
    from generator.verify.soak import Record
    from generator.verify.transport import Transport

_SERVER = {"api": api.check, "speed": speed.check, "metrics": metrics.check}
_BRIEF = frozenset({"metrics"})  # asked of a silent server too: an engine that hangs may have them
REACHABLE = "reachable"  # the one criterion of a phase whose machine cannot be reached


@dataclass(frozen=True, slots=True)
class Plan:
    """What to check: the phases, and for how many seconds to load each service at the end (0: not at all)."""

    phases: tuple[Phase, ...]
    soak_seconds: float = 0.0
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)  # by service


def verify(
    expected: MachineExpectation, transport: Transport, plan: Plan, tell: Callable[[Record], None]
) -> Iterator[Verdict]:
    """Check a machine; what cannot be reached is "not checked", never passed.

    Raises KeyboardInterrupt after the verdicts of a load that Ctrl-C ended: it is meant for all that would follow.
    """
    wanted = [phase for phase in plan.phases if phase in MACHINE]
    seen: Mapping[str, Output] = {}
    try:
        seen = _look(expected, transport, wanted)
    except TransportError as error:
        yield from (unreachable(expected.machine.name, phase, error) for phase in wanted)
    else:
        for phase in wanted:
            yield from list(MACHINE[phase](expected, seen))
    for one in expected.services if asked(plan) else ():
        away = turn(expected, one, seen)
        if away is not None:
            yield from () if "service" in wanted else (away,)
            continue
        try:
            server = _reach(one, transport, plan)
        except TransportError as error:
            yield from (unreachable(one.service.name, phase, error) for phase in asked(plan))
            continue
        for phase in asked(plan):
            yield from _phase(one, server, phase, plan, tell)


def _reach(one: ServiceExpectation, transport: Transport, plan: Plan) -> Server:
    """Return where a service can be asked. Raises TransportError."""
    host, port = one.host, one.service.port
    refused = bracketed(host, port) if transport.refused(host, port) else ""
    return Server(transport.url(host, port), one.name, plan.keys.get(one.service.name), refused)


def _look(expected: MachineExpectation, transport: Transport, wanted: list[Phase]) -> Mapping[str, Output]:
    """Return what a machine shows; for phases that only ask servers, whose turn it is."""
    if not wanted:
        units = [unit_state(one.service.unit) for one in in_turns(expected)]
        return observe(transport, {name: command for unit in units for name, command in unit.items()})
    seen = observe(transport, commands(expected))
    return seen | (observe(transport, engine_memory.questions(expected, seen)) if "rocm" in wanted else {})


def _phase(
    one: ServiceExpectation, server: Server, phase: Phase, plan: Plan, tell: Callable[[Record], None]
) -> Iterator[Verdict]:
    """Check a server by asking it; what would only wait once more for one that is silent is not asked."""
    missing = locked(one, phase, plan)
    if missing is not None:
        name = one.service.name
        yield missing.not_checked("no key was given", f"give --key-file {name}=FILE; RUNBOOK.md says how to get it")
        return
    decided = set()
    if phase in _BRIEF or not server.silence.since:
        found = _soak(one, server, plan, tell) if phase == "soak" else _each(_SERVER[phase](one, server))
        for verdict in found:
            decided.add(verdict.criterion.id)
            yield verdict
    if server.silence.since:
        left = (criterion for criterion in criteria(one, phase, plan) if criterion.id not in decided)
        yield from map(server.silence.unasked, left)


def unreachable(subject: str, phase: Phase, error: TransportError) -> Verdict:
    """Return the verdict on a phase whose machine, or service there, cannot be reached."""
    rule = "nothing can be seen from outside"
    criterion = Criterion(phase, REACHABLE, subject, "the machine is reachable", rule)
    return criterion.not_checked(str(error), "see target_host in the spec, and 'ssh' to it by hand")


def _each(verdicts: AsyncIterator[Verdict]) -> Iterator[Verdict]:
    """Hand over each verdict as it is decided, not when the phase is over."""

    async def following() -> Verdict | None:
        return await anext(verdicts, None)

    with asyncio.Runner() as runner:
        while (verdict := runner.run(following())) is not None:
            yield verdict


def _soak(
    expected: ServiceExpectation, server: Server, plan: Plan, tell: Callable[[Record], None]
) -> Iterator[Verdict]:
    found = counters().get(expected.service.engine)
    names = None
    if found is not None:
        names = Names(tuple(found["progress"]), found["running"], found["waiting"], found.get("finished"))
    load = Load(server, expected.concurrency, plan.soak_seconds, names)
    record = asyncio.run(_interruptible(load, tell))
    yield from endurance.judge(expected, record)
    if record.stopped:
        raise KeyboardInterrupt


async def _interruptible(load: Load, tell: Callable[[Record], None]) -> Record:
    """Soak until the time is over, or until Ctrl-C: what was seen so far is a report all the same."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):  # not the main thread
        loop.add_signal_handler(signal.SIGINT, stop.set)
    return await soak(load, stop, tell)
