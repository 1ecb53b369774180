"""What vLLM answers without its key: the product says the same everywhere, and opens nothing of it that computes."""

from __future__ import annotations

import json
import re

import pytest

from generator.catalog.endpoints import open_endpoints
from tests.nix_program import ROOT

SCHEMA = json.loads((ROOT / "schema" / "deployment.schema.json").read_text())


def service_fields() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = SCHEMA["properties"]["services"]["additionalProperties"]["properties"]
    return found


def test_an_engine_that_was_never_asked_is_not_known() -> None:
    with pytest.raises(KeyError):
        open_endpoints("ollama")


def test_a_path_is_open_for_one_reason() -> None:
    known = open_endpoints("vllm")
    paths = [*known.computes, *known.changes, *known.tells]
    assert sorted(set(paths)) == sorted(paths)


def test_the_gateway_may_open_only_what_tells() -> None:
    known = open_endpoints("vllm")
    items = service_fields()["open_paths"]["items"]
    assert isinstance(items, dict)
    assert set(items["enum"]) <= set(known.tells)
    options = (ROOT / "nix" / "services" / "llm" / "gateway-options.nix").read_text()
    listed = re.search(r"openPaths = .*?enum \[(.*?)\]", options, re.DOTALL)
    assert listed is not None
    assert re.findall(r'"(/[^"]*)"', listed[1]) == items["enum"]


@pytest.mark.parametrize("path", ["docs/decisions.md", "nix/services/llm/README.md", "nix/services/llm/options.nix"])
def test_people_are_told_of_all_that_computes_or_changes(path: str) -> None:
    known = open_endpoints("vllm")
    text = (ROOT / path).read_text()
    assert [name for name in (*known.computes, *known.changes) if name not in text] == []


def test_the_schema_tells_of_all_that_computes_or_changes() -> None:
    known = open_endpoints("vllm")
    for field in ("accept", "open_paths"):
        text = str(service_fields()[field]["description"])
        assert [name for name in (*known.computes, *known.changes) if name not in text] == []
