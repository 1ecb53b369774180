"""What the catalog knows of network interfaces: who reaches one, told by its name."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

_PATH = Path(__file__).resolve().parent / "interfaces.toml"


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    entries = tomllib.loads(_PATH.read_text(encoding="utf-8"))["interface"]
    return tuple((re.compile(entry["pattern"]), entry["reach"]) for entry in entries)


def reach(name: str) -> str | None:
    """Return who reaches an interface of this name, "private" or "public", None where its name does not tell."""
    return next((reached for pattern, reached in _patterns() if pattern.fullmatch(name)), None)
