"""Positions of keys and values: every path has one, and the text that stands there is that key and that value."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from generator.spec.paths import walk
from generator.spec.positions import (
    MAX_DEPTH,
    first_too_deep,
    json_positions,
    json_redefinitions,
    toml_integer_longer_than,
    toml_positions,
    toml_redefinition,
)

if TYPE_CHECKING:
    from generator.spec.positions import Position

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
TABLES = st.dictionaries(st.text(max_size=8), VALUES, max_size=5)


def rest(text: str, position: Position) -> str:
    """Return the text from a position on."""
    lines = text.split("\n")[position.line - 1 :]
    return "\n".join([lines[0][position.column - 1 :], *lines[1:]])


def at_value(text: str, *path: str | int) -> tuple[int, int]:
    return toml_positions(text)[path].value


def at_key(text: str, *path: str | int) -> tuple[int, int]:
    return toml_positions(text)[path].key


@given(TABLES)
def test_every_json_value_stands_where_its_position_says(data: dict[str, Any]) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=1)
    spans = json_positions(text)
    assert spans.keys() == {path for path, _ in walk(data)}
    for path, value in walk(data):
        assert json.JSONDecoder().raw_decode(rest(text, spans[path].value))[0] == value
        if path and isinstance(path[-1], str):
            assert json.JSONDecoder().raw_decode(rest(text, spans[path].key))[0] == path[-1]


@given(TABLES)
def test_json_on_one_line_has_the_same_paths(data: dict[str, Any]) -> None:
    assert json_positions(json.dumps(data)).keys() == json_positions(json.dumps(data, indent=2)).keys()


@given(TABLES)
def test_every_toml_value_stands_where_its_position_says(data: dict[str, Any]) -> None:
    text = tomli_w.dumps(data)
    spans = toml_positions(text)
    assert spans.keys() == {path for path, _ in walk(data)}
    for path, value in walk(data):
        found = rest(text, spans[path].value)
        if isinstance(value, dict):
            assert not path or found.startswith(("[", "{"))
        elif isinstance(value, list):
            assert found.startswith("[")
        else:
            assert found.startswith(tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n"))


@given(TABLES)
def test_every_toml_key_stands_where_its_position_says(data: dict[str, Any]) -> None:
    text = tomli_w.dumps(data)
    spans = toml_positions(text)
    for path, _ in walk(data):
        if path and isinstance(path[-1], str):
            spelled = tomli_w.dumps({path[-1]: 0}).removesuffix(" = 0\n")
            assert rest(text, spans[path].key).startswith(spelled)


@given(st.text())
def test_any_text_has_a_position_for_the_whole(text: str) -> None:
    assert () in toml_positions(text)
    assert () in json_positions(text)


@given(st.text())
def test_in_any_text_a_redefinition_comes_after_the_first_definition(text: str) -> None:
    found = [toml_redefinition(text), *json_redefinitions(text)]
    assert all(one.first < one.again for one in found if one)


FRAGMENTS = [
    "[a]",
    "[a.b]",
    "[[a]]",
    "[[a.b]]",
    "a = 1",
    "a.b = 1",
    "b.c = 1",
    "a = {b = 1}",
    "a = [{b = 1}]",
    '"a" = 2',
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=6))
def test_a_redefinition_is_found_if_and_only_if_tomllib_refuses(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assert toml_redefinition(text)
    else:
        assert toml_redefinition(text) is None


def test_columns_count_characters_and_not_bytes() -> None:
    assert at_value('"é" = ["ß𝄞", 1]', "é", 1) == (1, 14)


def test_columns_after_a_line_feed_of_windows_are_right() -> None:
    assert at_value("a = 1\r\nb = 2\r\n", "b") == (2, 5)


def test_a_unicode_line_separator_in_a_string_is_no_new_line() -> None:
    assert at_value('a = "\u2028"\nb = 2\n', "b") == (2, 5)


def test_a_table_stands_at_its_header_and_is_named_in_it() -> None:
    text = "x = 1\n[a.b]\n"
    assert at_value(text, "a", "b") == (2, 1)
    assert at_key(text, "a", "b") == (2, 4)


def test_a_table_that_a_header_only_implies_stands_at_that_header() -> None:
    assert at_value("[a.b]\n", "a") == (1, 1)


def test_a_table_s_own_header_wins_over_one_that_implies_it() -> None:
    assert at_value("[a.b]\n[a]\n", "a") == (2, 1)


def test_a_table_of_a_dotted_key_stands_at_its_part_of_the_key() -> None:
    text = "[t]\na.b.c = 1\n"
    assert at_key(text, "t", "a") == (2, 1)
    assert at_value(text, "t", "a", "b") == (2, 3)
    assert at_value(text, "t", "a", "b", "c") == (2, 9)


def test_keys_of_an_inline_table_have_their_places() -> None:
    text = "a = { b = 1, c.d = [2, { e = 3 }] }"
    assert at_key(text, "a", "c", "d") == (1, 16)
    assert at_value(text, "a", "c", "d", 1, "e") == (1, 30)


def test_tables_of_an_array_are_numbered() -> None:
    text = "[[x]]\nk = 1\n[[x]]\nk = 2\n"
    assert at_value(text, "x") == (1, 1)
    assert at_value(text, "x", 1, "k") == (4, 5)


def test_a_header_below_an_array_of_tables_means_its_last_table() -> None:
    text = "[[x]]\n[x.y]\nk = 1\n[[x]]\n[x.y]\nk = 2\n[[x.z]]\n[[x.z]]\n"
    assert at_value(text, "x", 0, "y", "k") == (3, 5)
    assert at_value(text, "x", 1, "y", "k") == (6, 5)
    assert at_value(text, "x", 1, "z", 1) == (8, 1)


def test_quoted_keys_are_decoded() -> None:
    text = "\"q\\u00e9.x\".'li\\t' = 1"
    assert at_value(text, "qé.x", "li\\t") == (1, 22)


def test_comments_in_an_array_are_not_items() -> None:
    assert at_value("a = [ # one\n 1, # two\n 2]", "a", 1) == (3, 2)


def test_what_follows_broken_text_still_has_its_place() -> None:
    assert at_value("a = = 1\nb = 2\n", "b") == (2, 5)


def test_nothing_below_the_greatest_depth_is_read() -> None:
    text = "a = " + "[" * 200 + "]" * 200
    assert max(map(len, toml_positions(text))) == MAX_DEPTH + 1


@pytest.mark.parametrize("is_json", [True, False])
def test_the_first_place_that_is_too_deep_is_found(is_json: bool) -> None:  # noqa: FBT001
    text = ('{"a": ' if is_json else "a = ") + "[" * 100 + "]" * 100 + ("}" if is_json else "")
    found = first_too_deep(text, is_json=is_json)
    assert found
    assert len(found[0]) == MAX_DEPTH + 1


def test_a_key_of_very_many_parts_is_read_in_reasonable_time_and_space() -> None:
    assert len(toml_positions("a." * 50_000 + "a = 1")) < 100


@pytest.mark.parametrize(
    ("text", "path", "first", "again"),
    [
        ("a = 1\na = 2\n", ("a",), (1, 1), (2, 1)),
        ("[a]\n[b]\n[a]\n", ("a",), (1, 2), (3, 2)),
        ("a = {x = 1, x = 2}\n", ("a", "x"), (1, 6), (1, 13)),
        ("a.b = 1\n[a]\n", ("a",), (1, 1), (2, 2)),
        ("a = [1]\n[[a]]\n", ("a",), (1, 1), (2, 3)),
        ("[a.b]\n[[a]]\n", ("a",), (1, 2), (2, 3)),
        ("[a.b]\n[a]\nb.c = 1\n", ("a", "b"), (1, 4), (3, 1)),
        ("a = {b = 1}\na.c = 1\n", ("a",), (1, 1), (2, 1)),
    ],
)
def test_a_redefinition_tells_both_places(
    text: str, path: tuple[str, ...], first: tuple[int, int], again: tuple[int, int]
) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    assert toml_redefinition(text) == (path, first, again)


def test_items_after_a_json_number_that_is_not_finite_keep_their_places() -> None:
    text = '["NaN", NaN, -Infinity, {"Infinity": Infinity, "x": 1}]'
    spans = json_positions(text)
    assert [spans[path].value.column for path in [(0,), (1,), (2,), (3, "Infinity"), (3, "x")]] == [2, 9, 14, 38, 53]


def test_all_repeated_json_keys_are_found_but_none_below_another() -> None:
    text = '{"a": {"x": 1},\n "a": {"x": 2},\n "b": {"c": 1,\n "c": 2, "c": 3}}'
    assert json_redefinitions(text) == [
        (("a",), (1, 2), (2, 2)),
        (("b", "c"), (3, 8), (4, 2)),
        (("b", "c"), (3, 8), (4, 10)),
    ]


def test_a_long_integer_is_found_but_no_long_string() -> None:
    assert toml_integer_longer_than(20, f'a = "{"1" * 30}"\nb = [{"1" * 30}]') == (("b", 0), (2, 6))
    assert toml_integer_longer_than(20, "a = 1") is None
