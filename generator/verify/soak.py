"""A steady load for a long time: conversations of several turns, and every error, restart and stall of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING

from generator.machine import counters as engine
from generator.machine.degenerate import degenerate
from generator.machine.exchange import Limits, Reply, Request
from generator.verify.load import Server, ask_server, client
from generator.verify.silence import silent

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from generator.machine.counters import Names

TURNS = 5  # the plan's "instability after 4-5 conversation turns"
STALL = 10.0  # seconds without a token in the middle of an answer
_TOKENS = 64
_TEMPERATURE = 0.7  # as people use it; without any, small models that are well repeat themselves
_LIMITS = Limits(total=300.0, pause=60.0)
_LOOK = 2.0  # seconds between two looks at the counters
_OPENINGS = ("Tell me about the tides.", "How is bread made?", "Explain how a clock works.", "Why is the sky blue?")
_FOLLOW_UPS = ("Go on.", "Why is that?", "Give an example.", "Say it more simply.", "What comes after that?")


@dataclass(slots=True)
class Record:
    """What happened so far. Times are seconds since the load began."""

    wanted: float
    seconds: float = 0.0
    stopped: bool = False  # by a person, before the time was over
    replies: int = 0
    conversations: int = 0
    tokens: int = 0
    faults: list[tuple[float, str]] = field(default_factory=list)
    degenerate: list[tuple[float, str]] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    looks: int = 0  # at the engine's counters, where they could be read: they tell of restarts
    away: float = 0.0  # seconds in which nobody listened
    stalls: list[tuple[float, float]] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    firsts_by_turn: dict[int, list[float]] = field(default_factory=dict)

    def take(self, now: float, turn: int, reply: Reply) -> None:
        """Take in a reply."""
        self.replies += 1
        self.tokens += reply.tokens
        if reply.fault is not None:
            self.faults.append((now, str(reply.fault)))
            return
        if reply.longest_pause >= STALL:
            self.stalls.append((now, reply.longest_pause))
        if broken := degenerate(reply.text or reply.reasoning):
            self.degenerate.append((now, broken))
        self.totals.append(reply.seconds)
        if reply.first is not None:
            self.firsts.append(reply.first)
            self.firsts_by_turn.setdefault(turn, []).append(reply.first)
        if reply.rate is not None:
            self.rates.append(reply.rate)


@dataclass(frozen=True, slots=True)
class Load:
    """Who is loaded, by how many at once, for how many seconds; ``names`` are the engine's counters, if it has any."""

    server: Server
    at_once: int
    seconds: float
    names: Names | None


async def soak(load: Load, stop: asyncio.Event, tell: Callable[[Record], None]) -> Record:
    """Load a server until the time is over or ``stop`` is set; ``tell`` is called about once a second."""
    async with client(load.at_once) as http:
        return await _Soak(load, http, tell).run(stop)


class _Soak:
    def __init__(self, load: Load, http: httpx.AsyncClient, tell: Callable[[Record], None]) -> None:
        self._load, self._http, self._tell = load, http, tell
        self._record = Record(load.seconds)
        self._gone = asyncio.Event()
        self._began = time.monotonic()

    async def run(self, stop: asyncio.Event) -> Record:
        tasks = [asyncio.create_task(self._talk(number)) for number in range(self._load.at_once)]
        tasks += [asyncio.create_task(self._look()), asyncio.create_task(self._report())]
        endings = [asyncio.create_task(event.wait()) for event in (stop, self._gone)]
        try:
            await asyncio.wait([*endings, *tasks], timeout=self._load.seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, *endings):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        self._record.seconds = self._now()
        self._record.stopped = stop.is_set()
        return self._record

    def _now(self) -> float:
        return time.monotonic() - self._began

    async def _talk(self, topic: int) -> None:
        """Hold one conversation after the other, each about something else."""
        while True:
            if await self._converse(topic):
                self._record.conversations += 1
            else:
                await asyncio.sleep(1.0)  # a server that is away is not to be asked a thousand times a second
            topic += self._load.at_once

    async def _converse(self, topic: int) -> bool:
        messages: list[dict[str, str]] = []
        server = self._load.server
        for turn in range(1, TURNS + 1):
            follow_up = _FOLLOW_UPS[(topic + turn) % len(_FOLLOW_UPS)]
            text = f"({topic}) {_OPENINGS[topic % len(_OPENINGS)]}" if turn == 1 else follow_up
            messages.append({"role": "user", "content": text})
            request = Request(server.model, tuple(messages), _TOKENS, temperature=_TEMPERATURE)
            reply = await ask_server(self._http, server, request, _LIMITS)
            self._record.take(self._now(), turn, reply)
            if silent(reply.fault) and not self._record.totals:
                self._gone.set()  # it never answered: to load it for an hour would be to wait for an hour
            if reply.fault is not None:
                return False
            messages.append({"role": "assistant", "content": reply.text})
        return True

    async def _look(self) -> None:
        """Count restarts, which are counters that go back, and the time in which nobody gives any."""
        last: float | None = None
        missed: float | None = None
        server, names = self._load.server, self._load.names
        for wait in chain([0.0], repeat(_LOOK)):
            await asyncio.sleep(wait)
            if names is None:
                continue
            found = await engine.read(self._http, server.url, names, limit=5.0, key=server.key)
            if isinstance(found, str):
                missed = self._now() if missed is None else missed
                continue
            self._record.looks += 1
            if missed is not None:
                self._record.away += self._now() - missed
                missed = None
            if last is not None and found.progress < last:
                self._record.restarts.append(self._now())
            last = found.progress

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._record.seconds = self._now()
            self._tell(self._record)
