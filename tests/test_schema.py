"""A spec against a schema: the same verdict as jsonschema's, with the values that are wrong."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import SpecError
from generator.spec.schema import validate
from generator.spec.source import Source, read_source
from tests.schemas import KINDS, PORT, SERVICE, closed, toml, value

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping


def wrong_paths(text: str, schema: Mapping[str, Any]) -> list[tuple[str | int, ...]]:
    return validate(Source("s", text, "toml", tomllib.loads(text)), schema)[1]


def test_a_right_spec_has_no_problems() -> None:
    assert toml('port = 1\nhost = "a"\nengine = "vllm"\n', SERVICE) == []


def test_the_path_of_a_wrong_value_is_told() -> None:
    assert wrong_paths("port = 0", SERVICE) == [("port",)]


def test_the_path_of_a_table_that_lacks_a_key_is_told() -> None:
    assert wrong_paths("[t]", {"properties": {"t": {"required": ["k"]}}}) == [("t",)]


@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
def test_a_table_with_an_unknown_key_is_no_wrong_value(keyword: str) -> None:
    assert wrong_paths("a = 1", {keyword: False}) == []


def test_what_a_wrong_key_names_is_a_wrong_value() -> None:
    assert wrong_paths("A = 1\nb = 1", {"propertyNames": {"pattern": "^[a-z]$"}}) == [("A",)]


def test_a_date_is_a_wrong_value_even_where_anything_goes() -> None:
    assert wrong_paths("[t]\na = [1979-05-27]", {}) == [("t", "a", 0)]


def test_problems_are_sorted_by_place() -> None:
    problems = toml("z = 1\nport = 0\na = 1\nengine = 3\n", SERVICE)
    assert [problem.split(":")[0] for problem in problems] == ["1", "2", "3", "4"]


def test_a_long_value_of_many_lines_is_shown_short_and_on_one_line() -> None:
    (problem,) = value('"""' + "line\\n" * 1000 + '"""', {"type": "integer"})
    assert problem.isprintable()
    assert len(problem) < 150


def test_no_text_of_jsonschema_reaches_a_person() -> None:
    text, schema = "port = 'x'\nextra = 1\n", closed({"port": PORT, "k": {}}, required=["k"])
    raw = {error.message for error in jsonschema.Draft202012Validator(schema).iter_errors({"port": "x", "extra": 1})}
    assert len(raw) == 3
    assert not any(message in problem for message in raw for problem in toml(text, schema))


# Without what we judge otherwise than jsonschema on purpose: whole floats, and a last line feed under a pattern.
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-99, 99).map(lambda number: number + 0.25),
        st.text(st.characters(exclude_characters="\n"), max_size=6),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


NAMES = st.sampled_from(["port", "host", "engine", "prot", "source", "tags", "m"])


WIDE = closed(
    {
        "port": PORT,
        "host": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2},
        "engine": {"enum": ["vllm", 1, None]},
        "source": KINDS,
        "tags": {"type": "array", "uniqueItems": True, "minItems": 1, "items": {"anyOf": [PORT, {"type": "string"}]}},
        "m": {
            "propertyNames": {"maxLength": 2},
            "additionalProperties": {"type": ["number", "null"], "multipleOf": 0.5},
        },
    },
    required=["host"],
    dependentRequired={"port": ["host"]},
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_a_spec_has_problems_if_and_only_if_jsonschema_has_errors(data: dict[str, Any]) -> None:
    text = json.dumps(data)
    errors = list(jsonschema.Draft202012Validator(WIDE).iter_errors(data))
    problems, _ = validate(Source("s", text, "json", data), WIDE)
    assert bool(problems) == bool(errors)
    assert all(problem.location.line == 1 and str(problem).isprintable() for problem in problems)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("schema")


TOML_TABLES = st.dictionaries(
    NAMES,
    st.one_of(
        st.integers(-9, 9),
        st.floats(),
        st.text(max_size=4),
        st.dates(),
        st.datetimes(),
        st.lists(st.one_of(st.booleans(), st.dates(), st.floats()), max_size=3),
        st.dictionaries(st.text(max_size=4), st.dates(), max_size=2),
    ),
)


@given(TOML_TABLES)
def test_any_toml_table_with_dates_and_infinities_is_judged(folder: pathlib.Path, data: dict[str, Any]) -> None:
    (folder / "spec.toml").write_text(tomli_w.dumps(data), encoding="utf-8", newline="")
    try:
        source = read_source(folder / "spec.toml")
    except SpecError:
        return
    problems, wrong = validate(source, WIDE)
    assert problems == sorted(problems)
    assert all(problem.what and problem.hint and problem.location.line for problem in problems)
    assert problems or not wrong
    if not problems:
        json.dumps(source.data, allow_nan=False)
