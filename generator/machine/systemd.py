# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""systemd's units, through systemctl: what state one is in, and what the watchdog may do to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

_PROPERTIES = ("ActiveState", "Result", "InvocationID", "Job", "NRestarts")


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit at one moment. ``invocation`` changes at every start; ``job`` says that systemd is about to change it."""

    active: str  # active, activating, deactivating, inactive, failed
    result: str = "success"
    invocation: str = ""
    job: bool = False
    restarts: int = 0  # by systemd itself, since somebody started it


class Manager(Protocol):
    """What the watchdog needs of systemd. Every method returns why it failed, or None."""

    async def state(self, unit: str) -> UnitState | str:
        """Return the state of a unit."""

    async def restart(self, unit: str, *, planned: bool) -> str | None:
        """Restart a unit, without waiting for it; a planned restart does not count towards the unit's start limit."""

    async def start(self, unit: str) -> str | None:
        """Start a unit, without waiting for it."""

    async def stop(self, unit: str) -> str | None:
        """Stop a unit, without waiting for it."""

    async def reboot(self) -> str | None:
        """Reboot the machine."""


class Systemctl:
    """systemd itself."""

    async def state(self, unit: str) -> UnitState | str:
        """Return the state of a unit."""
        code, output = await _run("show", f"{unit}.service", *(f"--property={name}" for name in _PROPERTIES))
        return parse_state(output) if code == 0 else output

    async def restart(self, unit: str, *, planned: bool) -> str | None:
        """Restart a unit, without waiting for it."""
        if planned:
            await _act("reset-failed", f"{unit}.service")
        return await _act("restart", "--no-block", f"{unit}.service")

    async def start(self, unit: str) -> str | None:
        """Start a unit, without waiting for it."""
        return await _act("start", "--no-block", f"{unit}.service")

    async def stop(self, unit: str) -> str | None:
        """Stop a unit, without waiting for it."""
        return await _act("stop", "--no-block", f"{unit}.service")

    async def reboot(self) -> str | None:
        """Reboot the machine."""
        return await _act("reboot", "--no-wall")


def parse_state(output: str) -> UnitState:
    """Read what ``systemctl show`` prints: one ``Name=value`` a line."""
    found = dict(line.partition("=")[::2] for line in output.splitlines())
    return UnitState(
        found.get("ActiveState", "inactive"),
        found.get("Result", "success"),
        found.get("InvocationID", ""),
        found.get("Job", "") not in {"", "0"},
        int(found.get("NRestarts") or 0),
    )


async def _act(*arguments: str) -> str | None:
    code, output = await _run(*arguments, "--no-ask-password")
    return None if code == 0 else output.strip() or f"systemctl {arguments[0]} failed with {code}"


async def _run(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        "systemctl", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout=30)
    except TimeoutError:
        process.kill()
        return 1, "systemd did not answer within 30 s"
    return process.returncode or 0, output.decode("utf-8", "replace")
