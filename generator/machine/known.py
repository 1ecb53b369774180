# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""A known question and its known answer: load success is not health, ``/health`` of vLLM runs no model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from generator.machine.degenerate import degenerate
from generator.machine.exchange import Request

if TYPE_CHECKING:
    from generator.machine.exchange import Fault, Reply

# "late": no whole answer in time. "busy" and "refused" say nothing against the engine: others may be answered, or ours
# was not allowed, or names a model that is not there.
Outcome = Literal["passed", "slow", "wrong", "late", "dead", "busy", "refused"]
_BUSY = frozenset({429, 503})
_REFUSED = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class Known:
    """A question, a word of its answer, a budget of tokens, and the least decoded tokens a second (0: any)."""

    question: str = "What is 2+2? Answer with the number alone."
    answer: str = "4"
    max_tokens: int = 512  # a reasoning model thinks first
    minimum_rate: float = 0.0

    def request(self, model: str | None) -> Request:
        """Return the question as a request."""
        return Request(model, ({"role": "user", "content": self.question},), self.max_tokens)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reply to a known question proves, and why."""

    outcome: Outcome
    why: str


def judge(known: Known, reply: Reply, model: str | None) -> Judgement:
    """Judge a reply to a known question. ``model`` is the name that the server must answer under; None is any."""
    if reply.fault is not None:
        return _faulty(reply.fault)
    if (wrong := _wrong(known, reply, model)) is not None:
        return Judgement("wrong", wrong)
    if reply.rate is not None and reply.rate < known.minimum_rate:
        return Judgement("slow", f"{reply.rate:.1f} tokens/s, less than {known.minimum_rate:g}")
    rate = f", {reply.rate:.1f} tokens/s" if reply.rate is not None else ""
    return Judgement("passed", f"{reply.text.strip()[:80]!r} after {reply.seconds:.2f} s{rate}")


def _faulty(fault: Fault) -> Judgement:
    if fault.status in _BUSY | _REFUSED:
        return Judgement("busy" if fault.status in _BUSY else "refused", f"HTTP {fault.status}: {fault.what}")
    if fault.kind == "timeout":
        return Judgement("late", fault.what)
    return Judgement("dead", f"{fault.kind}{f', HTTP {fault.status}' if fault.status else ''}: {fault.what}")


def _wrong(known: Known, reply: Reply, model: str | None) -> str | None:
    if model and reply.model and reply.model != model:
        return f"{reply.model!r} answered instead of {model!r}"
    if not reply.text.strip() and reply.reasoning.strip() and reply.finish == "length":
        broken = degenerate(reply.reasoning)
        return f"reasoning took all {reply.tokens} tokens" + (f": {broken}" if broken else "")
    if broken := degenerate(reply.text):
        return broken
    if not holds(reply.text, known.answer):
        return f"the answer holds no {known.answer!r}: {reply.text.strip()[:80]!r}"
    return None


def holds(text: str, answer: str) -> bool:
    """Return whether a text holds a word, as a word of its own: "14" holds no "4"."""
    return re.search(rf"(?<![\w.,]){re.escape(answer)}(?![\w]|[.,]\d)", text, re.IGNORECASE) is not None
