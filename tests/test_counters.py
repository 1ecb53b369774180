"""Counters of engines: from a recorded vLLM, from a real llama-server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from generator.machine.counters import Counters, Names, counters, read, samples
from tests.faulty_server import FaultyServer, serving
from tests.llama import free_port
from tests.watched import LLAMA, VLLM

if TYPE_CHECKING:
    from tests.llama import LlamaServer


def asked(url: str, names: Names) -> Counters | str:
    async def run() -> Counters | str:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await read(client, url, names, limit=2.0, key=None)

    return asyncio.run(run())


def test_samples_are_summed_over_their_labels() -> None:
    text = '# TYPE a counter\na_total{engine="0"} 3\na_total{engine="1"} 4.5\n# TYPE b gauge\nb 1e3\n'
    assert samples(text) == {"a_total": 7.5, "b": 1000.0}


def test_counters_are_read_by_their_names() -> None:
    assert counters(VLLM, FaultyServer(tokens=7, prompted=16, finished=2, running=1, waiting=3).metrics()) == Counters(
        23, 1, 3, 2
    )


def test_no_metric_that_shows_progress_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of llamacpp:n_decode_total"):
        counters(LLAMA, FaultyServer().metrics())


def test_an_error_page_is_no_metrics() -> None:
    with pytest.raises(ValueError, match=r"."):
        counters(VLLM, "<html>{502</html>")


def test_a_server_that_is_away_says_why_there_are_none() -> None:
    assert isinstance(asked(f"http://127.0.0.1:{free_port()}", VLLM), str)


def test_a_server_gives_them_over_http() -> None:
    with serving(FaultyServer(tokens=5)) as url:
        assert asked(url, VLLM) == Counters(5, 0, 0, 0)


def test_a_real_llama_server_counts_its_work(llama_server: LlamaServer) -> None:
    before = asked(llama_server.url, LLAMA)
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    httpx.post(f"{llama_server.url}/v1/chat/completions", json=body, trust_env=False, timeout=60)
    after = asked(llama_server.url, LLAMA)
    assert isinstance(before, Counters)
    assert isinstance(after, Counters)
    assert after.progress > before.progress
    assert (after.running, after.waiting, after.finished) == (0, 0, None)
