"""One completion over HTTP: from the faulty server every fault, from a real llama-server real answers."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.machine.chat import ask
from generator.machine.exchange import Fault, Limits, Reply, Request
from tests.faulty_server import FaultyServer, serving
from tests.llama import MODEL, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.llama import LlamaServer

HELLO = ({"role": "user", "content": "hello"},)
SHORT = Limits(total=2.0, pause=0.5)


def asked(url: str, request: Request, limits: Limits = SHORT, key: str | None = None) -> Reply:
    async def run() -> Reply:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await ask(client, url, request, limits, key=key)

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_a_good_answer_comes_whole(stream: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with serving(FaultyServer()) as url:
        reply = asked(url, Request("tiny", HELLO, 64, stream=stream))
    assert reply.fault is None
    assert reply.text.strip() == "The answer is 4."
    assert (reply.model, reply.finish, reply.tokens, reply.prompt_tokens) == ("tiny", "stop", 4, 8)


def test_reasoning_has_a_channel_of_its_own() -> None:
    with serving(FaultyServer(reasoning="two and two")) as url:
        reply = asked(url, Request("tiny", HELLO, 64))
    assert (reply.reasoning.strip(), reply.text.strip()) == ("two and two", "The answer is 4.")
    assert reply.tokens == 7


@pytest.mark.parametrize(
    ("fault", "kind", "what"),
    [
        ("hang", "timeout", "nothing came for 0.5 s, after 3 pieces"),
        ("slow", "timeout", "nothing came for 0.5 s, after 1 pieces"),
        ("cut", "cut", "after 3 pieces"),
        ("broken", "garbled", "utf-8"),
        ("huge", "too large", "bytes"),
        ("html", "garbled", "HTML"),
        ("unavailable", "status", "overloaded"),
        ("error", "status", "EngineDeadError"),
    ],
)
def test_every_fault_has_its_name(fault: str, kind: str, what: str) -> None:
    with serving(FaultyServer(fault=fault)) as url:
        reply = asked(url, Request("tiny", HELLO, 64))
    assert reply.fault is not None
    assert (reply.fault.kind, what in reply.fault.what) == (kind, True), reply.fault


def test_a_stream_that_begins_with_an_error_was_turned_away_and_not_cut() -> None:
    with serving(FaultyServer(fault="turned away")) as url:
        reply = asked(url, Request("tiny", HELLO, 64))
    assert reply.fault == Fault("status", "busy", 503)


@pytest.mark.parametrize("server", [FaultyServer(key="another"), FaultyServer(key="s3cret", fault="turned away")])
def test_an_error_that_repeats_the_key_is_told_without_it(server: FaultyServer) -> None:
    server.repeats = True
    with serving(server) as url:
        reply = asked(url, Request("tiny", HELLO, 64), key="s3cret")
    assert reply.fault is not None
    assert "..." in reply.fault.what
    assert "s3cret" not in reply.fault.what


@pytest.mark.parametrize(("fault", "kind"), [("html", "garbled"), ("error", "status")])
def test_a_whole_answer_that_is_none_is_a_fault(fault: str, kind: str) -> None:
    with serving(FaultyServer(fault=fault)) as url:
        reply = asked(url, Request("tiny", HELLO, 64, stream=False))
    assert reply.fault is not None
    assert reply.fault.kind == kind


def test_an_answer_that_goes_on_and_on_ends_at_the_total_limit() -> None:
    with serving(FaultyServer(rate=5.0)) as url:
        reply = asked(url, Request("tiny", HELLO, 100, exact=True), Limits(total=0.6, pause=0.5))
    assert reply.fault is not None
    assert "no whole answer within 0.6 s" in reply.fault.what
    assert 0.5 < reply.seconds < 1.5


def test_nobody_listening_is_unreachable() -> None:
    port = free_port()
    reply = asked(f"http://127.0.0.1:{port}", Request("tiny", HELLO, 64))
    assert str(reply.fault) == f"unreachable: nothing listens on 127.0.0.1:{port}"


def test_a_machine_that_is_not_there_is_named() -> None:
    reply = asked("http://nowhere.invalid:8000", Request("tiny", HELLO, 64))
    assert reply.fault is not None
    assert reply.fault.what.startswith("no connection to nowhere.invalid:8000: ")


def test_a_web_page_is_told_from_an_answer() -> None:
    with serving(FaultyServer(fault="html")) as url:
        reply = asked(url, Request("tiny", HELLO, 64, stream=False))
        stream = asked(url, Request("tiny", HELLO, 64))
    assert str(reply.fault) == "garbled: it answered with HTML; is something else on that port?"
    assert str(stream.fault) == "garbled: it answered with HTML; is something else on that port?"


def test_the_key_opens_and_its_lack_is_a_status() -> None:
    with serving(FaultyServer(key="s3cret")) as url:
        without, with_key = (asked(url, Request("tiny", HELLO, 64), key=key) for key in (None, "s3cret"))
    assert without.fault is not None
    assert without.fault.status == 401
    assert with_key.fault is None


def test_times_are_those_of_the_server() -> None:
    with serving(FaultyServer(first=0.2, rate=100.0)) as url:
        reply = asked(url, Request("tiny", HELLO, 41, exact=True), Limits(total=5, pause=1))
    assert reply.first is not None
    assert reply.rate is not None
    assert 0.2 <= reply.first < 0.3
    assert 80 < reply.rate < 120
    assert reply.tokens == 41


@settings(deadline=None)
@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=8),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.sampled_from(["\n\n", "\r\n\r\n"]),
)
def test_however_a_stream_is_cut_into_packets_its_text_is_the_same(
    texts: list[str], sizes: list[int], end: str
) -> None:
    events = [json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False) for text in texts]
    data = "".join(f"data: {event}{end}" for event in [*events, "[DONE]"]).encode("utf-8", "replace")

    class Packets(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            place = 0
            for size in itertools.cycle(sizes):
                if place >= len(data):
                    return
                yield data[place : place + size]
                place += size

    async def run() -> Reply:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Packets()))
        async with httpx.AsyncClient(transport=transport) as client:
            return await ask(client, "http://x", Request("m", HELLO, 8))

    reply = asyncio.run(run())
    assert reply.fault is None
    assert reply.text == "".join(texts).encode("utf-8", "replace").decode()
    assert reply.pieces == len(texts)


def test_a_real_server_answers(llama_server: LlamaServer) -> None:
    reply = asked(llama_server.url, Request(MODEL, HELLO, 8, exact=True), Limits())
    assert reply.fault is None
    assert (reply.tokens, reply.finish, reply.model) == (8, "length", MODEL)
    assert reply.text


def test_a_real_server_refuses_what_is_longer_than_its_context(llama_server: LlamaServer) -> None:
    reply = asked(llama_server.url, Request(MODEL, ({"role": "user", "content": "word " * 5000},), 8), Limits())
    assert reply.fault is not None
    assert reply.fault.status == 400
    assert "context" in reply.fault.what
