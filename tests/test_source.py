"""Reading a spec: whatever is wrong with a file ends in a SpecError that says where and what to do."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import Location, SpecError
from generator.spec.source import MAX_BYTES, read_source
from tests.refused import refused

if TYPE_CHECKING:
    import pathlib


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("source")


def test_a_toml_file_is_read_as_text_and_data(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(b"a = 1\r\n")
    source = read_source(path)
    assert (source.name, source.text, source.format, source.data) == (str(path), "a = 1\r\n", "toml", {"a": 1})


def test_a_file_whose_name_ends_in_json_is_json(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.JSON"
    path.write_text('{"a": null}')
    assert read_source(path).data == {"a": None}
    assert read_source(path).format == "json"


def test_the_name_is_the_path_as_the_user_gave_it(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.toml").write_text("a = 1")
    monkeypatch.chdir(tmp_path)
    assert read_source("./spec.toml").name == "./spec.toml"


@pytest.mark.parametrize(("text", "form"), [("a = 1", "toml"), ('\n {"a": 1}', "json")])
def test_standard_input_is_toml_or_json_as_its_first_character_tells(
    text: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    source = read_source("-")
    assert (source.name, source.format, source.data) == ("<stdin>", form, {"a": 1})


def test_closed_standard_input_is_an_empty_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SpecError, match="<stdin>: the file is empty"):
        read_source("-")


def test_a_missing_file_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(SpecError, match=r"none\.toml: there is no such file; give the path"):
        read_source(tmp_path / "none.toml")


def test_a_directory_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(SpecError, match="this is a directory"):
        read_source(tmp_path)


def test_an_unreadable_file_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text("a = 1")
    path.chmod(0)
    root = os.geteuid() == 0
    if root:  # whom no mode stops
        os.seteuid(65534)
    try:
        with pytest.raises(SpecError, match="you may not read this file; make it readable"):
            read_source(path)
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000])
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    with pytest.raises(SpecError):
        read_source(path)


@pytest.mark.parametrize("text", ["", " \n\t\r\n"])
@pytest.mark.parametrize("name", ["spec.toml", "spec.json"])
def test_an_empty_file_is_refused(folder: pathlib.Path, text: str, name: str) -> None:
    assert refused(folder, text, name) == [
        f"{name}: the file is empty; describe a deployment in it; the folder examples shows how"
    ]


def test_a_toml_file_of_comments_is_an_empty_table(tmp_path: pathlib.Path) -> None:
    (tmp_path / "spec.toml").write_text("# nothing\n")
    assert read_source(tmp_path / "spec.toml").data == {}


def test_a_file_of_the_greatest_size_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "spec.toml").write_text("a = 1\n#".ljust(MAX_BYTES, "x"))
    assert read_source(tmp_path / "spec.toml").data == {"a": 1}


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 10_000_000])
def test_a_larger_file_is_refused_unparsed(folder: pathlib.Path, size: int) -> None:
    assert refused(folder, b"\xff" * size) == [
        "spec.toml: the file is larger than 4 MiB; give a spec; models and logs do not belong in one"
    ]


def test_invalid_utf_8_is_refused_at_its_first_byte(folder: pathlib.Path) -> None:
    assert refused(folder, 'a = 1\nb = "é'.encode() + b'\xff"\n') == [
        "spec.toml:2:7: byte 0xff is not UTF-8 text; save the file as UTF-8"
    ]


@pytest.mark.parametrize("name", ["spec.toml", "spec.json"])
def test_a_byte_order_mark_is_refused(folder: pathlib.Path, name: str) -> None:
    assert refused(folder, b"\xef\xbb\xbf{}", name) == [
        f"{name}:1:1: the file begins with a byte order mark; save it as UTF-8 without BOM"
    ]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_json_number_that_is_not_finite_is_refused(folder: pathlib.Path, number: str) -> None:
    assert refused(folder, f'{{"a": [1,\n {number}]}}', "spec.json") == [
        "spec.json:2:2: a[1]: this number is not finite; write a smaller number; JSON has no NaN and Infinity"
    ]


@pytest.mark.parametrize("text", ["[1]", "3", '"x"', "null"])
def test_a_json_text_that_is_no_object_is_refused(folder: pathlib.Path, text: str) -> None:
    assert refused(folder, text, "spec.json") == [
        "spec.json:1:1: the top level is not an object; write { … } around it"
    ]


def test_dates_and_infinities_of_toml_are_left_to_the_schema(tmp_path: pathlib.Path) -> None:
    (tmp_path / "spec.toml").write_text("a = 1979-05-27\nb = inf\nc = nan\n")
    assert set(read_source(tmp_path / "spec.toml").data) == {"a", "b", "c"}


@pytest.mark.parametrize(("name", "text"), [("spec.toml", 'a = "\\u0000"'), ("spec.json", '{"a": "\\u0000"}')])
def test_an_escaped_nul_is_refused_because_nix_cannot_hold_it(folder: pathlib.Path, name: str, text: str) -> None:
    assert refused(folder, text, name)[0].endswith("a: this text holds a NUL character; remove it; Nix cannot hold it")


def test_half_a_surrogate_pair_is_refused_in_values_and_keys(folder: pathlib.Path) -> None:
    problems = refused(folder, '{"a": "\\ud800",\n "\\udfff": 1}', "spec.json")
    assert [problem.split(": ")[0] for problem in problems] == ["spec.json:1:7", "spec.json:2:2"]
    "\n".join(problems).encode()


def test_all_values_that_nix_cannot_hold_are_told_at_once(folder: pathlib.Path) -> None:
    assert len(refused(folder, '{"a": 1e999, "b": "\\u0000", "c": 9223372036854775808}', "spec.json")) == 3


def test_a_value_is_located_and_so_is_its_key(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text("[a]\nb = [1, 2]\n")
    source = read_source(path)
    assert source.locate(("a", "b", 1)) == Location(str(path), 2, 9)
    assert source.locate(("a", "b"), key=True) == Location(str(path), 2, 1)


def test_what_is_not_there_is_located_at_the_nearest_table(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text("x = 1\n[a]\nb = 1\n")
    source = read_source(path)
    assert source.locate(("a", "c", "d"), key=True) == Location(str(path), 2, 1)
    assert source.locate(("z",)) == Location(str(path), 1, 1)


def test_a_problem_of_a_source_has_place_and_path(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text('{"my key": {"a": 1}}')
    problem = read_source(path).problem(("my key", "a"), "is wrong", "correct it")
    assert str(problem) == f'{path}:1:18: "my key".a: is wrong; correct it'


@given(content=st.one_of(st.binary(), st.text().map(str.encode)), name=st.sampled_from(["spec.toml", "spec.json"]))
def test_arbitrary_content_is_read_or_refused(folder: pathlib.Path, content: bytes, name: str) -> None:
    (folder / name).write_bytes(content)
    try:
        source = read_source(folder / name)
    except SpecError as error:
        assert error.problems  # noqa: PT017 - either outcome is right
        assert all(problem.what and problem.hint for problem in error.problems)  # noqa: PT017
    else:
        assert isinstance(source.data, dict)
