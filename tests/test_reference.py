"""The schema: complete, closed, the same as the service's interface; and its reference is what docs/spec.md holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from generator import resources
from generator.emit.values import camel
from tests.nix_program import ROOT
from tests.reference import reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nix_program import Flakes

SCHEMA: dict[str, Any] = json.loads(resources.schema_path().read_text(encoding="utf-8"))


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema in a schema with its path."""
    yield path, schema
    for name, entry in schema.get("properties", {}).items():
        yield from nodes(entry, f"{path}.{name}")
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(keyword), dict):
            yield from nodes(schema[keyword], f"{path}.{keyword}")


ALL = list(nodes(SCHEMA))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"]


@pytest.mark.parametrize(("path", "entry"), ALL, ids=[path or "root" for path, _ in ALL])
def test_every_entry_has_a_description_a_type_and_an_example_that_it_accepts(path: str, entry: dict[str, Any]) -> None:
    assert entry["description"].endswith((".", "."))
    assert entry["type"]
    if path:
        assert entry["examples"]
        for example in entry["examples"]:
            Draft202012Validator(entry).validate(example)


@pytest.mark.parametrize(("path", "entry"), ALL, ids=[path or "root" for path, _ in ALL])
def test_every_table_is_closed(path: str, entry: dict[str, Any]) -> None:
    if "object" in entry["type"]:
        assert "additionalProperties" in entry, path
        assert entry["additionalProperties"] is not True


def test_the_reference_in_the_docs_is_the_schemas(*, update_golden: bool) -> None:
    path = ROOT / "docs" / "spec.md"
    if update_golden:
        path.write_text(reference(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == reference(), "to accept: pytest tests/test_reference.py --update-golden"


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_an_engines_table_is_the_options_of_the_service(flakes: Flakes, engine: str) -> None:
    lib = f"{flakes.stores['nixpkgs']}/lib"
    options = flakes.nix.evaluate(
        f"let o = (import {ROOT}/nix/services/llm/options.nix {{ lib = import {lib}; }}).server.{engine}; in "
        "builtins.mapAttrs (_: option: { inherit (option) example; choices = option.type.nestedTypes.elemType."
        "functor.payload.values or null; }) o"
    )
    properties = SCHEMA["properties"]["services"]["additionalProperties"]["properties"][engine]["properties"]
    assert {camel(name) for name in properties} == set(options)
    for name, entry in properties.items():
        if options[camel(name)]["choices"] is not None:
            assert entry.get("enum") == options[camel(name)]["choices"], name


def test_the_interface_has_no_free_form() -> None:
    for path in (ROOT / "nix").rglob("*.nix"):
        assert "freeformType" not in path.read_text(encoding="utf-8")
