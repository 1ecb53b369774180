"""What deployments are accepted by: speed, known-bad firmware, log lines, and the metrics of the engines."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from generator import resources


@cache
def facts() -> dict[str, Any]:
    """Return acceptance.toml: tables ``speed`` and ``service``, lists ``firmware`` and ``log_line``."""
    path = Path(__file__).resolve().parent / "acceptance.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def engine_metrics() -> dict[str, Any]:
    """Return nix/data/engine-metrics.toml: the samples of each engine, by what they say."""
    return tomllib.loads(resources.release_data("engine-metrics.toml").read_text(encoding="utf-8"))
