"""A steady load: real conversations, a restart in the middle, an end before its time."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from generator.machine.exchange import Fault, Reply
from generator.spec.load import load_spec
from generator.verify import endurance
from generator.verify.expectation import expectations
from generator.verify.load import Server
from generator.verify.soak import TURNS, Load, Record, soak
from tests import llama
from tests.faulty_server import FaultyServer, serving
from tests.verified import spec_of
from tests.watched import LLAMA, VLLM

if TYPE_CHECKING:
    from pathlib import Path

    from generator.verify.expectation import ServiceExpectation
    from generator.verify.verdict import Verdict
    from tests.llama import LlamaServer


def loaded(load: Load, stop_after: float | None = None) -> Record:
    async def run() -> Record:
        stop = asyncio.Event()
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, stop.set)
        return await soak(load, stop, lambda _: None)

    return asyncio.run(run())


@pytest.fixture
def expected(tmp_path: Path) -> ServiceExpectation:
    (found,) = expectations(load_spec(spec_of(tmp_path, 8000)), "here").services
    return found


def judged(expected: ServiceExpectation, record: Record) -> dict[str, Verdict]:
    return {verdict.criterion.name: verdict for verdict in endurance.judge(expected, record)}


def test_a_real_server_holds_conversations(llama_server: LlamaServer, expected: ServiceExpectation) -> None:
    record = loaded(Load(Server(llama_server.url, llama.MODEL), 2, 45.0, LLAMA))
    found = judged(expected, record)
    assert record.conversations >= 2
    assert set(record.firsts_by_turn) == set(range(1, TURNS + 1))
    assert {name: verdict.measured for name, verdict in found.items() if verdict.outcome != "passed"} == {}
    assert set(found) == {"duration", "errors", "restarts", "stalls", "output", "first-token", "decode"}


def test_a_load_shorter_than_any_answer_shows_nothing(expected: ServiceExpectation) -> None:
    record = Record(4.0)
    record.seconds = 4.0
    (verdict,) = judged(expected, record).values()
    assert (verdict.outcome, verdict.measured) == ("not checked", "no request ended within 4 s")


def test_a_restart_in_the_middle_is_survived_and_reported(expected: ServiceExpectation) -> None:
    programs = llama.required()
    server = llama.LlamaServer(*programs)
    server.start()

    def restart() -> None:
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        server.start()

    timer = threading.Timer(5.0, restart)
    timer.start()
    try:
        record = loaded(Load(Server(server.url, llama.MODEL), 2, 14.0, LLAMA))
    finally:
        timer.join()
        server.stop()
    assert len(record.restarts) == 1
    assert record.faults
    assert record.faults[-1][0] < 12  # it went on afterwards
    found = judged(expected, record)
    assert found["restarts"].outcome == "failed"
    assert found["errors"].outcome == "failed"
    assert found["duration"].outcome == "passed"


def test_a_load_that_is_stopped_early_reports_what_it_saw(expected: ServiceExpectation) -> None:
    with serving(FaultyServer(rate=50, model="smollm2")) as url:
        record = loaded(Load(Server(url, "smollm2"), 2, 60.0, VLLM), stop_after=2.0)
    assert record.stopped
    assert record.seconds < 10
    found = judged(expected, record)
    assert found["duration"].outcome == "not checked"
    assert found["errors"].outcome == "passed"


@pytest.mark.parametrize(("fault", "criterion"), [("garbage", "output"), ("cut", "errors"), ("unavailable", "errors")])
def test_what_goes_wrong_under_load_fails(fault: str, criterion: str, expected: ServiceExpectation) -> None:
    with serving(FaultyServer(fault=fault, model="smollm2")) as url:
        found = judged(expected, loaded(Load(Server(url, "smollm2"), 2, 2.0, VLLM)))
    assert found[criterion].outcome == "failed"


def test_a_pause_in_the_middle_of_an_answer_is_a_stall(expected: ServiceExpectation) -> None:
    record = Record(60.0, seconds=60.0)
    record.take(1.0, 1, Reply(text="fine words", tokens=8, first=0.1, last=20.0, longest_pause=15.0, seconds=20.0))
    found = judged(expected, record)
    assert found["stalls"].outcome == "failed"
    assert "15 s" in found["stalls"].measured


def test_errors_are_counted_by_kind(expected: ServiceExpectation) -> None:
    record = Record(60.0)
    for kind in ("timeout", "cut", "cut"):
        record.take(2.0, 1, Reply(fault=Fault(kind, "what")))
    assert judged(expected, record)["errors"].measured == "2 cut, 1 timeout; the first after 2 s: timeout: what"


def test_a_load_that_nobody_takes_passes_nothing(expected: ServiceExpectation) -> None:
    began = time.monotonic()
    record = loaded(Load(Server(f"http://127.0.0.1:{llama.free_port()}", "smollm2"), 2, 60.0, LLAMA))
    assert time.monotonic() - began < 10  # it is not loaded for a minute
    found = judged(expected, record)
    assert {name: verdict.outcome for name, verdict in found.items()} == {
        "duration": "failed",
        "errors": "failed",
        "restarts": "not checked",
        "stalls": "not checked",
        "output": "not checked",
        "first-token": "not checked",
        "decode": "not checked",
    }
    assert "nothing listens on 127.0.0.1:" in found["errors"].measured


def test_answers_that_are_all_cut_measure_nothing_but_errors(expected: ServiceExpectation) -> None:
    with serving(FaultyServer(fault="cut", model="smollm2")) as url:
        found = judged(expected, loaded(Load(Server(url, "smollm2"), 2, 3.0, LLAMA)))
    assert {name for name, verdict in found.items() if verdict.outcome == "failed"} == {"duration", "errors"}
    assert not [name for name, verdict in found.items() if verdict.outcome == "passed"]


def test_output_is_judged_among_whole_answers(expected: ServiceExpectation) -> None:
    record = Record(60.0, seconds=60.0)
    record.take(1.0, 1, Reply(text="/" * 64, tokens=8, first=0.1, last=1.0, seconds=1.0))
    for _ in range(200):
        record.take(2.0, 1, Reply(fault=Fault("cut", "what")))
    found = judged(expected, record)["output"]
    assert (found.outcome, found.measured[:21]) == ("failed", "1 of 1 answers are no")


def test_counters_that_cannot_be_read_tell_of_no_restart(expected: ServiceExpectation) -> None:
    with serving(FaultyServer(model="smollm2")) as url:
        record = loaded(Load(Server(url, "smollm2"), 2, 3.0, LLAMA))  # it has vLLM's, and none of llama-server's
    found = judged(expected, record)
    assert found["restarts"].outcome == "not checked"
    assert found["output"].outcome == "passed"


def test_an_engine_without_counters_is_not_judged_by_them(expected: ServiceExpectation) -> None:
    ollama = replace(expected, service=replace(expected.service, engine="ollama"))
    record = Record(60.0, seconds=60.0)
    record.take(1.0, 1, Reply(text="fine words", tokens=40, first=0.1, last=1.0, seconds=1.0))
    found = judged(ollama, record)
    assert "restarts" not in found
    assert {verdict.outcome for verdict in found.values()} == {"passed"}
