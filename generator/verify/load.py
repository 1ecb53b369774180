"""Requests at a server, some at once, and what their replies come to."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from generator.machine.chat import ask, unreachable
from generator.machine.exchange import Fault, Limits, Reply, Request, bearer
from generator.verify.silence import Silence, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = Limits(total=600.0, pause=120.0)


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server answers, under which name, with which key; and whether it fell silent."""

    url: str
    model: str | None
    key: str | None = field(default=None, repr=False)
    refused: str = ""  # the address, as the machine has it, where nothing listens
    silence: Silence = field(default_factory=Silence, compare=False)


@dataclass(frozen=True, slots=True)
class Burst:
    """Replies to requests, and how long all took in seconds."""

    replies: tuple[Reply, ...]
    seconds: float

    @property
    def faults(self) -> tuple[str, ...]:
        """Return what went wrong, one text a reply."""
        return tuple(str(reply.fault) for reply in self.replies if reply.fault is not None)

    @property
    def throughput(self) -> float:
        """Return the tokens a second of all requests together."""
        return sum(reply.tokens for reply in self.replies) / self.seconds if self.seconds else 0.0


def client(at_once: int = 1) -> httpx.AsyncClient:
    """Return an HTTP client for so many requests at once, which no proxy of the environment comes between."""
    limits = httpx.Limits(max_connections=at_once + 4, max_keepalive_connections=at_once + 4)
    return httpx.AsyncClient(trust_env=False, limits=limits)


async def send(server: Server, requests: Sequence[Request], at_once: int, limits: Limits = LIMITS) -> Burst:
    """Send requests, ``at_once`` at any time; replies come in the order of the requests.

    Once one got no answer, those that were not sent yet stay unsent, and have no reply.
    """
    waiting = asyncio.Semaphore(at_once)
    given_up = False
    loop = asyncio.get_running_loop()
    async with client(at_once) as http:

        async def one(request: Request) -> Reply | None:
            nonlocal given_up
            async with waiting:
                if given_up:
                    return None
                reply = await ask_server(http, server, request, limits)
                given_up = given_up or silent(reply.fault)
                return reply

        began = loop.time()
        replies = await asyncio.gather(*(one(request) for request in requests))
        return Burst(tuple(reply for reply in replies if reply is not None), loop.time() - began)


async def ask_server(
    http: httpx.AsyncClient, server: Server, request: Request, limits: Limits = LIMITS, *, keyed: bool = True
) -> Reply:
    """Ask a server for a completion; with its key unless not ``keyed``."""
    if server.refused:
        return Reply(fault=_nobody(server))
    return await ask(http, server.url, request, limits, key=server.key if keyed else None)


def _nobody(server: Server) -> Fault:
    return Fault("unreachable", f"nothing listens on {server.refused}")


async def get(http: httpx.AsyncClient, server: Server, path: str, limit: float) -> httpx.Response | Fault:
    """Return what a server answers to GET, whatever its status, or why nothing came; ``limit`` is in seconds."""
    if server.refused:
        return _nobody(server)
    try:
        async with asyncio.timeout(limit):
            return await http.get(f"{server.url}{path}", headers=bearer(server.key), timeout=limit)
    except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
        return Fault("timeout", f"nothing came for {limit:g} s")
    except (httpx.ConnectTimeout, httpx.ConnectError) as error:
        return unreachable(server.url, error)
    except httpx.HTTPError as error:
        return Fault("cut", str(error) or type(error).__name__)


def median(values: Sequence[float]) -> float | None:
    """Return the median, None of nothing."""
    return statistics.median(values) if values else None


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which ``share`` percent of the values lie, between its neighbours; None of nothing.

    >>> percentile([1.0, 2.0, 3.0], 50)
    2.0
    """
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
