"""References and patterns of a schema mean what they mean."""

from __future__ import annotations

import json

from tests.schemas import PORT, closed, toml, value


def test_the_end_of_a_pattern_is_not_before_a_last_line_feed() -> None:
    assert value('"a\\n"', {"pattern": "^[a-z]+$"}) == [
        '"a\\n" has the wrong form; write a string that matches ^[a-z]+$'
    ]


def test_digits_of_a_pattern_are_the_ten_of_ascii() -> None:
    assert value('"1"', {"pattern": r"^\d$"}) == []
    assert len(value('"\u0661"', {"pattern": r"^\d$"})) == 1


def test_a_dollar_that_is_escaped_or_in_a_class_means_itself() -> None:
    assert value('"$$"', {"pattern": r"^\$[$]$"}) == []


def test_references_are_followed_and_may_have_a_description_of_their_own() -> None:
    schema = {"$defs": {"a/b": PORT}, "properties": {"v": {"$ref": "#/$defs/a~1b", "description": "d"}}}
    assert toml("v = 0", schema) == ["1:5: v: 0 is less than 1; write 1 or more"]


def test_a_reference_with_rules_beside_it_keeps_both() -> None:
    schema = {"$defs": {"port": PORT}, "properties": {"v": {"$ref": "#/$defs/port", "minimum": 1024}}}
    assert toml("v = 80", schema) == ["1:5: v: 80 is less than 1024; write 1024 or more"]
    assert toml("v = 70000", schema) == ["1:5: v: 70000 is more than 65535; write 65535 or less"]


def test_a_schema_that_contains_itself_is_followed() -> None:
    schema = {"$defs": {"tree": closed({"child": {"$ref": "#/$defs/tree"}, "port": PORT})}, "$ref": "#/$defs/tree"}
    assert toml("child.child.child.port = 0", schema) == [
        "1:26: child.child.child.port: 0 is less than 1; write 1 or more"
    ]


def test_the_given_schema_is_not_changed() -> None:
    schema = {"$defs": {"p": {"pattern": "^a$"}}, "properties": {"v": {"$ref": "#/$defs/p"}}}
    before = json.dumps(schema)
    toml("v = 'b'", schema)
    assert json.dumps(schema) == before
