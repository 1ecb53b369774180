# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""llmflake-watchdog SETTINGS: keeps one server answering. What it decides is in watch.py; this looks, asks and acts."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from generator.machine import counters as engine
from generator.machine import settings as configuration
from generator.machine.chat import ask
from generator.machine.exchange import Limits
from generator.machine.known import judge
from generator.machine.notify import notify
from generator.machine.systemd import Systemctl, UnitState
from generator.machine.textfile import Textfile
from generator.machine.watch import Sample, State, step

if TYPE_CHECKING:
    from generator.machine.known import Judgement
    from generator.machine.settings import Settings
    from generator.machine.systemd import Manager
    from generator.machine.watch import Decision

_LOG = logging.getLogger("llmflake-watchdog")
TICK = 5.0  # seconds between two looks


class Watchdog:
    """One server, watched."""

    def __init__(
        self, settings: Settings, manager: Manager, folder: Path, *, key: str | None = None, tick: float = TICK
    ) -> None:
        """Keep metrics and what must outlive a reboot in ``folder``; look every ``tick`` seconds."""
        self._tick = tick
        self._settings, self._manager, self._key = settings, manager, key
        self._memory = folder / f"{settings.unit}.json"
        self._textfile = Textfile(folder / f"{settings.unit}.prom", settings.unit)
        self._state = State(rebooted_wall=_recall(self._memory))
        self._probe: asyncio.Task[Judgement] | None = None
        self._said = ""

    async def look(self, client: httpx.AsyncClient) -> Decision:
        """Look once, and do what is to be done."""
        sample = await self._sample(client)
        self._state, decision = step(self._settings, self._state, sample)
        if decision.health in {"stopped", "starting"} or decision.action not in {"none", "probe"}:
            self._drop_probe()
        try:
            self._textfile.write(decision, sample.judgement, sample.wall)
        except OSError as error:  # a full disk must not end the watch
            _LOG.warning("metrics cannot be written: %s", error)
        said = f"{decision.health}: {decision.why}"
        notify("WATCHDOG=1", f"STATUS={said[:200]}")
        if decision.action not in {"none", "probe"}:
            await self._act(decision)
        elif decision.health != self._said:
            _LOG.info("%s", said)
        self._said = decision.health
        if decision.action == "probe":
            self._probe = asyncio.create_task(self._ask(client))
        return decision

    async def run(self) -> None:
        """Look for ever."""
        async with httpx.AsyncClient(trust_env=False) as client:
            notify("READY=1")
            while True:
                began = time.monotonic()
                await self.look(client)
                await asyncio.sleep(max(0.0, self._tick - (time.monotonic() - began)))

    async def _sample(self, client: httpx.AsyncClient) -> Sample:
        settings, unit, standing_in = self._settings, await self._unit(self._settings.unit), False
        if settings.fallback_unit is not None:
            standing_in = (await self._unit(settings.fallback_unit)).active in {"active", "activating"}
        found = None
        if settings.names is not None and unit.active == "active":
            answer = await engine.read(
                client, settings.url, settings.names, limit=min(TICK, settings.hang_limit / 4), key=self._key
            )
            found = None if isinstance(answer, str) else answer
        judgement = self._probe.result() if self._probe is not None and self._probe.done() else None
        if judgement is not None:
            self._probe = None
            if judgement.outcome != "passed":
                _LOG.warning("a question went wrong: %s: %s", judgement.outcome, judgement.why)
        return Sample(time.monotonic(), time.time(), unit, found, self._probe is not None, judgement, standing_in)

    async def _unit(self, unit: str) -> UnitState:
        state = await self._manager.state(unit)
        if isinstance(state, str):
            _LOG.warning("systemd does not tell of %s: %s", unit, state)
            return UnitState("unknown")
        return state

    async def _ask(self, client: httpx.AsyncClient) -> Judgement:
        settings = self._settings
        limits = Limits(total=settings.hang_limit, pause=settings.hang_limit)
        request = settings.known.request(settings.model)
        return judge(settings.known, await ask(client, settings.url, request, limits, key=self._key), settings.model)

    def _drop_probe(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None

    async def _act(self, decision: Decision) -> None:
        settings = self._settings
        _LOG.warning("%s: %s", decision.action, decision.why)
        problem: str | None = None
        if decision.action in {"restart", "planned restart"}:
            problem = await self._manager.restart(settings.unit, planned=decision.action != "restart")
        elif decision.action == "fallback" and settings.fallback_unit is not None:
            problem = await self._manager.stop(settings.unit) or await self._manager.start(settings.fallback_unit)
        elif decision.action == "reboot":
            problem = await self._reboot()
        elif decision.action == "give up":
            _LOG.error("nothing is left to try; the server needs a person")
        if problem is not None:
            _LOG.error("%s failed: %s", decision.action, problem)

    async def _reboot(self) -> str | None:
        """Write the time down first: a machine that hangs again after its reboot must not reboot without end."""
        try:
            self._memory.write_text(json.dumps({"rebooted": self._state.rebooted_wall}), encoding="utf-8")
        except OSError as error:
            return f"its time cannot be written down: {error}"
        return await self._manager.reboot()


def _recall(memory: Path) -> float | None:
    try:
        when = json.loads(memory.read_text(encoding="utf-8"))["rebooted"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(when) if isinstance(when, int | float) else None


def main() -> None:
    """Run the program."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    folder = Path(os.environ["STATE_DIRECTORY"].split(":")[0])
    settings = configuration.read(sys.argv[1])
    asyncio.run(Watchdog(settings, Systemctl(), folder, key=configuration.credential()).run())


if __name__ == "__main__":
    main()
