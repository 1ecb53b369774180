"""A server that takes connections and never answers, and one that is not there: each is waited for once."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from generator.machine.exchange import Limits
from generator.spec.load import load_spec
from generator.verify import api, metrics, run, speed
from generator.verify.expectation import expectations
from generator.verify.left import criteria
from generator.verify.load import Burst, Server, send
from generator.verify.run import Plan
from generator.verify.transport import Local
from tests.faulty_server import FaultyServer, serving
from tests.llama import free_port
from tests.verified import spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from generator.machine.exchange import Request
    from generator.verify.verdict import Verdict

PLAN = Plan(("api", "speed", "metrics"), soak_seconds=60.0)


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Take connections, and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for seconds, and not for minutes."""
    monkeypatch.setattr(api, "_LIST_LIMIT", 0.5)
    monkeypatch.setattr(metrics, "_LIMIT", 0.5)
    monkeypatch.setattr(metrics, "_BRIEFLY", 0.4)
    monkeypatch.setattr(api, "LIMITS", Limits(total=1.0, pause=0.5))


def checked(folder: Path, port: int, plan: Plan = PLAN) -> tuple[dict[str, Verdict], float]:
    expected = expectations(load_spec(spec_of(folder, port)), "here")
    began = time.monotonic()
    found = {one.criterion.id: one for one in run.verify(expected, Local(), plan, lambda _: None)}
    return found, time.monotonic() - began


def test_a_server_that_never_answers_is_waited_for_once(tmp_path: Path) -> None:
    with silent_server() as port:
        found, seconds = checked(tmp_path, port)
    asked = {name: one for name, one in found.items() if one.outcome == "failed"}
    assert {name: one.measured for name, one in asked.items()} == {
        "api.llm.models": "nothing came for 0.5 s",
        "metrics.llm.endpoint": "nothing came for 0.4 s",
    }
    rest = [one for name, one in found.items() if name not in asked]
    assert {one.outcome for one in rest} == {"not checked"}
    assert {one.measured for one in rest} == {"it did not answer api.llm.models"}
    assert seconds < 5


def test_every_criterion_is_named_all_the_same(tmp_path: Path) -> None:
    (one,) = expectations(load_spec(spec_of(tmp_path, 8000)), "here").services
    found, _ = checked(tmp_path, free_port())
    wanted = [criterion.id for phase in (*PLAN.phases, "soak") for criterion in criteria(one, phase, PLAN)]
    assert list(found) == wanted
    assert len(wanted) == 6 + 4 + 1 + 7


def test_a_refused_connection_names_the_address(tmp_path: Path) -> None:
    port = free_port()
    found, seconds = checked(tmp_path, port)
    assert found["api.llm.models"].measured == f"nothing listens on 127.0.0.1:{port}"
    assert found["metrics.llm.endpoint"].measured == f"nothing listens on 127.0.0.1:{port}"
    assert "llamacpp.metrics" not in found["metrics.llm.endpoint"].advice  # it is set already
    assert seconds < 5


def test_a_server_that_lists_models_and_hangs_is_asked_one_question(tmp_path: Path) -> None:
    server = FaultyServer(fault="hang", model="smollm2")
    with serving(server) as url:
        found, _ = checked(tmp_path, int(url.rpartition(":")[2]))
    assert server.asked == 1
    assert found["api.llm.answer"].outcome == "failed"
    assert found["metrics.llm.endpoint"].measured.startswith("missing: ")
    assert {one.measured for one in found.values() if one.outcome == "not checked"} == {
        "it did not answer api.llm.answer"
    }


def test_speed_alone_asks_a_silent_server_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "send", _soon)
    server = FaultyServer(fault="hang", model="smollm2")
    with serving(server) as url:
        found, _ = checked(tmp_path, int(url.rpartition(":")[2]), Plan(("speed",), soak_seconds=30.0))
    assert server.asked == 1
    assert found["speed.llm.short-prompt"].outcome == "failed"
    assert {one.measured for name, one in found.items() if name != "speed.llm.short-prompt"} == {
        "it did not answer speed.llm.short-prompt"
    }


async def _soon(server: Server, requests: Sequence[Request], at_once: int) -> Burst:
    return await send(server, requests, at_once, Limits(total=1.0, pause=0.5))


def test_what_a_phase_says_of_a_good_server_is_what_it_says_that_it_will(tmp_path: Path) -> None:
    plan = Plan(("api", "speed", "metrics"), soak_seconds=3.0)
    with serving(FaultyServer(model="smollm2")) as url:
        found, _ = checked(tmp_path, int(url.rpartition(":")[2]), plan)
    (one,) = expectations(load_spec(spec_of(tmp_path, 8000)), "here").services
    assert list(found) == [criterion.id for phase in (*plan.phases, "soak") for criterion in criteria(one, phase, plan)]


def test_a_burst_that_meets_no_server_is_not_too_much_for_it(tmp_path: Path) -> None:
    port = free_port()
    (one,) = expectations(load_spec(spec_of(tmp_path, port)), "here").services
    server = Server(f"http://127.0.0.1:{port}", "smollm2")
    burst = asyncio.run(send(server, speed.requests(server, 2, exact=True), 2))
    verdict = speed.judge_together(one, Burst((), 0.0), burst)
    assert verdict.outcome == "failed"
    assert re.search(r"failed: unreachable: nothing listens on 127\.0\.0\.1:\d+$", verdict.measured)
    assert "concurrency" not in verdict.advice
