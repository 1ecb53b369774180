"""Small schemas, and what is said of a text that breaks one."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from generator.spec.schema import validate
from generator.spec.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = {"type": "integer", "minimum": 1, "maximum": 65535, "examples": [8000]}


def closed(properties: Mapping[str, Any], **rules: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "object", "additionalProperties": False, "properties": properties, **rules}


SERVICE = closed({"port": PORT, "host": {"type": "string"}, "engine": {"enum": ["vllm", "llama-cpp", "sglang"]}})


KINDS = {
    "oneOf": [
        closed({"kind": {"const": "image"}, "image": {"type": "string"}}, required=["kind", "image"]),
        closed({"kind": {"const": "nix"}, "attr": {"type": "string"}}, required=["kind", "attr"]),
    ]
}


def toml(text: str, schema: Mapping[str, Any]) -> list[str]:
    """Return the problems of a TOML text, without the file's name."""
    source = Source("s", text, "toml", tomllib.loads(text))
    return [str(problem).removeprefix("s:") for problem in validate(source, schema)[0]]


def in_json(text: str, schema: Mapping[str, Any]) -> list[str]:
    """Return the problems of a JSON text, without the file's name."""
    source = Source("s", text, "json", json.loads(text))
    return [str(problem).removeprefix("s:") for problem in validate(source, schema)[0]]


def value(text: str, schema: Mapping[str, Any]) -> list[str]:
    """Return the problems of one TOML value, without place and path."""
    problems = toml(f"v = {text}", {"properties": {"v": schema}})
    assert all(problem.startswith("1:5: v: ") for problem in problems)
    return [problem.removeprefix("1:5: v: ") for problem in problems]
