"""A schema without local references, whose patterns mean the same in Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: dict[str, Any] = {"not": {}}  # means false, of whose errors jsonschema does not tell the path
ABOUT_KEYS = frozenset({"additionalProperties", "propertyNames", "unevaluatedProperties"})
"""Keywords that say which keys a table may have, and nothing of the values."""

_ANNOTATIONS = {"$comment", "default", "deprecated", "description", "examples", "title", "x-hint"}
_SCHEMAS = {
    *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties"),
}
_LISTS_OF_SCHEMAS = {"allOf", "anyOf", "oneOf", "prefixItems"}
_MAPS_OF_SCHEMAS = {"$defs", "dependentSchemas", "patternProperties", "properties"}


def resolve(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a schema is a mapping or a boolean
    """Return a schema with every local reference replaced but for cycles: following them takes time."""
    return _Resolver(schema).resolve(dict(schema))


class _Resolver:
    """What was resolved of a root, and what is being resolved."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._done: dict[str, Any] = {}
        self._active: list[str] = []

    def resolve(self, node: Any) -> Any:  # noqa: ANN401 - a schema is a mapping or a boolean
        if not isinstance(node, dict):
            return NOTHING if node is False else node
        result = {keyword: self._convert(keyword, value) for keyword, value in node.items()}
        target = self._follow(result["$ref"]) if str(result.get("$ref", "")).startswith("#") else None
        if target is None:
            return result
        del result["$ref"]
        if isinstance(target, dict) and result.keys() <= _ANNOTATIONS:
            return target | result
        return {**result, "allOf": [*result.get("allOf", ()), target]} if result else target

    def _convert(self, keyword: str, value: Any) -> Any:  # noqa: ANN401
        if keyword in _SCHEMAS:
            return value if keyword in ABOUT_KEYS and value is False else self.resolve(value)
        if keyword in _LISTS_OF_SCHEMAS:
            return [self.resolve(item) for item in value]
        if keyword in _MAPS_OF_SCHEMAS:
            rename = _python_pattern if keyword == "patternProperties" else str
            return {rename(name): self.resolve(item) for name, item in value.items()}
        return _python_pattern(value) if keyword == "pattern" else value

    def _follow(self, reference: str) -> Any:  # noqa: ANN401
        if reference in self._active:
            return None
        if reference not in self._done:
            self._active.append(reference)
            target: Any = self._root
            for part in reference.split("/")[1:]:
                name = unquote(part).replace("~1", "/").replace("~0", "~")
                target = target[int(name)] if isinstance(target, list) else target[name]
            self._done[reference] = self.resolve(target)
            self._active.pop()
        return self._done[reference]


def _python_pattern(pattern: str) -> str:
    """Translate an ECMA pattern: in Python a dollar also matches before a last line feed, and 1 is not the only 1."""
    tokens = re.finditer(r"\\.|\[(?:\\.|[^\]\\])*\]|.", pattern, re.DOTALL)
    return "(?a:" + "".join(r"\Z" if token[0] == "$" else token[0] for token in tokens) + ")"
