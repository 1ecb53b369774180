"""Speed of a service: time to first token and tokens a second, alone and together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.machine.exchange import Fault, Request
from generator.verify.load import Burst, Server, median, send
from generator.verify.prompts import Sized, send_sized
from generator.verify.silence import silent
from generator.verify.verdict import Criterion, Verdict, short

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from generator.verify.expectation import ServiceExpectation

_TOKENS = 96
_ROUNDS = 3
_TOLERANCE = 0.1  # of the length of a prompt
_TOPICS = ("tides", "bridges", "bread", "clocks", "rivers", "maps", "glass", "winter", "salt", "paper", "roads", "bees")


async def check(expected: ServiceExpectation, server: Server) -> AsyncIterator[Verdict]:
    """Measure a service's speed, one verdict after the other; one that falls silent is asked no further."""
    silence = server.silence
    alone = await send(server, requests(server, _ROUNDS, exact=expected.exact), 1)
    yield silence.heed(judge_short(expected, alone), *_faults(alone))
    if silence.since:
        return
    length, limit = expected.service.expect.prompt_tokens, expected.floors.first_token.value
    sized = await send_sized(server, length, expected.context, limit)
    faults = _faults(Burst(sized.replies, 0.0)) if isinstance(sized, Sized) else [sized]
    yield silence.heed(judge_first_token(expected, sized), *faults)
    yield judge_decode(expected, alone)
    if expected.concurrency > 1 and not silence.since:
        together = await send(
            server, requests(server, expected.concurrency, exact=expected.exact), expected.concurrency
        )
        yield silence.heed(judge_together(expected, alone, together), *_faults(together))


def criteria(expected: ServiceExpectation) -> Iterator[Criterion]:
    """Yield what is measured."""
    nothing = Burst((), 0.0)
    yield judge_short(expected, nothing).criterion
    yield judge_first_token(expected, None).criterion
    yield judge_decode(expected, nothing).criterion
    if expected.concurrency > 1:
        yield judge_together(expected, nothing, nothing).criterion


def requests(server: Server, count: int, *, exact: bool) -> list[Request]:
    """Return requests that share no beginning, so that no cache of prompts makes them fast."""
    return [
        Request(
            server.model,
            ({"role": "user", "content": f"{index + 1} {_TOPICS[index % len(_TOPICS)]}: explain in detail."},),
            _TOKENS,
            exact=exact,
        )
        for index in range(count)
    ]


def _faults(burst: Burst) -> list[Fault | None]:
    return [reply.fault for reply in burst.replies]


def _firsts(burst: Burst) -> list[float]:
    return [reply.first for reply in burst.replies if reply.fault is None and reply.first is not None]


def _rates(burst: Burst) -> list[float]:
    return [reply.rate for reply in burst.replies if reply.fault is None and reply.rate is not None]


def judge_short(expected: ServiceExpectation, alone: Burst) -> Verdict:
    """Say the median time to first token of a question of a few words, which is held against nothing."""
    rule = "for comparison: the first token is judged at services.*.expect.prompt_tokens"
    criterion = Criterion("speed", "short-prompt", expected.service.name, "a question is answered at all", rule)
    first = median(_firsts(alone))
    if first is None:
        return criterion.failed("; ".join(alone.faults) or "no token came", "see the phase api")
    tokens = max(reply.prompt_tokens for reply in alone.replies)
    length = f"prompts of up to {tokens} tokens" if tokens else "it does not say how many tokens the prompts have"
    said = f"first token after {first:.3g} s (median of {len(alone.replies)}; {length})"
    return criterion.passed(said, first, "s")


def judge_first_token(expected: ServiceExpectation, sized: Sized | Fault | None) -> Verdict:
    """Judge the median time to first token at the length of prompt that the spec is about; None tells no length."""
    limit, band = expected.floors.first_token, expected.floors.first_band
    wanted = sized.wanted if isinstance(sized, Sized) else expected.service.expect.prompt_tokens
    what = f"first token of {wanted} tokens within {short(limit.value)} s"
    what += f", expected {short(band[0])} to {short(band[1])}" if band else ""
    rule = f"{limit.rule}; spec: services.{expected.service.name}.expect.prompt_tokens"
    criterion = Criterion("speed", "first-token", expected.service.name, what, rule)
    if isinstance(sized, Fault):
        return criterion.failed(str(sized), "see the phase api")
    if sized is None:
        return criterion.not_checked("the server does not say how many tokens a prompt has", "see its usage field")
    burst = Burst(sized.replies, 0.0)
    first = median(_firsts(burst))
    if burst.faults or first is None:
        return criterion.failed("; ".join(burst.faults) or "no token came", "see the phase api")
    counts = [reply.prompt_tokens for reply in sized.replies]
    said = f"{first:.3f} s{_beside(first, band)}"
    said += f" (median of {len(counts)}, prompts of {min(counts)} to {max(counts)} tokens)"
    if abs((median(counts) or 0) - wanted) > _TOLERANCE * wanted:
        return criterion.not_checked(
            said, f"no prompt of {wanted} tokens could be made; set prompt_tokens to what comes"
        )
    advice = "shorten prompts, lower vllm.max_num_batched_tokens, or see whether the GPU is used at all"
    return criterion.decide(first < limit.value, said, advice, first, "s")


def _beside(value: float, band: tuple[float, float] | None) -> str:
    """Say where a value is outside of the plan's band, which is worth a look and no failure."""
    if band is None or band[0] <= value <= band[1]:
        return ""
    return " (below the band)" if value < band[0] else " (above the band)"


def judge_decode(expected: ServiceExpectation, alone: Burst) -> Verdict:
    """Judge the median tokens a second of single requests against the floor, and name a place outside the band."""
    floor, band = expected.floors.decode, expected.floors.band
    what = f"at least {short(floor.value)} tokens/s" + (
        f", expected {short(band[0])} to {short(band[1])}" if band else ""
    )
    criterion = Criterion("speed", "decode", expected.service.name, what, floor.rule)
    rate = median(_rates(alone))
    if rate is None:
        return criterion.failed("; ".join(alone.faults) or "too few tokens came to say", "see the phase api")
    advice = "the model may run on the CPU or on slow kernels: see the phases rocm and service"
    return criterion.decide(
        rate >= floor.value, f"{short(rate)} tokens/s{_beside(rate, band)}", advice, rate, "tokens/s"
    )


def judge_together(expected: ServiceExpectation, alone: Burst, together: Burst) -> Verdict:
    """Judge requests at once: all answered, the first token in time, and together no slower than one alone."""
    limit = expected.floors.first_token
    count = expected.concurrency
    what = (
        f"{count} requests at once: all answered, first token within {short(limit.value)} s, no slower than one alone"
    )
    criterion = Criterion("speed", "together", expected.service.name, what, f"{limit.rule}; spec: concurrency")
    if together.faults:
        # One that answers none of them, or says nothing any more, has not just too much to do.
        gone = len(together.faults) == len(together.replies) or any(map(silent, _faults(together)))
        advice = f"see 'systemctl status {expected.service.unit}' on the machine" if gone else "lower the concurrency"
        return criterion.failed(f"{len(together.faults)} of {count} failed: {together.faults[0]}", advice)
    worst, single = max(_firsts(together), default=None), alone.throughput
    said = f"{short(together.throughput)} tokens/s together ({short(single)} alone)"
    said += f", first token {worst or 0:.3f} s at worst"
    # Requests at once that are slower than one after the other are worse than a queue; a tenth is noise.
    holds = worst is not None and worst < limit.value and together.throughput >= 0.9 * single
    return criterion.decide(holds, said, "lower the concurrency", together.throughput, "tokens/s")
