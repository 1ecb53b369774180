"""Paths and texts of a spec, as messages show them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generator.spec.paths import path_text, quoted


def test_a_path_is_written_as_people_write_it() -> None:
    assert path_text(("services", "my llm", "args", 0, "", "a_b-1")) == 'services."my llm".args[0]."".a_b-1'


@given(st.lists(st.one_of(st.text(), st.integers(0, 99))))
def test_no_path_breaks_a_line(path: list[str | int]) -> None:
    assert path_text(tuple(path)).isprintable()


@given(st.text())
def test_a_quoted_text_is_short_and_on_one_line(text: str) -> None:
    assert quoted(text).isprintable()
    assert len(quoted(text)) < 60 * 10 + 3
