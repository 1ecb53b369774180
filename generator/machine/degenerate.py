# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""Output that no healthy model gives: one that loads can still print ``////`` (wrong quantisation, wrong kernel)."""

from __future__ import annotations

import re
import unicodedata

_SAME_CHARACTER = re.compile(r"([^\s.\-=_*#~])\1{23,}|([.\-=_*#~])\2{199,}")  # rules and dotted lines are text
_LONGEST_PERIOD = 24  # words
_LEAST_REPEATS = 8


def degenerate(text: str) -> str | None:
    """Say what is wrong with a text, or None: it is empty, holds broken characters, or repeats itself without end.

    >>> degenerate("////////////////////////////////")
    "the character '/' repeated 32 times"
    >>> degenerate("2 + 2 = 4")
    """
    if not text.strip():
        return "no text at all"
    broken = sum(char == "\N{REPLACEMENT CHARACTER}" or _control(char) for char in text)
    if broken * 50 > len(text):
        return f"{broken} of {len(text)} characters are broken"
    if found := _SAME_CHARACTER.search(text):
        return f"the character {found[0][0]!r} repeated {len(found[0])} times"
    return _loop(text.split())


def _control(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cn", "Co", "Cs"} and char not in "\n\r\t"


def _loop(words: list[str]) -> str | None:
    """Find a phrase that fills the second half of a text, at least eight times over."""
    for period in range(1, min(_LONGEST_PERIOD, len(words) // _LEAST_REPEATS) + 1):
        same = 0
        while same < len(words) - period and words[-1 - same] == words[-1 - same - period]:
            same += 1
        repeats = (same + period) // period
        if repeats >= _LEAST_REPEATS and (same + period) * 2 >= len(words):
            return f"{' '.join(words[-period:])[:60]!r} repeated {repeats} times"
    return None
