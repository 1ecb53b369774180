"""JSON values by the names of Nix options."""

from __future__ import annotations

from typing import Any


def some(data: dict[str, Any]) -> dict[str, Any]:
    """Return what has a value: deployment.json holds no null."""
    return {name: value for name, value in data.items() if value is not None}


def camel(name: str) -> str:
    """Return a field's name as Nix options write it: ``max_model_len`` is ``maxModelLen``."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
