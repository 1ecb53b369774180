"""TOML and JSON that are none: where, what, and a way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import SpecError
from generator.spec.source import read_source
from tests.refused import refused

if TYPE_CHECKING:
    import pathlib


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("source")


@pytest.mark.parametrize("char", ["\x01", "\x0c", "\x1f", "\x7f", "\r"])
def test_a_control_character_in_toml_is_refused(folder: pathlib.Path, char: str) -> None:
    assert refused(folder, f"\na = '{char}'") == [
        (
            f"spec.toml:2:6: the control character U+{ord(char):04X} is not allowed; "
            "remove it, or write it as an escape in a string"
        )
    ]


@pytest.mark.parametrize(("name", "text", "column"), [("spec.toml", "a = '\0'", 6), ("spec.json", '{"a":"\0"}', 7)])
def test_a_nul_is_refused(folder: pathlib.Path, name: str, text: str, column: int) -> None:
    assert refused(folder, text, name) == [
        f"{name}:1:{column}: the control character U+0000 is not allowed; remove it; Nix cannot hold it"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\nb = hello\n", "2:5: invalid value; put quotes around a string"),
        ("a b = 1", "1:3: expected '=' after a key in a key/value pair; write key = value"),
        ("a = 1 b = 2", "1:7: expected newline or end of document after a statement; put each key"),
        ("a = 'x", '1:7: expected "\'"; close what is open'),
        ('a = "x\n"', "1:7: illegal character '\\n'; close the string"),
        ('a = "\\q"', "1:8: unescaped '\\' in a string; write two backslashes"),
        ("= 1", "1:1: invalid statement; correct the syntax"),
        ('\n{"a": 1}', "2:1: invalid statement; the text looks like JSON: give the file a name that ends in .json"),
    ],
)
def test_a_toml_syntax_error_tells_its_place_and_a_way_out(folder: pathlib.Path, text: str, expected: str) -> None:
    problem = refused(folder, text)[0]
    assert problem.startswith(f"spec.toml:{expected}")


def test_a_toml_error_at_the_end_stands_after_the_last_character(folder: pathlib.Path) -> None:
    assert refused(folder, "a = 1\nb = [1,")[0].startswith("spec.toml:2:8: ")


def test_a_repeated_toml_key_tells_where_it_is_first(folder: pathlib.Path) -> None:
    assert refused(folder, "[t]\nport = 1\nhost = 2\nport = 3\n") == [
        "spec.toml:4:1: t.port: this key is defined twice; it is first defined at line 2, column 1; keep one"
    ]


def test_a_repeated_toml_table_tells_where_it_is_first(folder: pathlib.Path) -> None:
    assert refused(folder, "[a.b]\n[c]\n[a.b]\n") == [
        "spec.toml:3:4: a.b: this key is defined twice; it is first defined at line 1, column 4; keep one"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a: 1}", "1:2: expecting property name enclosed in double quotes; put double quotes around the key"),
        ('{"a": True}', "1:7: expecting value; put double quotes"),
        ('{"a": 1\n "b": 2}', "2:2: expecting ',' delimiter; put a comma"),
        ('{"a" 1}', "1:6: expecting ':' delimiter; put a colon"),
        ('{"a": 1} x', "1:10: extra data; keep one object"),
        ('{"a": "\\q"}', "1:8: invalid \\escape; write two backslashes"),
        ('{"a": "x\n"}', "1:9: invalid control character at; close the string"),
        ('{"a": "x', "1:7: unterminated string starting at; close the string"),
    ],
)
def test_a_json_syntax_error_tells_its_place_and_a_way_out(folder: pathlib.Path, text: str, expected: str) -> None:
    assert refused(folder, text, "spec.json")[0].startswith(f"spec.json:{expected}")


def test_a_trailing_comma_in_json_is_told_to_go(folder: pathlib.Path) -> None:
    assert "comma" in refused(folder, '{"a": 1,}', "spec.json")[0]


def test_all_repeated_json_keys_are_refused_with_their_places(folder: pathlib.Path) -> None:
    assert refused(folder, '{"a": 1,\n "a": 2,\n "b": [{"c": 1, "c": 2}]}', "spec.json") == [
        "spec.json:2:2: a: this key is defined twice; it is first defined at line 1, column 2; keep one",
        "spec.json:3:17: b[0].c: this key is defined twice; it is first defined at line 3, column 9; keep one",
    ]


@pytest.mark.parametrize("number", [str(2**63), str(-(2**63) - 1), "1" * 5000, "-" + "1" * 5000])
@pytest.mark.parametrize(("name", "form"), [("spec.toml", "x = 1\na = {}"), ("spec.json", '{{"x": 1,\n"a": {}}}')])
def test_an_integer_beyond_64_bits_is_refused(folder: pathlib.Path, number: str, name: str, form: str) -> None:
    problems = refused(folder, form.format(number), name)
    assert problems == [
        (
            f"{name}:2:{5 if name == 'spec.toml' else 6}: a: this integer does not fit in 64 bits; "
            "write one from -9223372036854775808 to 9223372036854775807"
        )
    ]


def test_a_hexadecimal_integer_of_any_length_is_refused(folder: pathlib.Path) -> None:
    assert refused(folder, f"a = 0x{'f' * 9000}")[0].startswith("spec.toml:1:5: a: this integer does not fit")


def test_the_extreme_64_bit_integers_are_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "spec.json").write_text(f'{{"a": {-(2**63)}, "b": {2**63 - 1}}}')
    assert read_source(tmp_path / "spec.json").data == {"a": -(2**63), "b": 2**63 - 1}


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize(("name", "start", "end"), [("spec.toml", "a = ", ""), ("spec.json", '{"a": ', "}")])
def test_deep_nesting_is_refused_at_its_place(
    folder: pathlib.Path, depth: int, name: str, start: str, end: str
) -> None:
    problem = refused(folder, start + "[" * depth + "]" * depth + end, name)[0]
    assert problem.startswith(f"{name}:1:{len(start) + 65}: a[0]")
    assert problem.endswith("this is nested too deeply; nest at most 64 levels")


def test_deep_nesting_that_is_never_closed_is_refused(folder: pathlib.Path) -> None:
    assert "nested too deeply" in refused(folder, "a = " + "[" * 100_000)[0]


def test_deep_nesting_by_a_dotted_key_is_refused(folder: pathlib.Path) -> None:
    assert "nested too deeply" in refused(folder, "a." * 100 + "a = 1")[0]


PIECES = [
    "a",
    "b",
    ".",
    "=",
    "1",
    '"',
    "'",
    '"""',
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    ":",
    "\n",
    " ",
    "\\u00",
    "1e9",
    "#",
]


@given(content=st.lists(st.sampled_from(PIECES)).map("".join), name=st.sampled_from(["spec.toml", "spec.json"]))
def test_content_that_is_almost_right_is_read_or_refused(folder: pathlib.Path, content: str, name: str) -> None:
    (folder / name).write_text(content)
    try:
        source = read_source(folder / name)
    except SpecError as error:
        assert error.problems  # noqa: PT017 - either outcome is right
    else:
        assert source.locate(("a", "b")).line >= 1
