"""What the catalog knows of an engine's paths: which it answers without its key."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PATH = Path(__file__).resolve().parent / "endpoints.toml"


@dataclass(frozen=True, slots=True)
class OpenEndpoints:
    """Paths that an engine with a key answers without it: where it computes, where it is changed, what only tells."""

    computes: tuple[str, ...]
    changes: tuple[str, ...]
    tells: tuple[str, ...]


@cache
def open_endpoints(engine: str) -> OpenEndpoints:
    """Return what an engine leaves open. Raises KeyError for one that was never asked: it is not known."""
    entry = tomllib.loads(_PATH.read_text(encoding="utf-8"))[engine]
    return OpenEndpoints(*(tuple(entry[name]) for name in ("computes", "changes", "tells")))
