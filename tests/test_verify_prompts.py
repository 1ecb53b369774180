"""Prompts of a length in the server's own tokens, and the first token that is judged by them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.machine.counters import samples
from generator.spec.load import load_spec
from generator.verify import speed
from generator.verify.expectation import expectations
from generator.verify.floors import Bound, Floors
from generator.verify.load import Server
from generator.verify.prompts import Sized, send_sized, words, words_for
from tests.faulty_server import FaultyServer, serving
from tests.llama import MODEL
from tests.verified import spec_of

if TYPE_CHECKING:
    from pathlib import Path

    from generator.machine.exchange import Fault
    from generator.verify.expectation import ServiceExpectation
    from generator.verify.verdict import Verdict
    from tests.llama import LlamaServer


def service(folder: Path, length: int = 512) -> ServiceExpectation:
    expect = f"expect = {{ prompt_tokens = {length} }}"
    (found,) = expectations(load_spec(spec_of(folder, 8000, runtime=expect)), "here").services
    return replace(found, floors=Floors(Bound(5.0, "test"), Bound(1.0, "test")))


def sized(server: Server, length: int, context: int | None = None) -> Sized | Fault | None:
    return asyncio.run(send_sized(server, length, context, 60.0))


def first_token(expected: ServiceExpectation, url: str) -> dict[str, Verdict]:
    async def run() -> list[Verdict]:
        return [verdict async for verdict in speed.check(expected, Server(url, expected.name))]

    return {verdict.criterion.name: verdict for verdict in asyncio.run(run())}


@pytest.mark.parametrize("length", [64, 512, 1500])
def test_a_real_server_reads_as_many_tokens_as_were_asked_for_and_caches_none(
    length: int, llama_server: LlamaServer
) -> None:
    def cached() -> float:
        text = httpx.get(f"{llama_server.url}/metrics", trust_env=False).text
        return samples(text)["llamacpp:prompt_tokens_cached_total"]

    before = cached()
    found = sized(Server(llama_server.url, MODEL), length)
    assert isinstance(found, Sized), found
    assert [reply.fault for reply in found.replies] == [None] * len(found.replies)
    counts = [reply.prompt_tokens for reply in found.replies]
    assert all(abs(count - length) <= 0.1 * length for count in counts), counts
    # What its chat template puts before every prompt is in the cache, and no word more.
    assert cached() - before <= 40 * (len(counts) + 2)


def test_a_real_servers_first_token_is_judged_at_the_length_of_the_spec(
    llama_server: LlamaServer, tmp_path: Path
) -> None:
    expected = service(tmp_path, 256)
    found = first_token(replace(expected, floors=Floors(Bound(60.0, "test"), Bound(1.0, "test"))), llama_server.url)
    long, short = found["first-token"], found["short-prompt"]
    assert (long.outcome, short.outcome) == ("passed", "passed"), found
    assert long.value is not None
    assert short.value is not None
    assert long.value > short.value
    assert long.criterion.expected == "first token of 256 tokens within 60 s"
    assert long.criterion.rule == "test; spec: services.llm.expect.prompt_tokens"


def test_a_server_that_is_quick_with_questions_and_slow_with_prompts_fails(tmp_path: Path) -> None:
    expected = replace(service(tmp_path), floors=Floors(Bound(0.5, "test"), Bound(1.0, "test"), first_band=(0.1, 0.2)))
    with serving(FaultyServer(model="smollm2", reading=0.002)) as url:
        found = first_token(expected, url)
    assert found["short-prompt"].outcome == "passed"
    assert found["first-token"].outcome == "failed", found["first-token"]
    assert "s (above the band) (median of 3, prompts of 512 to 512 tokens)" in found["first-token"].measured
    assert found["first-token"].criterion.expected == "first token of 512 tokens within 0.5 s, expected 0.1 to 0.2"


def test_a_prompt_that_does_not_fit_into_the_context_is_as_long_as_fits() -> None:
    with serving(FaultyServer(context=256)) as url:
        found = sized(Server(url, "tiny"), 512, 256)
    assert isinstance(found, Sized)
    assert found.wanted == 192
    assert {reply.prompt_tokens for reply in found.replies} == {192}


def test_a_server_that_counts_no_prompts_is_not_checked(tmp_path: Path) -> None:
    with serving(FaultyServer(model="smollm2", counts=False)) as url:
        found = first_token(service(tmp_path), url)["first-token"]
    assert (found.outcome, found.measured) == (
        "not checked",
        "the server does not say how many tokens a prompt has",
    )


def test_a_length_that_cannot_be_made_is_not_checked(tmp_path: Path) -> None:
    with serving(FaultyServer(model="smollm2", template=100)) as url:
        found = first_token(service(tmp_path, 20), url)["first-token"]
    assert found.outcome == "not checked"
    assert "prompts of 101 to 101 tokens" in found.measured


def test_a_prompt_that_is_refused_fails(tmp_path: Path) -> None:
    with serving(FaultyServer(model="smollm2", fault="error")) as url:
        found = first_token(service(tmp_path), url)["first-token"]
    assert found.outcome == "failed"
    assert "EngineDeadError" in found.measured


@given(st.integers(0, 5000), st.floats(1.0, 3.0), st.integers(1, 50_000))
def test_two_prompts_tell_how_many_words_make_a_length(template: int, per_word: float, tokens: int) -> None:
    def count(number: int) -> int:
        return template + round(number * per_word)

    found = words_for(tokens, (16, count(16)), (272, count(272)))
    assert found is not None
    assert found == 1 or abs(count(found) - tokens) <= 0.02 * tokens + 2 * per_word + 2


def test_no_prompt_begins_like_another() -> None:
    assert len({tuple(words(100).split()[:8]) for _ in range(1000)}) == 1000
