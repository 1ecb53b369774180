"""The API of a service: the model, a known answer, an exact budget, streaming, and the right errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from generator.machine.chat import ask
from generator.machine.degenerate import degenerate
from generator.machine.exchange import Reply, Request, bearer
from generator.machine.known import judge
from generator.verify.load import LIMITS, Server, client
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generator.verify.expectation import ServiceExpectation

_BUDGET = 24  # tokens
_ESSAY = 160
_CORRECT = "look into the service's log, and load the model anew"


async def check(expected: ServiceExpectation, server: Server) -> AsyncIterator[Verdict]:
    """Check the API of a service, one verdict after the other."""
    async with client() as http:
        listed = await _models(http, server)
        yield judge_models(expected, listed)
        known = await ask(http, server.url, expected.known.request(server.model), LIMITS, key=server.key)
        yield judge_known(expected, known)
        if known.fault is not None and known.fault.kind in {"unreachable", "timeout"}:
            return  # nobody is there: every further question would say the same
        prompt = ({"role": "user", "content": "Describe the sea in a few sentences."},)
        exact = Request(server.model, prompt, _BUDGET, exact=expected.exact)
        yield judge_budget(expected, await ask(http, server.url, exact, LIMITS, key=server.key))
        essay = await ask(http, server.url, Request(server.model, prompt, _ESSAY), LIMITS, key=server.key)
        yield judge_output(expected, essay)
        yield judge_stream(expected, essay)
        if expected.context is not None and expected.exact:
            long = ({"role": "user", "content": "word " * (expected.context + 64)},)
            reply = await ask(http, server.url, Request(server.model, long, 8), LIMITS, key=server.key)
            yield judge_too_long(expected, reply)
        if server.key is not None:
            reply = await ask(http, server.url, expected.known.request(server.model), LIMITS)
            yield judge_without_key(expected, reply)


async def _models(http: httpx.AsyncClient, server: Server) -> dict[str, Any] | str:
    try:
        response = await http.get(f"{server.url}/v1/models", headers=bearer(server.key), timeout=30)
        response.raise_for_status()
        data: dict[str, Any] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        return str(error) or type(error).__name__
    return data if isinstance(data, dict) else "no JSON object"


def _criterion(expected: ServiceExpectation, name: str, what: str, rule: str) -> Criterion:
    return Criterion("api", name, expected.service.name, what, rule)


def judge_models(expected: ServiceExpectation, listed: dict[str, Any] | str) -> Verdict:
    """Judge what ``/v1/models`` says: the served name, and the context where the spec and the engine name one."""
    context = f" with a context of {expected.context} tokens" if expected.context else ""
    what = f"/v1/models names {expected.name or 'a model'}{context}"
    criterion = _criterion(expected, "models", what, "spec: services.*.model, its engine's table")
    if isinstance(listed, str):
        return criterion.failed(listed, f"see 'systemctl status {expected.service.unit}' on the machine")
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
        return criterion.failed(f"{reply.fault.kind}: {reply.fault.what}", _CORRECT)
    holds = reply.tokens == _BUDGET if expected.exact else 0 < reply.tokens <= _BUDGET
    return criterion.decide(holds, f"{reply.tokens} tokens, ended by {reply.finish}", _CORRECT, reply.tokens, "tokens")


def judge_output(expected: ServiceExpectation, reply: Reply) -> Verdict:
    """Judge whether an answer is language at all."""
    criterion = _criterion(
        expected, "output", "an answer is no repetition, not empty, whole UTF-8", "healthy load is not healthy output"
    )
    if reply.fault is not None:
        return criterion.failed(f"{reply.fault.kind}: {reply.fault.what}", _CORRECT)
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
        return criterion.failed(f"{reply.fault.kind}: {reply.fault.what}", _CORRECT)
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
