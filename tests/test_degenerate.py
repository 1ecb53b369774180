"""Degenerate output is found, and what healthy models write is not taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.machine.degenerate import degenerate

HEALTHY = (
    "4",
    "2 + 2 = 4",
    "1. 1\n2. 2\n3. 3\n4. 4\n5. 5\n6. 6\n7. 7\n8. 8\n9. 9\n10. 10",
    " ".join(str(number) for number in range(1, 200)),
    "# Title\n\n" + "-" * 80 + "\n\nA table:\n\n| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 6,
    "no, no, no, no, no! That is not what I said.",
    "Наука и жизнь; 科学与生活; علم",
    "def f():\n    return [0, 0, 0, 0, 0, 0, 0, 0, 0]\n",
    "😀 " * 3 + "is how I feel",
)


@pytest.mark.parametrize("text", HEALTHY)
def test_healthy_text_is_not_degenerate(text: str) -> None:
    assert degenerate(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no text"),
        (" \n\t ", "no text"),
        ("/" * 64, "'/' repeated 64 times"),
        ("The answer is " + "!" * 100, "'!' repeated"),
        ("the cat sat " * 40, "'the cat sat' repeated"),
        ("I think that is right. " * 12, "repeated"),
        ("4 4 4 4 4 4 4 4 4 4", "'4' repeated"),
        ("\N{REPLACEMENT CHARACTER}" * 4 + " ok", "broken"),
        ("\x00\x01\x02\x03", "broken"),
    ],
)
def test_degenerate_text_is_named(text: str, why: str) -> None:
    assert why in (degenerate(text) or "")


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12), st.integers(8, 200))
def test_any_word_without_end_is_degenerate(word: str, times: int) -> None:
    assert degenerate(f"{word} " * times) is not None


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300, unique=True))
def test_numbers_that_all_differ_are_not(numbers: list[int]) -> None:
    assert degenerate(" ".join(map(str, numbers))) is None
