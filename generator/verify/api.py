"""The API of a service: the model, a known answer, an exact budget, streaming, and the right errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from generator.machine.chat import html
from generator.machine.degenerate import degenerate
from generator.machine.exchange import Fault, Reply, Request
from generator.machine.known import judge
from generator.verify.load import LIMITS, Server, ask_server, client, get
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from generator.verify.expectation import ServiceExpectation

_BUDGET = 24  # tokens
_ESSAY = 160
_LIST_LIMIT = 30.0  # seconds
_CORRECT = "look into the service's log, and load the model anew"


async def check(expected: ServiceExpectation, server: Server) -> AsyncIterator[Verdict]:
    """Check the API of a service, one verdict after the other; one that falls silent is asked no further."""
    async with client() as http:
        listed = await _models(http, server)
        silence = server.silence
        yield silence.heed(judge_models(expected, listed), listed if isinstance(listed, Fault) else None)
        for question in _questions(expected, key=server.key is not None):
            if silence.since:
                return
            reply = await ask_server(http, server, question.request, LIMITS, keyed=question.keyed)
            for judge in question.judges:
                yield silence.heed(judge(expected, reply), reply.fault)


def criteria(expected: ServiceExpectation, *, key: bool) -> Iterator[Criterion]:
    """Yield what is checked; ``key`` says that the service's key is at hand."""
    yield judge_models(expected, {}).criterion
    for question in _questions(expected, key=key):
        yield from (judge(expected, Reply()).criterion for judge in question.judges)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, and who judges the reply."""

    request: Request
    judges: tuple[Callable[[ServiceExpectation, Reply], Verdict], ...]
    keyed: bool = True


def _questions(expected: ServiceExpectation, *, key: bool) -> Iterator[_Question]:
    known = expected.known.request(expected.name)
    prompt = ({"role": "user", "content": "Describe the sea in a few sentences."},)
    yield _Question(known, (judge_known,))
    yield _Question(Request(expected.name, prompt, _BUDGET, exact=expected.exact), (judge_budget,))
    yield _Question(Request(expected.name, prompt, _ESSAY), (judge_output, judge_stream))
    if expected.context is not None and expected.exact:
        long = ({"role": "user", "content": "word " * (expected.context + 64)},)
        yield _Question(Request(expected.name, long, 8), (judge_too_long,))
    if key:
        yield _Question(known, (judge_without_key,), keyed=False)


async def _models(http: httpx.AsyncClient, server: Server) -> dict[str, Any] | Fault:
    response = await get(http, server, "/v1/models", _LIST_LIMIT)
    if isinstance(response, Fault):
        return response
    if response.status_code != httpx.codes.OK:
        return Fault("status", f"HTTP {response.status_code}", response.status_code)
    try:
        data = response.json()
    except ValueError as error:
        return Fault("garbled", html(response.content) or f"no JSON: {error}")
    return data if isinstance(data, dict) else Fault("garbled", "no JSON object")


def _criterion(expected: ServiceExpectation, name: str, what: str, rule: str) -> Criterion:
    return Criterion("api", name, expected.service.name, what, rule)


def judge_models(expected: ServiceExpectation, listed: dict[str, Any] | Fault) -> Verdict:
    """Judge what ``/v1/models`` says: the served name, and the context where the spec and the engine name one."""
    context = f" with a context of {expected.context} tokens" if expected.context else ""
    what = f"/v1/models names {expected.name or 'a model'}{context}"
    criterion = _criterion(expected, "models", what, "spec: services.*.model, its engine's table")
    if isinstance(listed, Fault):
        return criterion.failed(listed.what, f"see 'systemctl status {expected.service.unit}' on the machine")
    entries = {entry.get("id"): entry for entry in listed.get("data") or () if isinstance(entry, dict)}
    entry = entries.get(expected.name) if expected.name else next(iter(entries.values()), None)
    if entry is None:
        return criterion.failed(f"it names {', '.join(map(str, entries)) or 'nothing'}", "deploy the spec again")
    told = entry.get("max_model_len") or (entry.get("meta") or {}).get("n_ctx")
    if expected.context is not None and told is not None and told != expected.context:
        return criterion.failed(f"its context is {told} tokens", "deploy the spec again", float(told), "tokens")
    said = f"{entry.get('id')}" + (f", {told} tokens" if told else "")
    return criterion.passed(said, None if told is None else float(told), "tokens" if told else "")


def judge_known(expected: ServiceExpectation, reply: Reply) -> Verdict:
    """Judge the answer to the known question."""
    what = f"{expected.known.question!r} is answered with {expected.known.answer}"
    criterion = _criterion(expected, "answer", what, "load success is not health: only an answer is")
    judgement = judge(expected.known, reply, expected.name)
    return criterion.decide(judgement.outcome == "passed", judgement.why, _CORRECT)


def judge_budget(expected: ServiceExpectation, reply: Reply) -> Verdict:
    """Judge whether an answer has as many tokens as were asked for."""
    what = f"a budget of {_BUDGET} tokens gives {'exactly' if expected.exact else 'at most'} {_BUDGET}"
    criterion = _criterion(expected, "budget", what, "OpenAI's protocol: max_tokens")
    if reply.fault is not None:
        return criterion.failed(str(reply.fault), _CORRECT)
    holds = reply.tokens == _BUDGET if expected.exact else 0 < reply.tokens <= _BUDGET
    return criterion.decide(holds, f"{reply.tokens} tokens, ended by {reply.finish}", _CORRECT, reply.tokens, "tokens")


def judge_output(expected: ServiceExpectation, reply: Reply) -> Verdict:
    """Judge whether an answer is language at all."""
    criterion = _criterion(
        expected, "output", "an answer is no repetition, not empty, whole UTF-8", "healthy load is not healthy output"
    )
    if reply.fault is not None:
        return criterion.failed(str(reply.fault), _CORRECT)
    text = reply.text or reply.reasoning
    broken = degenerate(text)
    advice = "take other weights or another quantisation of the model, or another release of the engine"
    return criterion.decide(broken is None, broken or f"{len(text)} characters: {text.strip()[:60]!r}", advice)


def judge_stream(expected: ServiceExpectation, reply: Reply) -> Verdict:
    """Judge whether an answer came in pieces, as it was computed."""
    criterion = _criterion(
        expected, "stream", "an answer comes in pieces, the first before the last", "spec: streaming"
    )
    if reply.fault is not None:
        return criterion.failed(str(reply.fault), _CORRECT)
    spread = (reply.last or 0.0) - (reply.first or 0.0)
    holds = reply.pieces > 1 and spread > 0
    advice = "whatever stands between must not collect the answer (proxy_buffering off, flush_interval -1)"
    return criterion.decide(holds, f"{reply.pieces} pieces over {spread:.2f} s", advice)


def judge_too_long(expected: ServiceExpectation, reply: Reply) -> Verdict:
    """Judge the error of a request that is longer than the context."""
    criterion = _criterion(
        expected,
        "too-long",
        f"more than {expected.context} tokens are refused with HTTP 400",
        "spec: context; a silent cut loses text",
    )
    status = reply.fault.status if reply.fault is not None else 200
    said = f"HTTP {status}" + (f": {reply.fault.what[:80]}" if reply.fault is not None else ", an answer")
    return criterion.decide(status in {400, 413}, said, "clients must count tokens themselves until this is corrected")


def judge_without_key(expected: ServiceExpectation, reply: Reply) -> Verdict:
    """Judge the error of a request without the key."""
    criterion = _criterion(
        expected, "key", "a request without the key is refused with HTTP 401", "docs/plan.md section 10"
    )
    status = reply.fault.status if reply.fault is not None else 200
    return criterion.decide(status in {401, 403}, f"HTTP {status}", "give the engine its key file, and restart it")
