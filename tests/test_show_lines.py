"""Lines of marked text, and how they are wrapped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generator.show.lines import Span, hang, plain, trimmed, wrap


def test_text_is_wrapped_between_words() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]


def test_a_path_breaks_after_its_slashes() -> None:
    text = "kyuz0/amd-strix-halo-toolboxes@08aa7bc0:benchmark/results.log"
    assert wrap(text, 42) == ["kyuz0/amd-strix-halo-toolboxes@08aa7bc0:", "benchmark/results.log"]


def test_a_short_word_with_a_slash_stays_whole() -> None:
    assert wrap("some prose on tokens/s", 19) == ["some prose on", "tokens/s"]


def test_a_word_longer_than_a_line_is_cut() -> None:
    assert wrap("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_no_text_is_no_line() -> None:
    assert wrap("  ", 10) == []


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), st.integers(1, 60))
def test_no_line_is_too_long_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(0 < len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_further_lines_hang_below_the_first() -> None:
    lines = list(hang((Span("- ", "label"),), "one two three", 10, "faint"))
    assert plain(lines) == "- one two\n  three\n"
    assert lines[1] == (Span("  "), Span("three", "faint"))


def test_a_line_is_trimmed_at_its_end() -> None:
    assert trimmed((Span(" a"), Span("b ", "faint"), Span("  "))) == (Span(" a"), Span("b", "faint"))
    assert trimmed((Span(" "), Span("", "faint"))) == ()
