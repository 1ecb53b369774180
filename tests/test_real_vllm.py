"""A real vLLM with a gpt-oss that answers: Harmony's channels, verify, its key, and the watchdog beside it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner

from generator.catalog.endpoints import open_endpoints
from generator.cli import main
from generator.machine.chat import ask
from generator.machine.exchange import Request
from generator.machine.known import Known, judge
from generator.machine.ready import wait
from generator.spec.load import load_spec
from generator.verify import api
from generator.verify.expectation import expectations
from generator.verify.load import Server
from tests import vllm_server
from tests.test_watchdog import TICK, FakeUnits, watch
from tests.tiny_model import SEA, SUM, THOUGHT
from tests.verified import spec_of
from tests.vllm_server import KEY, MODEL, Vllm
from tests.watched import VLLM, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.machine.exchange import Reply
    from generator.machine.settings import Settings
    from tests.nix_program import Nix

pytestmark = pytest.mark.skipif(not vllm_server.there(), reason=vllm_server.NEED_VLLM)
THOUGHT_TOKENS = 6
CRITERIA = {
    *("api.llm.models", "api.llm.answer", "api.llm.budget", "api.llm.output", "api.llm.stream", "api.llm.too-long"),
    *("api.llm.key", "speed.llm.short-prompt", "speed.llm.first-token", "speed.llm.decode", "speed.llm.together"),
    "metrics.llm.endpoint",
    *("soak.llm.duration", "soak.llm.errors", "soak.llm.restarts", "soak.llm.stalls", "soak.llm.output"),
    *("soak.llm.first-token", "soak.llm.decode"),
}


@pytest.fixture(scope="module")
def vllm(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    """Start a vLLM, and wait until its readiness probe lets it count as started."""
    server = Vllm(nix, tmp_path_factory.mktemp("vllm"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def spec_file(vllm: Vllm, folder: Path) -> Path:
    return spec_of(
        folder,
        vllm.port,
        engine="vllm",
        name=MODEL,
        format="safetensors",
        file="",
        runtime='runtime = "native"\napi_key = true',
        flags="vllm = { max_model_len = 4096, max_num_seqs = 4 }",
    )


def test_it_counts_as_started_when_it_gave_the_known_answer(vllm: Vllm) -> None:
    assert vllm.ready is not None
    assert vllm.ready.outcome == "passed", vllm.ready
    assert vllm.ready.why.startswith(f"'{SUM}' after")


def test_it_does_not_count_as_started_below_its_least_rate_or_with_another_answer(vllm: Vllm) -> None:
    probe = settings(url=vllm.url, model=MODEL, hang_limit=30.0, start_limit=30.0)
    assert asyncio.run(wait(replace(probe, known=Known(minimum_rate=1e6)), KEY)).outcome == "slow"
    assert asyncio.run(wait(replace(probe, known=Known(answer="5")), KEY)).outcome == "wrong"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("question", "answer"), [(Known().question, SUM), ("Describe the sea.", SEA)])
def test_a_thought_is_no_part_of_an_answer(question: str, answer: str, vllm: Vllm, *, stream: bool) -> None:
    reply = vllm.ask(Request(MODEL, ({"role": "user", "content": question},), 64, stream=stream))
    assert (reply.reasoning, reply.text, reply.finish) == (THOUGHT, answer, "stop"), reply


def test_a_budget_that_the_thought_takes_is_no_answer_although_it_is_kept_to_the_token(vllm: Vllm) -> None:
    known = Known(answer="known", max_tokens=3 + THOUGHT_TOKENS)  # three tokens begin the thought; it holds the word
    reply = vllm.ask(known.request(MODEL))
    assert (reply.tokens, reply.finish, reply.reasoning, reply.text) == (9, "length", THOUGHT, "")
    judgement = judge(known, reply, MODEL)
    assert (judgement.outcome, judgement.why) == ("wrong", "reasoning took all 9 tokens")


def test_responses_keep_the_thought_apart_as_well(vllm: Vllm) -> None:
    body = {"model": MODEL, "input": Known().question, "max_output_tokens": 64}
    found = vllm.post("/v1/responses", body, key=KEY).json()
    assert [part["type"] for part in found["output"]] == ["reasoning", "message"], found
    assert [part["content"][0]["text"] for part in found["output"]] == [THOUGHT, SUM]
    assert found["usage"]["output_tokens_details"]["reasoning_tokens"] == THOUGHT_TOKENS
    assert found["status"] == "completed"


def test_completions_answer_without_harmony(vllm: Vllm) -> None:
    found = vllm.post("/v1/completions", {"model": MODEL, "prompt": "Hello", "max_tokens": 40}, key=KEY).json()
    assert found["choices"][0]["text"] == SEA


def test_verify_accepts_it_and_shows_no_key(vllm: Vllm, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    phases = [word for phase in ("api", "speed", "metrics") for word in ("--phase", phase)]
    options = ["--local", *phases, "--soak", "20s", "--key-file", str(vllm.key_file), "--report", str(report)]
    done = CliRunner().invoke(main, ["verify", str(spec_file(vllm, tmp_path)), "here", *options])
    assert done.exit_code == 0, done.output
    outcomes = {entry["id"]: entry["outcome"] for entry in json.loads(report.read_text())["criteria"]}
    assert outcomes == dict.fromkeys(CRITERIA, "passed"), done.output
    assert KEY not in done.output
    assert KEY not in report.read_text()


def test_verify_tells_a_wrong_answer_from_a_right_one(vllm: Vllm, tmp_path: Path) -> None:
    (expected,) = expectations(load_spec(spec_file(vllm, tmp_path)), "here").services
    wrong = replace(expected, known=Known("What is the answer to everything?", "42"))

    async def run() -> dict[str, str]:
        checks = api.check(wrong, Server(vllm.url, MODEL, KEY))
        return {verdict.criterion.name: verdict.outcome async for verdict in checks}

    assert {name for name, outcome in asyncio.run(run()).items() if outcome != "passed"} == {"answer"}


def answered_without_key(vllm: Vllm) -> dict[str, bool]:
    """Ask every route that vLLM names in its log without the key; return by path whether it asked for none."""
    found: dict[str, bool] = {}
    with httpx.Client(base_url=vllm.url, trust_env=False, timeout=30) as client:
        for path, methods in re.findall(r"Route: (\S+), Methods: ([A-Z, ]+)", vllm.log):
            for method in set(methods.strip().split(", ")) - {"HEAD", "OPTIONS"}:
                response = client.request(method, re.sub(r"[{}]", "", path), json={} if method == "POST" else None)
                found[path] = found.get(path, False) or response.status_code != httpx.codes.UNAUTHORIZED
    return found


def test_what_it_answers_without_its_key_is_what_the_product_says(vllm: Vllm) -> None:
    known = open_endpoints("vllm")
    found = answered_without_key(vllm)
    assert {path for path, unasked in found.items() if unasked} == {*known.computes, *known.changes, *known.tells}
    assert {"/v1/chat/completions", "/v1/responses", "/v1/models", "/inference/v1/generate"} <= found.keys()


def test_it_computes_and_is_changed_without_its_key_where_the_product_says_so(vllm: Vllm) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/invocations": Known().request(MODEL).body() | {"stream": False, "stream_options": None},
        "/generative_scoring": {"model": MODEL, "query": "a", "items": ["b"], "label_token_ids": [19, 20]},
        "/scale_elastic_ep": {"new_data_parallel_size": 1},  # as many as there are
    }
    known = open_endpoints("vllm")
    assert bodies.keys() == {*known.computes, *known.changes}
    found = {path: vllm.post(path, body) for path, body in bodies.items()}
    assert {path: response.status_code for path, response in found.items()} == dict.fromkeys(bodies, 200)
    assert found["/invocations"].json()["choices"][0]["message"]["content"] == SUM


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "0"])
def test_another_key_than_its_own_is_refused(key: str, vllm: Vllm) -> None:
    response = vllm.post("/v1/chat/completions", Known().request(MODEL).body(), key=key)
    assert response.status_code == httpx.codes.UNAUTHORIZED


def test_its_key_is_in_no_command_line_and_in_no_log(vllm: Vllm) -> None:
    lines = [(Path("/proc") / str(process) / "cmdline").read_bytes() for process in vllm.processes()]
    assert len(lines) >= 2
    assert any(b"serve" in line for line in lines)
    assert [line for line in lines if KEY.encode() in line] == []
    assert "POST /v1/chat/completions" in vllm.log
    assert KEY not in vllm.log


def real(vllm: Vllm, **changes: Any) -> Settings:  # noqa: ANN401 - settings
    return settings(url=vllm.url, model=MODEL, names=VLLM, **changes)


def test_a_burst_beyond_the_queue_is_turned_away_at_once(vllm: Vllm) -> None:
    """Four slots, a queue of four, twenty-four at once; vLLM says so within streams that it began with HTTP 200."""
    replies: list[Reply] = []

    async def run() -> None:
        limits = httpx.Limits(max_connections=24)
        async with httpx.AsyncClient(trust_env=False, limits=limits) as client:
            asking = Request(MODEL, ({"role": "user", "content": "Describe the sea."},), 400, exact=True)
            replies.extend(await asyncio.gather(*(ask(client, vllm.url, asking, key=KEY) for _ in range(24))))

    asyncio.run(run())
    refused = [reply for reply in replies if reply.fault is not None]
    assert {reply.fault.status for reply in refused if reply.fault is not None} == {503}
    answered = [reply.seconds for reply in replies if reply.fault is None]
    assert len(answered) >= 4  # the queue is full before anything is computed
    assert max(reply.seconds for reply in refused) < min(answered)


def test_a_real_vllm_under_load_is_never_restarted(vllm: Vllm, tmp_path: Path) -> None:
    """Twelve clients on four slots and a queue of four: many are turned away, and its questions would be as well."""
    units, replies = FakeUnits(), []  # type: ignore[var-annotated]
    watch(real(vllm, hang_limit=8.0, probe_interval=2.0), units, tmp_path, 25, vllm.load(replies), key=KEY)
    assert units.done == []
    assert sum(reply.fault is None for reply in replies) >= 12
    assert {reply.fault.status for reply in replies if reply.fault is not None} == {503}


def test_an_idle_engine_that_hangs_is_found_although_health_says_200(vllm: Vllm, tmp_path: Path) -> None:
    units = FakeUnits()
    vllm.hang()
    took = watch(real(vllm, hang_limit=5.0, probe_interval=2.0), units, tmp_path, 60, until_done=1, key=KEY)
    assert vllm.health() == 200
    vllm.go_on()
    assert units.done == ["restart vllm"]
    assert took <= 2.0 + 5.0 + 8 * TICK + 2.0
    assert judge(Known(), vllm.ask(Known().request(MODEL)), MODEL).outcome == "passed"


def test_an_engine_that_hangs_under_load_is_found_and_answers_after_its_restart(vllm: Vllm, tmp_path: Path) -> None:
    said: list[int] = []
    replies: list[Reply] = []

    async def beside(client: httpx.AsyncClient) -> None:
        vllm.hang()
        await vllm.load(replies)(client)

    units = FakeUnits(on_restart=lambda: said.append(vllm.health()))
    took = watch(real(vllm, hang_limit=5.0, probe_interval=2.0), units, tmp_path, 60, beside, until_done=1, key=KEY)
    assert units.done == ["restart vllm"]
    assert took <= 5.0 + 8 * TICK + 2.0
    vllm.stop()
    vllm.start()
    assert said == [200]
    assert vllm.ready is not None
    assert vllm.ready.outcome == "passed", vllm.ready
    watch(real(vllm, hang_limit=30.0, probe_interval=1.0), units, tmp_path, 5, key=KEY)
    assert units.done == ["restart vllm"]


def test_a_server_whose_engine_dies_ends_with_exit_code_0(vllm: Vllm) -> None:
    """Which is why its unit has Restart=always (nix/lib/unit.nix). The last test of this file: nothing is left."""
    assert vllm.process is not None
    for process in vllm.engine():
        os.kill(process, signal.SIGKILL)
    assert vllm.process.wait(60) == 0
