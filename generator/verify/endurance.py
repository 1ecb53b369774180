"""What a soak comes to: its verdicts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from generator.verify.load import percentile
from generator.verify.soak import STALL, TURNS
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.verify.expectation import ServiceExpectation
    from generator.verify.soak import Record

_HOUR = "docs/plan.md section 12: stable operation for 1 hour of continuous use"


def judge(expected: ServiceExpectation, record: Record) -> Iterator[Verdict]:
    """Judge a soak; one that was stopped early has not shown what it was to show, whatever else it found."""

    def criterion(name: str, what: str, rule: str) -> Criterion:
        return Criterion("soak", name, expected.service.name, what, rule)

    duration = criterion("duration", f"load for {record.wanted:g} s", _HOUR)
    said = (
        f"{record.seconds:.0f} s, {record.conversations} conversations of {TURNS} turns, {record.replies} requests, "
        f"{record.tokens} tokens"
    )
    if record.replies == 0 and not record.faults:
        yield duration.not_checked(f"no request ended within {record.seconds:.0f} s", "let it run for longer")
        return
    if record.stopped and record.seconds < record.wanted:
        yield duration.not_checked(f"stopped after {said}", "let it run to its end")
    else:
        yield duration.decide(record.replies > 0, said, "no request was answered")
    yield _errors(criterion("errors", "no request fails", _HOUR), record)
    restarts = criterion("restarts", "the server does not restart", _HOUR)
    yield restarts.decide(
        not record.restarts,
        f"{len(record.restarts)} restarts" + (f", away for {record.away:.0f} s" if record.away else ""),
        "see the log of the service and of its watchdog at those times",
        len(record.restarts),
        "restarts",
    )
    stalls = criterion("stalls", f"no answer pauses for {STALL:g} s", _HOUR)
    worst = max((pause for _, pause in record.stalls), default=0.0)
    yield stalls.decide(
        not record.stalls,
        f"{len(record.stalls)} pauses" + (f", the longest {worst:.0f} s" if record.stalls else ""),
        "lower the concurrency or the context",
        len(record.stalls),
        "pauses",
    )
    language = criterion("output", "99 of 100 answers are language", "healthy load is not healthy output")
    first = record.degenerate[0][1] if record.degenerate else ""
    yield language.decide(
        len(record.degenerate) * 100 <= record.replies,
        f"{len(record.degenerate)} of {record.replies} answers are not" + (f": {first}" if first else ""),
        "take other weights or another quantisation of the model",
        len(record.degenerate),
        "answers",
    )
    yield from _latency(expected, record)


def _errors(criterion: Criterion, record: Record) -> Verdict:
    kinds = Counter(text.split(":")[0] for _, text in record.faults)
    said = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "no error"
    if record.faults:
        when, text = record.faults[0]
        said += f"; the first after {when:.0f} s: {text[:100]}"
    advice = "see the log of the service at those times"
    return criterion.decide(not record.faults, said, advice, len(record.faults), "errors")


def _latency(expected: ServiceExpectation, record: Record) -> Iterator[Verdict]:
    limit = expected.floors.first_token
    criterion = Criterion(
        "soak", "first-token", expected.service.name, f"95 of 100 first tokens within {limit.value:g} s", limit.rule
    )
    p95 = percentile(record.firsts, 95)
    if p95 is None:
        yield criterion.failed("no token came", "see the phase api")
        return
    parts = [f"p{share} {percentile(record.firsts, share) or 0:.3f} s" for share in (50, 95, 99)]
    turns = [f"{turn}: {percentile(values, 50) or 0:.3f}" for turn, values in sorted(record.firsts_by_turn.items())]
    said = f"{', '.join(parts)}; median by turn {', '.join(turns)}"
    yield criterion.decide(p95 < limit.value, said, "lower the concurrency or the context", p95, "s")
    rate = Criterion(
        "soak",
        "decode",
        expected.service.name,
        f"half of the answers at {expected.floors.decode.value:g} tokens/s",
        expected.floors.decode.rule,
    )
    p50 = percentile(record.rates, 50)
    if p50 is None:
        yield rate.failed("too few tokens came to say", "see the phase api")
        return
    parts = [f"p{share} {percentile(record.rates, share) or 0:.1f}" for share in (5, 50, 95)]
    totals = [f"p{share} {percentile(record.totals, share) or 0:.2f} s" for share in (50, 95, 99)]
    said = f"{', '.join(parts)} tokens/s; whole answers {', '.join(totals)}"
    yield rate.decide(p50 >= expected.floors.decode.value, said, "lower the concurrency", p50, "tokens/s")
