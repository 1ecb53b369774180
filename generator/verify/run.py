"""The phases, in order: each verdict as it is decided."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from generator.catalog.metrics import counters
from generator.machine.counters import Names
from generator.verify import api, endurance, engine_memory, metrics, rocm, service, speed, system
from generator.verify.keys import keyed
from generator.verify.load import Server
from generator.verify.observe import commands, observe
from generator.verify.soak import Load, soak
from generator.verify.transport import TransportError
from generator.verify.verdict import Criterion, Phase, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from generator.verify.expectation import MachineExpectation, ServiceExpectation
    from generator.verify.soak import Record
    from generator.verify.transport import Transport

_MACHINE = {"system": system.judge, "rocm": rocm.judge, "service": service.judge}
_SERVER = {"api": api.check, "speed": speed.check, "metrics": metrics.check}
_OPEN = frozenset({"metrics"})  # vLLM asks for no key there, and what does says so itself
_REACH = "the machine is reachable"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to check: the phases, and for how many seconds to load each service at the end (0: not at all)."""

    phases: tuple[Phase, ...]
    soak_seconds: float = 0.0
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)  # by service


def verify(
    expected: MachineExpectation, transport: Transport, plan: Plan, tell: Callable[[Record], None]
) -> Iterator[Verdict]:
    """Check a machine; what cannot be reached is "not checked", never passed."""
    wanted = [phase for phase in plan.phases if phase in _MACHINE]
    if wanted:
        try:
            seen = observe(transport, commands(expected))
            if "rocm" in wanted:
                seen |= observe(transport, engine_memory.questions(expected, seen))
        except TransportError as error:
            yield from (unreachable(expected, phase, error) for phase in wanted)
        else:
            for phase in wanted:
                yield from _MACHINE[phase](expected, seen)
    for one in expected.services:
        try:
            server = Server(transport.url(one.host, one.service.port), one.name, plan.keys.get(one.service.name))
        except TransportError as error:
            yield from (unreachable(expected, phase, error) for phase in plan.phases if phase in _SERVER)
            continue
        yield from _server(one, server, plan, tell)


def _server(one: ServiceExpectation, server: Server, plan: Plan, tell: Callable[[Record], None]) -> Iterator[Verdict]:
    """Check a server by asking it."""
    locked = keyed(one.service) and server.key is None
    for phase in plan.phases:
        if phase in _SERVER and locked and phase not in _OPEN:
            yield _no_key(one, phase)
        elif phase in _SERVER:
            yield from _each(_SERVER[phase](one, server))
    if plan.soak_seconds > 0:
        yield from [_no_key(one, "soak")] if locked else _soak(one, server, plan.soak_seconds, tell)


def _no_key(one: ServiceExpectation, phase: Phase) -> Verdict:
    name = one.service.name
    criterion = Criterion(phase, "key-file", name, "the key that it asks for is given", "spec: services.*.api_key")
    return criterion.not_checked("no key was given", f"give --key-file {name}=FILE; RUNBOOK.md says how to get it")


def unreachable(expected: MachineExpectation, phase: Phase, error: TransportError) -> Verdict:
    """Return the verdict on a phase whose machine cannot be reached."""
    criterion = Criterion(phase, "reachable", expected.machine.name, _REACH, "nothing can be seen from outside")
    return criterion.not_checked(str(error), "see target_host in the spec, and 'ssh' to it by hand")


def _each(verdicts: AsyncIterator[Verdict]) -> Iterator[Verdict]:
    """Hand over each verdict as it is decided, not when the phase is over."""

    async def following() -> Verdict | None:
        return await anext(verdicts, None)

    with asyncio.Runner() as runner:
        while (verdict := runner.run(following())) is not None:
            yield verdict


def _soak(
    expected: ServiceExpectation, server: Server, seconds: float, tell: Callable[[Record], None]
) -> Iterator[Verdict]:
    found = counters().get(expected.service.engine)
    names = None
    if found is not None:
        names = Names(tuple(found["progress"]), found["running"], found["waiting"], found.get("finished"))
    load = Load(server, expected.concurrency, seconds, names)
    yield from endurance.judge(expected, asyncio.run(_interruptible(load, tell)))


async def _interruptible(load: Load, tell: Callable[[Record], None]) -> Record:
    """Soak until the time is over, or until Ctrl-C: what was seen so far is a report all the same."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):  # not the main thread
        loop.add_signal_handler(signal.SIGINT, stop.set)
    return await soak(load, stop, tell)
