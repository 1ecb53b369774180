# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""llmflake-ready SETTINGS: waits until the server answers a known question, at no less than its least rate.

It runs as ExecStartPost of the server's unit: the unit counts as started only then, and fails where this fails.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from typing import TYPE_CHECKING

import httpx

from generator.machine import settings as configuration
from generator.machine.chat import ask
from generator.machine.exchange import Limits
from generator.machine.known import Judgement, judge
from generator.machine.notify import notify

if TYPE_CHECKING:
    from generator.machine.settings import Settings

_LOG = logging.getLogger("llmflake-ready")
_PAUSE = 2.0  # seconds between two questions
_PATIENCE = 3  # answers that are wrong in a row: it will not get better by asking


async def wait(settings: Settings, key: str | None) -> Judgement:
    """Ask until the known answer came, or until the start limit has passed or three answers were wrong."""
    until = time.monotonic() + settings.start_limit
    wrong, said = 0, ""
    judgement = Judgement("dead", "never asked")
    async with httpx.AsyncClient(trust_env=False) as client:
        while (left := until - time.monotonic()) > 0:
            limits = Limits(total=min(left, settings.hang_limit), pause=min(left, settings.hang_limit))
            reply = await ask(client, settings.url, settings.known.request(settings.model), limits, key=key)
            judgement = judge(settings.known, reply, settings.model)
            if judgement.outcome == "passed":
                break
            wrong = wrong + 1 if judgement.outcome in {"wrong", "slow", "refused"} else 0
            if judgement.why != said:
                _LOG.info("not ready: %s: %s", judgement.outcome, judgement.why)
                notify(f"STATUS=not ready: {judgement.why[:200]}")
            said = judgement.why
            if wrong >= _PATIENCE:
                break
            await asyncio.sleep(_PAUSE)
    return judgement


def drop_privileges() -> None:
    """Become nobody: the unit of a container runs as root, and asking a question needs nothing of that."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


_NOBODY = 65534


def main() -> None:
    """Run the program."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = configuration.read(sys.argv[1])
    key = configuration.credential()
    drop_privileges()
    judgement = asyncio.run(wait(settings, key))
    _LOG.info("%s: %s", "ready" if judgement.outcome == "passed" else "gave up", judgement.why)
    notify(f"STATUS={judgement.why[:200]}")
    sys.exit(judgement.outcome != "passed")


if __name__ == "__main__":
    main()
