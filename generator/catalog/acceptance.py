"""What machines are accepted by: known-bad firmware, log lines, free memory, and the metrics of the engines."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from generator import resources


@cache
def facts() -> dict[str, Any]:
    """Return acceptance.toml: table ``service``, lists ``firmware`` and ``log_line``."""
    path = Path(__file__).resolve().parent / "acceptance.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def engine_metrics() -> dict[str, Any]:
    """Return engine-metrics.toml of nix/data: by engine ``progress``, ``running``, ``waiting``, ``required``."""
    return tomllib.loads(resources.release_data("engine-metrics.toml").read_text(encoding="utf-8"))
