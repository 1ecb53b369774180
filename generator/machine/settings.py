# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""What the programs are told of one server: a JSON file that nix/lib/health.nix decides."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.machine.counters import Names
from generator.machine.known import Known


@dataclass(frozen=True, slots=True)
class Settings:
    """One server. Times are seconds unless their name says otherwise."""

    name: str
    unit: str  # without ".service"
    url: str
    model: str | None
    names: Names | None  # None: the engine serves no counters
    known: Known
    start_limit: float
    probe_interval: float
    hang_limit: float
    restarts: int
    fallback_unit: str | None
    reboot: bool
    reboot_interval_hours: float
    restart_after_requests: int | None
    restart_after_hours: float | None
    window: float = 7200.0  # of the unit's start limit, within which restarts are counted


def parse(text: str) -> Settings:
    """Build settings from JSON. Raises KeyError or TypeError when a key is missing or unknown."""
    data: dict[str, Any] = json.loads(text)
    names = data.pop("counters")
    known = Known(**{name: data.pop(name) for name in ("question", "answer", "max_tokens", "minimum_rate")})
    if names is not None:
        names = Names(**{**names, "progress": tuple(names["progress"])})
    return Settings(names=names, known=known, **data)


def read(path: str) -> Settings:
    """Read the settings file of a server."""
    return parse(Path(path).read_text(encoding="utf-8"))


def credential() -> str | None:
    """Return the server's API key, which systemd hands over as a file of its own; None where there is none."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / "llm-key" if folder else None
    return path.read_text(encoding="utf-8").strip() if path is not None and path.is_file() else None
