"""What systemctl says of a unit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from generator.machine.systemd import Systemctl, UnitState, parse_state

if TYPE_CHECKING:
    from pathlib import Path


def test_a_units_state_is_read() -> None:
    text = "Result=success\nActiveState=active\nInvocationID=abc\n"
    assert parse_state(text) == UnitState("active", "success", "abc", job=False)


def test_a_pending_job_is_seen() -> None:
    assert parse_state("ActiveState=inactive\nResult=success\nJob=1234\n").job


def test_restarts_are_counted() -> None:
    assert parse_state("ActiveState=failed\nNRestarts=5\n").restarts == 5


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a systemctl on PATH that writes down how it was called, and succeeds while the file ``fail`` is not there."""
    program = tmp_path / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ -e {tmp_path}/fail ] && echo no && exit 4\nexit 0\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_actions_do_not_wait_and_do_not_ask(systemctl: Path) -> None:
    async def act() -> list[str | None]:
        manager = Systemctl()
        return [
            await manager.restart("vllm", planned=False),
            await manager.restart("vllm", planned=True),
            await manager.stop("vllm"),
            await manager.start("x"),
            await manager.reboot(),
        ]

    assert asyncio.run(act()) == [None] * 5
    assert (systemctl / "calls").read_text().splitlines() == [
        "restart --no-block vllm.service --no-ask-password",
        "reset-failed vllm.service --no-ask-password",
        "restart --no-block vllm.service --no-ask-password",
        "stop --no-block vllm.service --no-ask-password",
        "start --no-block x.service --no-ask-password",
        "reboot --no-wall --no-ask-password",
    ]


def test_an_action_that_fails_says_why(systemctl: Path) -> None:
    (systemctl / "fail").touch()
    assert asyncio.run(Systemctl().restart("vllm", planned=False)) == "no"
    assert asyncio.run(Systemctl().state("vllm")) == "no\n"
