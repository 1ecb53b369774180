"""The watchdog on real connections: every fault is found in the promised time, no busy server is restarted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from generator.machine.chat import ask
from generator.machine.exchange import Limits, Request
from generator.machine.systemd import UnitState
from generator.machine.watchdog import Watchdog
from tests import llama
from tests.faulty_server import FaultyServer, serving
from tests.watched import LLAMA, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from generator.machine.exchange import Reply
    from generator.machine.settings import Settings

TICK = 0.1
# What settings(): an idle server is asked every 0.3 s, a hang is 1 s without progress; three questions prove it broken.
PROMISED = 0.3 + 3 * (1.0 + 0.3) + 8 * TICK


@dataclass
class FakeUnits:
    """A manager of units that are in this process: a real one runs in tests/test_nspawn.py."""

    on_restart: Callable[[], None] = lambda: None
    done: list[str] = field(default_factory=list)
    active: dict[str, str] = field(default_factory=lambda: {"vllm": "active"})
    starts: int = 1

    async def state(self, unit: str) -> UnitState:
        """Return whether the unit is active; each start has an invocation of its own."""
        return UnitState(self.active.get(unit, "inactive"), "success", f"{unit}-{self.starts}")

    async def restart(self, unit: str, *, planned: bool) -> str | None:  # noqa: ARG002
        """Restart, as the test says how."""
        self.done.append(f"restart {unit}")
        await asyncio.to_thread(self.on_restart)
        self.starts += 1
        return None

    async def start(self, unit: str) -> str | None:
        """Start a unit."""
        self.done.append(f"start {unit}")
        self.active[unit] = "active"
        return None

    async def stop(self, unit: str) -> str | None:
        """Stop a unit."""
        self.done.append(f"stop {unit}")
        self.active[unit] = "inactive"
        return None

    async def reboot(self) -> str | None:
        """Write down that the machine would reboot."""
        self.done.append("reboot")
        return None


def watch(
    configured: Settings,
    units: FakeUnits,
    folder: Path,
    seconds: float,
    beside: Callable[[httpx.AsyncClient], Coroutine[None, None, None]] | None = None,
    *,
    until_done: int = 10**9,
    key: str | None = None,
) -> float:
    """Watch for some seconds, or until so many things were done, with a load beside it; return how long it took."""

    async def run() -> float:
        watching = asyncio.create_task(Watchdog(configured, units, folder, key=key, tick=TICK).run())
        began = time.monotonic()
        async with httpx.AsyncClient(trust_env=False) as client:
            load = asyncio.create_task(beside(client)) if beside else None
            while time.monotonic() - began < seconds and len(units.done) < until_done:
                await asyncio.sleep(0.05)
                assert not watching.done(), watching.exception()
            for task in filter(None, (watching, load)):
                task.cancel()
            await asyncio.gather(*filter(None, (watching, load)), return_exceptions=True)
            return time.monotonic() - began

    return asyncio.run(run())


@pytest.mark.parametrize(
    "fault",
    [
        *("hang", "cut", "garbage", "loop", "empty", "broken", "wrong answer", "error", "unavailable", "wrong model"),
        *("slow", "huge", "html", "turned away"),
    ],
)
def test_every_fault_of_an_idle_server_is_found_in_the_promised_time(fault: str, tmp_path: Path) -> None:
    server = FaultyServer(fault=fault)
    units = FakeUnits(on_restart=lambda: setattr(server, "fault", None))
    with serving(server) as url:
        took = watch(settings(url=url), units, tmp_path, 20, until_done=1)
    assert units.done == ["restart vllm"]
    assert took <= PROMISED


def test_a_dead_engine_behind_a_healthy_port_is_found_although_health_says_200(tmp_path: Path) -> None:
    server = FaultyServer(fault="hang", after=0)
    units = FakeUnits(on_restart=lambda: setattr(server, "fault", None))
    with serving(server) as url:
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
        took = watch(settings(url=url), units, tmp_path, 20, until_done=1)
    assert units.done == ["restart vllm"]
    assert took <= 0.3 + 1.0 + 8 * TICK


def test_a_hang_in_the_middle_of_somebodys_answer_is_found(tmp_path: Path) -> None:
    server = FaultyServer(fault="hang", after=30, rate=50)
    units = FakeUnits(on_restart=lambda: setattr(server, "fault", None))

    async def beside(client: httpx.AsyncClient) -> None:
        await ask(client, url, Request("tiny", ({"role": "user", "content": "go"},), 1000, exact=True))

    with serving(server) as url:
        took = watch(settings(url=url), units, tmp_path, 20, beside, until_done=1)
    assert units.done == ["restart vllm"]
    assert took <= 30 / 50 + 1.0 + 8 * TICK


def test_after_the_restart_the_server_is_left_alone(tmp_path: Path) -> None:
    server = FaultyServer(fault="hang")
    units = FakeUnits(on_restart=lambda: setattr(server, "fault", None))
    with serving(server) as url:
        watch(settings(url=url), units, tmp_path, 5)
    assert units.done == ["restart vllm"]
    assert 'llmflake_watchdog_actions_total{action="restart",unit="vllm"} 1.0' in (tmp_path / "vllm.prom").read_text()


def test_the_ladder_ends_at_the_fallback_engine(tmp_path: Path) -> None:
    units = FakeUnits()
    with serving(FaultyServer(fault="hang", after=0)) as url:
        watch(settings(url=url, fallback_unit="llama-cpp"), units, tmp_path, 8)
    assert units.done == ["restart vllm", "restart vllm", "stop vllm", "start llama-cpp"]


def test_a_reboot_is_remembered_across_it(tmp_path: Path) -> None:
    units = FakeUnits()
    with serving(FaultyServer(fault="hang", after=0)) as url:
        watch(settings(url=url, restarts=0, reboot=True), units, tmp_path, 10, until_done=1)
        watch(settings(url=url, restarts=0, reboot=True), units, tmp_path, 3)
    assert units.done == ["reboot"]


def test_a_disk_that_takes_nothing_ends_no_watch_and_starts_no_reboot(tmp_path: Path) -> None:
    """A machine that could not remember its reboot could reboot without end."""
    units = FakeUnits()
    with serving(FaultyServer(fault="hang", after=0)) as url:
        watch(settings(url=url, restarts=1, reboot=True), units, tmp_path / "gone", 5)
    assert units.done == ["restart vllm"]


def test_a_stopped_unit_stays_stopped(tmp_path: Path) -> None:
    units = FakeUnits(active={"vllm": "inactive"})
    with serving(FaultyServer(fault="hang", after=0)) as url:
        watch(settings(url=url, reboot=True, fallback_unit="llama-cpp"), units, tmp_path, 3)
    assert units.done == []


def test_a_server_that_is_overloaded_for_long_is_not_restarted(tmp_path: Path) -> None:
    """One slot, a queue of one, sixteen clients that never stop: most requests get 503, among them the watchdog's."""
    server = FaultyServer(slots=1, queue=1, rate=40, first=0.3)
    units = FakeUnits()
    replies: list[Reply] = []

    async def one(client: httpx.AsyncClient) -> None:
        while True:
            request = Request("tiny", ({"role": "user", "content": "go"},), 60, exact=True)
            replies.append(await ask(client, url, request, Limits(10, 10)))
            await asyncio.sleep(0.05)

    async def beside(client: httpx.AsyncClient) -> None:
        await asyncio.gather(*(one(client) for _ in range(16)))

    with serving(server) as url:
        watch(settings(url=url), units, tmp_path, 12, beside)
    assert units.done == []
    assert sum(reply.fault is None for reply in replies) >= 4
    assert any(reply.fault and reply.fault.status == 503 for reply in replies)


def test_a_planned_restart_loses_no_request(tmp_path: Path) -> None:
    server = FaultyServer(rate=200)
    lost_in_flight: list[int] = []
    units = FakeUnits(on_restart=lambda: lost_in_flight.append(server.running + server.waiting))
    replies: list[Reply] = []

    async def beside(client: httpx.AsyncClient) -> None:
        while True:
            replies.append(
                await ask(client, url, Request("tiny", ({"role": "user", "content": "go"},), 30, exact=True))
            )
            await asyncio.sleep(0.25)  # a pause in which the server is idle

    with serving(server) as url:
        watch(settings(url=url, restart_after_requests=5), units, tmp_path, 6, beside)
    assert units.done
    assert set(units.done) == {"restart vllm"}
    assert set(lost_in_flight) == {0}
    assert all(reply.fault is None for reply in replies)


@pytest.fixture
def own_llama() -> Iterator[llama.LlamaServer]:
    """Start a llama-server that the test may hang."""
    found = llama.required()
    server = llama.LlamaServer(*found)
    server.start()
    yield server
    server.stop()


def real(server: llama.LlamaServer) -> Settings:
    return settings(url=server.url, model=llama.MODEL, names=LLAMA, hang_limit=4.0, probe_interval=1.0)


def test_a_real_server_that_hangs_is_restarted_and_answers_again(own_llama: llama.LlamaServer, tmp_path: Path) -> None:
    def restart() -> None:
        own_llama.stop()
        own_llama.start()

    units = FakeUnits(on_restart=restart)
    own_llama.hang()
    took = watch(real(own_llama), units, tmp_path, 60, until_done=1)
    assert units.done == ["restart vllm"]
    assert took <= 1.0 + 4.0 + 3 * (1.0 + TICK)  # the interval, the limit, three looks at metrics that do not come
    watch(real(own_llama), units, tmp_path, 3)
    assert units.done == ["restart vllm"]
    assert own_llama.starts == 2


def test_a_real_server_under_load_is_never_restarted(own_llama: llama.LlamaServer, tmp_path: Path) -> None:
    """Six clients on two slots of one thread, long prompts among them: a question of the watchdog's would wait."""
    units = FakeUnits()
    replies: list[Reply] = []

    async def one(client: httpx.AsyncClient, number: int) -> None:
        prompt = f"{number} " + "a long story about a server " * (20 if number % 2 else 1)
        while True:
            request = Request(llama.MODEL, ({"role": "user", "content": prompt},), 40, exact=True)
            replies.append(await ask(client, own_llama.url, request))

    async def beside(client: httpx.AsyncClient) -> None:
        await asyncio.gather(*(one(client, number) for number in range(6)))

    watch(real(own_llama), units, tmp_path, 20, beside)
    assert units.done == []
    assert sum(reply.fault is None for reply in replies) >= 6
