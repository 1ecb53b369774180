"""What goes wrong, as data: how it reads, how it sorts, and that it travels."""

from __future__ import annotations

import pickle

import pytest

from generator.errors import GeneratorError, Location, OutputError, Problem, SpecError, printable


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (Location("a.toml", 3, 7), "a.toml:3:7"),
        (Location("a.toml"), "a.toml"),
        (Location(""), '""'),
        (Location("a\nb\x1b[31m.toml", 1, 2), r"a\nb\x1b[31m.toml:1:2"),
        (Location("é ü.toml", 1, 1), "é ü.toml:1:1"),
        (Location("\udcff", 1, 1), r"\udcff:1:1"),
    ],
)
def test_a_place_is_clickable_and_on_one_line(location: Location, text: str) -> None:
    assert str(location) == text


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(Location("a", 1, 2), "b.c", "is wrong", "do it"), "a:1:2: b.c: is wrong; do it"),
        (Problem(Location("a", 1, 2), "", "is wrong", "do it"), "a:1:2: is wrong; do it"),
        (Problem(Location("a"), "", "is wrong", ""), "a: is wrong"),
    ],
)
def test_a_problem_reads_as_place_path_what_and_what_to_do(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_problems_are_told_one_a_line_by_place_and_numbers_are_no_text() -> None:
    places = [("b", 1, 1), ("a", 10, 1), ("a", 9, 10), ("a", 9, 9)]
    error = GeneratorError(tuple(Problem(Location(*place), "p", "w", "h") for place in places))
    assert str(error).splitlines() == ["a:9:9: p: w; h", "a:9:10: p: w; h", "a:10:1: p: w; h", "b:1:1: p: w; h"]


@pytest.mark.parametrize("kind", [SpecError, OutputError])
def test_an_error_survives_another_process(kind: type[GeneratorError]) -> None:
    problems = (Problem(Location("a", 1, 2), "b", "w", "h"),)
    again = pickle.loads(pickle.dumps(kind(problems)))  # noqa: S301 - made in the line itself
    assert type(again) is kind
    assert again.problems == problems


@pytest.mark.parametrize("text", ["", "plain", "with space", "é", "日本"])
def test_what_can_be_printed_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
