"""docs/spec.md: the spec's reference in Markdown, from the schema and the catalog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from generator import resources
from generator.catalog.load import hardware, hardware_descriptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """<!-- Generated from the schema and the catalog: pytest tests/test_reference.py --update-golden -->
# The spec

A spec is TOML or JSON. Every key that is not here is an error, as is a value of another type. Editors complete it
through `#:schema ../schema/deployment.schema.json` in the first line.
"""


def reference() -> str:
    """Return the text of docs/spec.md."""
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))
    return "\n".join([_HEAD, *_table("", schema), *_hardware()]).rstrip() + "\n"


def _table(path: str, schema: dict[str, Any]) -> Iterator[str]:
    required = set(schema.get("required", ()))
    inner: list[tuple[str, dict[str, Any]]] = []
    if path:
        yield from (f"## `[{path}]`", "", schema["description"], "")
    yield from ("| key | type | default | |", "| --- | --- | --- | --- |")
    for name, entry in schema["properties"].items():
        default = "required" if name in required else _code(entry["default"]) if "default" in entry else ""
        text = f"{_cell(entry['description'])} Example: {_code(entry['examples'][0])}"
        yield f"| `{name}` | {_kind(entry)} | {default} | {text} |"
        below = f"{path}.{name}" if path else name
        if "properties" in entry:
            inner.append((below, entry))
        elif isinstance(entry.get("additionalProperties"), dict) and "properties" in entry["additionalProperties"]:
            inner.append((f"{below}.<name>", entry["additionalProperties"]))
    yield ""
    for below, entry in inner:
        yield from _table(below, entry)


def _kind(entry: dict[str, Any]) -> str:
    if "enum" in entry:
        return " or ".join(_code(value) for value in entry["enum"])
    kinds: list[str] = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
    names = {"object": "table", "array": "list"}
    text = " or ".join(names.get(kind, kind) for kind in kinds)
    bounds = [f"{word} {entry[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in entry]
    return " ".join([text, *bounds])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(value: object) -> str:
    return f"`{_cell(json.dumps(value, ensure_ascii=False))}`"


def _hardware() -> Iterator[str]:
    yield from ("## Hardware of the catalog", "")
    yield from ("| name | | accelerator | target | memory |", "| --- | --- | --- | --- | --- |")
    for name, record in hardware().items():
        memory = f"{record.memory_mib // 1024} GiB{', shared with the CPU' if record.unified else ''}"
        yield f"| `{name}` | {hardware_descriptions()[name]} | {record.accelerator} | `{record.target}` | {memory} |"
