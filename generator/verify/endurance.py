"""What a soak comes to: its verdicts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from generator.catalog.metrics import counters
from generator.verify.load import percentile
from generator.verify.soak import STALL, TURNS
from generator.verify.verdict import Criterion, Verdict, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.verify.expectation import ServiceExpectation
    from generator.verify.soak import Record

_HOUR = "docs/plan.md section 12: stable operation for 1 hour of continuous use"
_TWO = 2  # looks at counters, to see one go back


def judge(expected: ServiceExpectation, record: Record) -> Iterator[Verdict]:
    """Judge a soak; one that was stopped early has not shown what it was to show, whatever else it found.

    What only whole answers show is not checked where none came: nothing was measured of it.
    """
    named = _criteria(expected, record.wanted)
    answered = len(record.totals)
    if record.replies == 0 and not record.faults:
        said = f"no request ended within {record.seconds:.0f} s"
        yield named["duration"].not_checked(said, "let it run for longer")
        return
    yield _duration(named["duration"], record)
    yield _errors(named["errors"], record)
    if "restarts" in named:
        yield _restarts(named["restarts"], record)
    if not answered:
        yield from (
            named[name].not_checked("no whole answer came", "see the criterion errors")
            for name in ("stalls", "output", "first-token", "decode")
        )
        return
    worst = max((pause for _, pause in record.stalls), default=0.0)
    yield named["stalls"].decide(
        not record.stalls,
        f"{len(record.stalls)} pauses" + (f", the longest {worst:.0f} s" if record.stalls else ""),
        "lower the concurrency or the context",
        len(record.stalls),
        "pauses",
    )
    first = record.degenerate[0][1] if record.degenerate else ""
    yield named["output"].decide(
        len(record.degenerate) * 100 <= answered,
        f"{len(record.degenerate)} of {answered} answers are not" + (f": {first}" if first else ""),
        "take other weights or another quantisation of the model",
        len(record.degenerate),
        "answers",
    )
    yield from _latency(expected, named, record)


def criteria(expected: ServiceExpectation) -> Iterator[Criterion]:
    """Yield what is judged of a load."""
    yield from _criteria(expected, None).values()


def _criteria(expected: ServiceExpectation, seconds: float | None) -> dict[str, Criterion]:
    """Return the criteria by name; an engine without counters does not tell of restarts, but by its errors."""
    first, decode = expected.floors.first_token, expected.floors.decode
    texts = {
        "duration": (f"load for {seconds:g} s" if seconds else "load for the time that was asked for", _HOUR),
        "errors": ("no request fails", _HOUR),
        "restarts": ("the server does not restart", _HOUR),
        "stalls": (f"no answer pauses for {STALL:g} s", _HOUR),
        "output": ("99 of 100 answers are language", "healthy load is not healthy output"),
        "first-token": (f"95 of 100 first tokens within {short(first.value)} s", first.rule),
        "decode": (f"half of the answers at {short(decode.value)} tokens/s", decode.rule),
    }
    if expected.service.engine not in counters():
        del texts["restarts"]
    return {name: Criterion("soak", name, expected.service.name, *text) for name, text in texts.items()}


def _duration(criterion: Criterion, record: Record) -> Verdict:
    said = (
        f"{record.seconds:.0f} s, {record.conversations} conversations of {TURNS} turns, {record.replies} requests, "
        f"{record.tokens} tokens"
    )
    if record.stopped and record.seconds < record.wanted:
        return criterion.not_checked(f"stopped after {said}", "let it run to its end")
    advice = "no request was answered; see the criterion errors"
    return criterion.decide(bool(record.totals), said, advice)


def _restarts(criterion: Criterion, record: Record) -> Verdict:
    if record.looks < _TWO:
        return criterion.not_checked("its counters, which tell of restarts, could not be read", "see the phase metrics")
    away = f", away for {record.away:.0f} s" if record.away else ""
    advice = "see the log of the service and of its watchdog at those times"
    count = len(record.restarts)
    return criterion.decide(not count, f"{count} restarts{away}", advice, count, "restarts")


def _errors(criterion: Criterion, record: Record) -> Verdict:
    kinds = Counter(text.split(":")[0] for _, text in record.faults)
    said = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "no error"
    if record.faults:
        when, text = record.faults[0]
        said += f"; the first after {when:.0f} s: {text[:100]}"
    advice = "see the log of the service at those times"
    return criterion.decide(not record.faults, said, advice, len(record.faults), "errors")


def _latency(expected: ServiceExpectation, named: dict[str, Criterion], record: Record) -> Iterator[Verdict]:
    p95 = percentile(record.firsts, 95)
    if p95 is None:
        yield named["first-token"].failed("no token came", "see the phase api")
        yield named["decode"].failed("no token came", "see the phase api")
        return
    parts = [f"p{share} {percentile(record.firsts, share) or 0:.3f} s" for share in (50, 95, 99)]
    turns = [f"{turn}: {percentile(values, 50) or 0:.3f}" for turn, values in sorted(record.firsts_by_turn.items())]
    said = f"{', '.join(parts)}; median by turn {', '.join(turns)}"
    in_time = p95 < expected.floors.first_token.value
    yield named["first-token"].decide(in_time, said, "lower the concurrency or the context", p95, "s")
    p50 = percentile(record.rates, 50)
    if p50 is None:
        yield named["decode"].failed("too few tokens came to say", "see the phase api")
        return
    parts = [f"p{share} {percentile(record.rates, share) or 0:.1f}" for share in (5, 50, 95)]
    totals = [f"p{share} {percentile(record.totals, share) or 0:.2f} s" for share in (50, 95, 99)]
    said = f"{', '.join(parts)} tokens/s; whole answers {', '.join(totals)}"
    fast = p50 >= expected.floors.decode.value
    yield named["decode"].decide(fast, said, "lower the concurrency", p50, "tokens/s")
