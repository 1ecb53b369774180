"""Nix text: what Nix reads from it is the value, and a person is content to read it."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from generator.emit.nix_text import Code, Commented, Dotted, print_nix

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Nix

KEYWORDS = ("assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with")
STRINGS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.text("$${}\\\"\n\r\t' ab#*/", max_size=12),
)
NAMES = st.one_of(
    STRINGS, st.sampled_from([*KEYWORDS, "outPath", "__toString", "type", "null", "a-b", "a'", "-a", "1a"])
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(
        [-(2**63), 2**63 - 1, -1, -0.0, 5e-324, -5e-324, sys.float_info.min, sys.float_info.max, 1e-07, 1e16]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
    STRINGS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=10,
)
# Nix prints floats with as few as six digits (2.8), sets with an outPath as that path alone, and -0.0 == 0.0: so Nix
# itself takes every value apart here. A float becomes the integer of 53 bits and the power of two that make it, found
# by doubling and halving, which lose nothing; no printing and no reading of decimals takes part.
EXACT = """
let
  magnitude = f: if f < 0 then 0 - f else f;
  scale = f: n: builtins.seq n (
    if magnitude f >= 9007199254740992 then scale (f * 0.5) (n + 1)
    else if f != 0 && magnitude f < 4503599627370496 then scale (f * 2) (n - 1)
    else [ (builtins.floor f) n (builtins.substring 0 1 (builtins.toJSON f) == "-") ]
  );
  exact = value:
    if builtins.isFloat value then [ "float" (scale value 0) ]
    else if builtins.isList value then [ "list" (map exact value) ]
    else if builtins.isAttrs value then
      [ "set" (map (name: [ name (exact value.${name}) ]) (builtins.attrNames value)) ]
    else [ (builtins.typeOf value) value ];
in
"""
TYPES = {bool: "bool", int: "int", str: "string", type(None): "null"}


def exact(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    """Take a value apart as EXACT does."""
    if isinstance(value, float):
        mantissa, exponent = math.frexp(value)
        return ["float", [int(mantissa * 2**53), exponent - 53 if value else 0, math.copysign(1, value) < 0]]
    if isinstance(value, list):
        return ["list", [exact(item) for item in value]]
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode())
        return ["set", [[name, exact(value[name])] for name in names]]
    return [TYPES[type(value)], value]


def some_values(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Draw values to be handed to one Nix process together: a process for each would take minutes."""
    drawn: list[Any] = []

    @settings(max_examples=count, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def draw(value: Any) -> None:  # noqa: ANN401
        drawn.append(value)

    draw()
    return drawn


def evaluated(nix: Nix, folder: Path, texts: list[str]) -> list[Any]:
    """Return what Nix reads from each text, taken apart."""
    file = folder / "values.nix"
    file.write_text(f"{EXACT}[\n" + "".join(f"(exact (\n{text}\n))\n" for text in texts) + "]\n", encoding="utf-8")
    results: list[Any] = nix.evaluate(f"import {file}")
    return results


def parses(text: str) -> bool:
    import tree_sitter_nix
    from tree_sitter import Language, Parser

    return not Parser(Language(tree_sitter_nix.language())).parse(text.encode()).root_node.has_error


def test_every_value_is_read_back_by_nix_as_itself(nix: Nix, tmp_path: Path) -> None:
    values = some_values(VALUES, 600)
    assert len(values) > 200
    for value, found in zip(values, evaluated(nix, tmp_path, [print_nix(value) for value in values]), strict=True):
        assert found == exact(value), f"{value!r} was printed as {print_nix(value)}"


def test_every_value_is_read_back_from_dotted_and_commented_bindings(nix: Nix, tmp_path: Path) -> None:
    sets = some_values(st.dictionaries(NAMES, VALUES, max_size=4), 200)
    comments = some_values(STRINGS, 200)
    texts = [print_nix(Dotted(value)) for value in sets]
    texts += [
        print_nix({name: Commented(inner, comment) for name, inner in value.items()}, indent=2)
        for value, comment in zip(sets, comments, strict=False)
    ]
    expected = [exact(value) for value in [*sets, *sets[: len(texts) - len(sets)]]]
    assert evaluated(nix, tmp_path, texts) == expected


@given(VALUES)
def test_every_value_parses(value: object) -> None:
    assert parses(print_nix(value))


@pytest.mark.parametrize("text", ["{ a = 1 }", '"${"', "[ 1 2"])
def test_the_parser_of_the_test_before_refuses_what_is_no_nix(text: str) -> None:
    assert not parses(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (-1, "-1"),
        (-(2**63), "(-9223372036854775807 - 1)"),
        (2**63 - 1, "9223372036854775807"),
        (0.5, "0.5"),
        (1e-07, "1.0e-07"),
        (1e16, "1.0e+16"),
        (-0.0, "(0.0 * -1)"),
        ("", '""'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("a\nb\r\tc", r'"a\nb\r\tc"'),
        ("${x} $x $", r'"\${x} $x $"'),
        ("$${x}", r'"\$\${x}"'),
        ("caf\u00e9 \x1b", '"caf\u00e9 \x1b"'),
        ({}, "{ }"),
        ([], "[ ]"),
        ((), "[ ]"),
        ([1], "[ 1 ]"),
        ([-1], "[ (-1) ]"),
        ([[]], "[ [ ] ]"),
    ],
)
def test_simple_values(value: object, text: str) -> None:
    assert print_nix(value) == text


def test_sets_have_one_binding_a_line_and_lists_one_item() -> None:
    value = {"a": 1, "b": {"c": [1, -2], "d": [{"e": "f"}]}}
    assert print_nix(value) == (
        "{\n  a = 1;\n  b = {\n    c = [\n      1\n      (-2)\n    ];\n"
        '    d = [\n      {\n        e = "f";\n      }\n    ];\n  };\n}'
    )


@pytest.mark.parametrize("name", [*KEYWORDS, "", "a b", "1a", "-a", "a.b", 'a"b', "${a}", "caf\u00e9"])
def test_names_are_quoted_where_they_must_be(name: str) -> None:
    assert print_nix({name: 1}) == f"{{\n  {print_nix(name)} = 1;\n}}"


@pytest.mark.parametrize("name", ["a", "_a", "a-b", "a'", "A1", "true", "false", "null", "import", "orx"])
def test_names_are_not_quoted_where_they_need_not_be(name: str) -> None:
    assert print_nix({name: 1}) == f"{{\n  {name} = 1;\n}}"


def test_inputs_of_a_flake_read_as_a_person_would_write_them() -> None:
    inputs = {
        "nixpkgs": {"url": "github:NixOS/nixpkgs/nixos-unstable"},
        "disko": {"url": "github:nix-community/disko", "inputs": {"nixpkgs": {"follows": "nixpkgs"}}},
    }
    flake = {
        "description": "A flake",
        "inputs": Commented(Dotted(inputs), "All of them\nfollow one nixpkgs."),
        "outputs": Commented(Code("inputs:\n\nimport ./flake {\n  inherit inputs;\n}")),
    }
    assert (
        print_nix(flake)
        == """{
  description = "A flake";

  # All of them
  # follow one nixpkgs.
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    disko = {
      url = "github:nix-community/disko";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    inputs:

    import ./flake {
      inherit inputs;
    };
}"""
    )


def test_a_comment_inside_a_dotted_set_keeps_its_binding() -> None:
    assert print_nix(Dotted({"a": {"b": Commented(1, "why")}})) == "{\n  a = {\n    # why\n    b = 1;\n  };\n}"


@given(STRINGS)
def test_a_comment_cannot_end_early(comment: str) -> None:
    text = print_nix({"a": Commented(1, comment)})
    *above, binding, closing = text.split("\n")[1:]
    assert (binding, closing) == ("  a = 1;", "}")
    assert all(line.startswith("  #") and "\r" not in line for line in above)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("./local.nix", "[ ./local.nix ]"),
        ("pkgs.hello", "[ pkgs.hello ]"),
        ("import ./a.nix ./.", "[ (import ./a.nix ./.) ]"),
        ("x:x", "[ (x:x) ]"),
        ("-1", "[ (-1) ]"),
    ],
)
def test_code_in_a_list_is_one_item(code: str, text: str) -> None:
    assert print_nix([Code(code)]) == text


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_nix_cannot_hold_is_refused_everywhere(text: str) -> None:
    for value in (text, [text], {text: 1}, {"a": Commented(1, text)}):
        with pytest.raises(ValueError, match=r"NUL character|lone surrogate"):
            print_nix(value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, math.inf, -math.inf, math.nan])
def test_numbers_that_nix_cannot_hold_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"64 bit|Nix has no"):
        print_nix(value)


@pytest.mark.parametrize("value", [b"ab", {1, 2}, object(), [Commented(1)], {1: 2}])
def test_values_of_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="Nix"):
        print_nix(value)
