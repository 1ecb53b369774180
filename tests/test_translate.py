"""What a schema has against a spec, in our words: each kind of error has its place, and says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schemas import KINDS, PORT, SERVICE, closed, in_json, toml, value


def test_an_unknown_key_is_told_at_its_own_place_with_the_likeliest_key() -> None:
    assert toml("host = 'a'\nprot = 1\n", SERVICE) == ['2:1: prot: unknown key "prot"; did you mean "port"?']


@pytest.mark.parametrize(("key", "meant"), [("Port", "port"), ("MAX_LEN", "max-len")])
def test_a_key_in_other_letters_or_with_underscores_is_recognised(key: str, meant: str) -> None:
    assert f'did you mean "{meant}"?' in toml(f"{key} = 1", closed({"port": {}, "max-len": {}}))[0]


def test_an_unknown_key_like_no_other_is_told_with_the_allowed_keys() -> None:
    assert toml("zzz = 1", SERVICE) == ['1:1: zzz: unknown key "zzz"; the keys here are port, host, engine']


def test_each_unknown_key_is_a_problem_of_its_own() -> None:
    assert len(toml("a1 = 1\nb2 = 1\n[c3]\n", SERVICE)) == 3


def test_an_unknown_key_where_patterns_name_the_keys_is_told_the_pattern() -> None:
    schema = {"additionalProperties": False, "patternProperties": {"^x-[a-z]$": {}}}
    assert toml("y = 1\nx-a = 1", schema) == ['1:1: y: unknown key "y"; keys here match ^x-[a-z]$']


def test_an_unknown_key_where_no_keys_are_is_told_to_go() -> None:
    assert toml("y = 1", closed({})) == ['1:1: y: unknown key "y"; remove it']


def test_an_unevaluated_key_is_an_unknown_key() -> None:
    schema = {"allOf": [{"properties": {"a": {}}}], "properties": {"port": {}}, "unevaluatedProperties": False}
    assert toml("a = 1\nprot = 1", schema) == ['2:1: prot: unknown key "prot"; did you mean "port"?']


def test_a_key_that_is_not_bare_is_quoted_in_the_path() -> None:
    schema = {"properties": {"a b": {"properties": {"c": PORT}}}}
    assert toml('["a b"]\nc = 0\n', schema) == ['2:5: "a b".c: 0 is less than 1; write 1 or more']


def test_an_item_of_an_array_has_its_number_in_the_path() -> None:
    assert toml("a = [1,\n 0]", {"properties": {"a": {"items": PORT}}}) == [
        "2:2: a[1]: 0 is less than 1; write 1 or more"
    ]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ('"8000"', "integer", 'expected integer, got string "8000"; write 8000'),
        ("1.0", "integer", "expected integer, got float 1.0; write 1"),
        ("1.5", "integer", "expected integer, got float 1.5; write an integer"),
        ("true", "integer", "expected integer, got boolean true; write an integer"),
        ("true", "number", "expected number, got boolean true; write a number"),
        ('"0.5"', "number", 'expected number, got string "0.5"; write 0.5'),
        ('"yes"', "boolean", 'expected boolean, got string "yes"; write true'),
        ("0", "boolean", "expected boolean, got integer 0; write false"),
        ("8000", "string", 'expected string, got integer 8000; write "8000"'),
        ("true", "string", 'expected string, got boolean true; write "true"'),
        ("[1]", "string", "expected string, got array; write a string"),
        ("{}", "string", "expected string, got table; write a string"),
        ('"a"', "array", 'expected array, got string "a"; write ["a"]'),
        ('"a"', "object", 'expected table, got string "a"; write a table'),
        ('"a"', ["integer", "null"], 'expected integer, got string "a"; write an integer'),
        ("[]", ["integer", "string"], "expected integer or string, got array; write an integer or string"),
    ],
)
def test_a_wrong_type_is_told_with_what_was_probably_meant(text: str, kind: Any, expected: str) -> None:  # noqa: ANN401
    assert value(text, {"type": kind}) == [expected]


def test_a_wrong_type_that_means_nothing_is_told_the_example() -> None:
    assert value('"many"', PORT) == ['expected integer, got string "many"; write e.g. 8000']


def test_json_calls_a_table_an_object_and_knows_null() -> None:
    assert in_json('{"v": null}', {"properties": {"v": {"type": "object"}}}) == [
        "1:7: v: expected object, got null; write an object"
    ]


def test_a_float_is_a_number() -> None:
    assert value("1.5", {"type": "number"}) == []


@pytest.mark.parametrize(
    ("text", "kind", "better"),
    [
        ("1979-05-27", "date", "1979-05-27"),
        ("07:32:00", "time", "07:32:00"),
        ("1979-05-27T07:32:00Z", "date and time", "1979-05-27T07:32:00+00:00"),
    ],
)
def test_a_date_is_a_wrong_type(text: str, kind: str, better: str) -> None:
    assert value(text, {"type": "string"}) == [f'expected string, got {kind} {better}; write "{better}"']


def test_a_date_where_anything_goes_is_refused_because_json_has_none() -> None:
    assert value("1979-05-27", {}) == ["1979-05-27 is a date; put quotes around it"]


@pytest.mark.parametrize("text", ["inf", "-inf", "nan"])
def test_a_float_that_is_not_finite_is_no_number(text: str) -> None:
    schema = {"type": "number", "minimum": 0, "multipleOf": 0.5}
    assert value(text, schema) == [f"expected number, got float {text}; write a number"]
    assert value(text, {}) == [f"{text} is not a finite number; write a finite number"]


def test_a_wrong_choice_is_told_with_the_likeliest() -> None:
    assert toml('engine = "vlm"', SERVICE) == [
        '1:10: engine: "vlm" is not one of the allowed values; did you mean "vllm"?'
    ]


def test_a_wrong_choice_like_no_other_is_told_with_all() -> None:
    assert toml('engine = "x"', SERVICE) == [
        '1:10: engine: "x" is not one of the allowed values; write one of "vllm", "llama-cpp", "sglang"'
    ]


def test_a_wrong_type_says_it_all_where_a_choice_is_wrong_too() -> None:
    assert value("3", {"type": "string", "enum": ["a", "b"]}) == ['expected string, got integer 3; write "3"']


def test_a_wrong_constant_is_told_with_the_right_one() -> None:
    assert value("2", {"const": 1}) == ["expected 1, got 2; write 1"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"description": "Lower-case\n letters."}, "Lower-case letters"),
        ({"description": "Name", "x-hint": "write lower-case letters"}, "write lower-case letters"),
        ({}, "write a string that matches ^[a-z]+$"),
    ],
)
def test_a_wrong_form_is_told_in_words_if_the_schema_has_some(words: dict[str, str], hint: str) -> None:
    assert value('"A"', {"pattern": "^[a-z]+$", **words}) == [f'"A" has the wrong form; {hint}']


@pytest.mark.parametrize(
    ("text", "rule", "expected"),
    [
        ("0", {"minimum": 1}, "0 is less than 1; write 1 or more"),
        ("99999", {"maximum": 65535}, "99999 is more than 65535; write 65535 or less"),
        ("0", {"exclusiveMinimum": 0}, "0 is not more than 0; write more than 0"),
        ("1.0", {"exclusiveMaximum": 1}, "1.0 is not less than 1; write less than 1"),
        ("100", {"multipleOf": 16}, "100 is not a multiple of 16; write e.g. 96 or 112"),
        ("0.3", {"multipleOf": 0.25}, "0.3 is not a multiple of 0.25; write a multiple of it"),
        ('""', {"minLength": 1}, "this string is empty; give it at least 1 character"),
        ('"a"', {"minLength": 2}, '"a" is too short: 1 character; give it at least 2 characters'),
        ('"abc"', {"maxLength": 2}, '"abc" is too long: 3 characters; give it at most 2 characters'),
        ("[]", {"minItems": 1}, "this array is empty; give it at least 1 item"),
        ("[1, 2]", {"maxItems": 1}, "this array is too long: 2 items; give it at most 1 item"),
        ("{}", {"minProperties": 1}, "this table is empty; give it at least 1 key"),
        ("{a = 1, b = 2}", {"maxProperties": 1}, "this table is too large: 2 keys; give it at most 1 key"),
        ("3", {"not": {"const": 3}}, 'the schema\'s rule is not: {"const": 3}'),
        ("3", {"not": {"const": 3}, "x-hint": "write any other"}, "3 is not allowed here; write any other"),
        ("[1]", {"contains": {"const": 3}}, 'the schema\'s rule is contains: {"const": 3}'),
    ],
)
def test_a_value_beyond_a_bound_is_told_the_bound(text: str, rule: dict[str, Any], expected: str) -> None:
    problems = value(text, rule)
    assert len(problems) == 1
    assert problems[0].endswith(expected)


def test_a_value_where_none_may_be_is_told_to_go() -> None:
    assert toml("v = 3", {"properties": {"v": False}}) == ["1:5: v: 3 is not allowed here; remove it"]


def test_an_item_that_is_in_a_list_twice_is_told_at_its_second_place() -> None:
    assert toml('v = ["a", "b",\n "a"]', {"properties": {"v": {"uniqueItems": True}}}) == [
        '2:2: v[2]: "a" is in the list twice; remove it; it is already item 1'
    ]


def test_items_that_are_equal_but_not_written_alike_are_a_problem_too() -> None:
    assert len(value("[1, 1.0]", {"uniqueItems": True})) == 1


def test_a_missing_key_is_told_at_its_table_with_an_example() -> None:
    schema = {"properties": {"t": closed({"port": PORT}, required=["port"])}}
    assert toml("x = 1\n[t]\n", schema) == ['2:1: t: missing key "port"; add e.g. port = 8000']


def test_a_missing_key_of_json_is_told_as_json_is_written() -> None:
    assert in_json("{}", closed({"port": PORT}, required=["port"])) == [
        '1:1: missing key "port"; add e.g. "port": 8000'
    ]


@pytest.mark.parametrize(
    ("below", "hint"),
    [
        ({"enum": ["a", "b"]}, 'add e.g. k = "a"'),
        ({"type": "object"}, "add a table [k]"),
        ({"type": "object", "examples": [{"a": 1, "b c": [True]}]}, 'add e.g. k = { a = 1, "b c" = [true] }'),
        ({"description": "The key."}, "add it: The key"),
        ({}, "add it"),
    ],
)
def test_a_missing_key_without_example_is_told_what_the_schema_tells(below: dict[str, Any], hint: str) -> None:
    assert toml("", closed({"k": below}, required=["k"])) == [f'1:1: missing key "k"; {hint}']


def test_all_missing_keys_are_told_once_each() -> None:
    assert len(toml("", {"required": ["a", "b", "c"]})) == 3


def test_a_wrong_key_is_told_at_the_key() -> None:
    schema = {"properties": {"m": {"propertyNames": {"pattern": "^[a-z]+$", "x-hint": "use lower case"}}}}
    assert toml("[m]\nok = 1\nNO = 2\n", schema) == ['3:1: m.NO: key "NO" has the wrong form; use lower case']


def test_a_key_that_another_one_needs_is_told_at_the_other() -> None:
    schema = {"properties": {"port": PORT}, "dependentRequired": {"host": ["port"], "x": ["port"]}}
    assert toml("a = 1\nhost = 'h'\n", schema) == ['2:1: host: key "host" needs key "port"; add e.g. port = 8000']


def test_a_condition_s_missing_key_has_the_example_of_the_whole_schema() -> None:
    schema = {
        "properties": {
            "t": closed({"a": {}, "port": PORT}) | {"if": {"required": ["a"]}, "then": {"required": ["port"]}}
        }
    }
    assert toml("[t]\na = 1\n", schema) == ['1:1: t: missing key "port"; add e.g. port = 8000']
    assert toml("[t]\n", schema) == []


def test_of_several_forms_the_one_that_was_meant_is_judged() -> None:
    assert toml('[v]\nkind = "nix"\natr = "a"\nattr = "b"\n', {"properties": {"v": KINDS}}) == [
        '3:1: v.atr: unknown key "atr"; did you mean "attr"?'
    ]


def test_of_several_forms_that_a_key_tells_apart_all_its_values_are_told() -> None:
    assert toml('[v]\nkind = "imag"\nattr = "b"\n', {"properties": {"v": KINDS}}) == [
        '2:8: v.kind: "imag" is not one of the allowed values; did you mean "image"?'
    ]


def test_of_several_types_all_are_told() -> None:
    assert value("{}", {"anyOf": [{"type": "string"}, {"type": "integer"}]}) == [
        "expected string or integer, got table; write a string or integer"
    ]


def test_of_several_types_the_one_that_fits_is_judged() -> None:
    assert value("0", {"anyOf": [{"type": "string"}, PORT]}) == ["0 is less than 1; write 1 or more"]


def test_forms_within_forms_are_judged() -> None:
    schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [PORT, {"type": "boolean"}]}}]}
    assert toml("v = [1,\n 0]", {"properties": {"v": schema}}) == ["2:2: v[1]: 0 is less than 1; write 1 or more"]


def test_a_value_of_two_forms_where_one_is_allowed_is_a_problem() -> None:
    assert len(value("3", {"oneOf": [{"type": "integer"}, {"minimum": 1}]})) == 1
