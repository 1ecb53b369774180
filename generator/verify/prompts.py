"""Prompts of a length in the server's own tokens, no two with the same beginning: no cache makes them fast."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.machine.exchange import Limits, Request
from generator.verify.load import LIMITS, send
from generator.verify.silence import silent

if TYPE_CHECKING:
    from generator.machine.exchange import Fault, Reply
    from generator.verify.load import Server

_WORDS = (
    *("river", "stone", "paper", "light", "garden", "window", "market", "winter", "music", "letter", "bridge", "table"),
    *("silver", "animal", "corner", "summer", "travel", "number", "forest", "simple", "answer", "island", "center"),
    *("happy", "open", "under", "green", "seven", "early", "write", "water", "house"),
)
_SMALL, _LARGE = 16, 272  # words of the two prompts that show how many tokens a word has
_ANSWER = 4  # tokens: the first one is what counts
_SPARE = 64  # tokens of a context that the answer and an estimate's error may take
_ROUNDS = 3
_ENOUGH = 60.0  # seconds after which no further round begins


@dataclass(frozen=True, slots=True)
class Sized:
    """Replies to prompts of about ``wanted`` tokens."""

    wanted: int
    replies: tuple[Reply, ...]


def words(count: int) -> str:
    """Return so many words by chance."""
    return " ".join(secrets.SystemRandom().choices(_WORDS, k=count))


def words_for(tokens: int, small: tuple[int, int], large: tuple[int, int]) -> int | None:
    """Return how many words make so many tokens, from two prompts' words and tokens; None where these do not tell.

    What the model's chat template adds to every prompt is the same in both.

    >>> words_for(500, (10, 70), (110, 270))
    225
    """
    per_word = (large[1] - small[1]) / (large[0] - small[0])
    if small[1] <= 0 or per_word <= 0:
        return None
    return max(1, small[0] + round((tokens - small[1]) / per_word))


async def send_sized(server: Server, tokens: int, context: int | None, first_token: float) -> Sized | Fault | None:
    """Ask with prompts of so many tokens, or of what fits into the context.

    Returns what went wrong at the first ones, or None where the server does not say how many tokens these have.
    ``first_token`` is how many seconds a first token may take.
    """
    wanted = tokens if context is None else min(tokens, max(context - _SPARE, 1))
    limits = Limits(max(LIMITS.total, 3 * first_token), max(LIMITS.pause, 2 * first_token))
    shown = min(_LARGE, max(wanted // 2, 2 * _SMALL))
    tried = await send(server, [_request(server, count) for count in (_SMALL, shown)], 1, limits)
    fault = next((reply.fault for reply in tried.replies if reply.fault is not None), None)
    if fault is not None:
        return fault
    small, large = (reply.prompt_tokens for reply in tried.replies)
    count = words_for(wanted, (_SMALL, small), (shown, large))
    if count is None:
        return None
    replies: list[Reply] = []
    spent = 0.0
    while len(replies) < _ROUNDS and spent < _ENOUGH:
        burst = await send(server, [_request(server, count)], 1, limits)
        replies += burst.replies
        spent += burst.seconds
        if any(silent(reply.fault) for reply in burst.replies):
            break
    return Sized(wanted, tuple(replies))


def _request(server: Server, count: int) -> Request:
    return Request(server.model, ({"role": "user", "content": words(count)},), _ANSWER)
