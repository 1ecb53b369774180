"""The table ``monitoring`` of a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from generator.catalog.metrics import thresholds


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What watches the deployment: ``machines`` scrape; ``alerts`` are thresholds by name (``nix/data/metrics.toml``).

    ``prometheus``, ``grafana`` and ``node_exporter`` say whether to run each, or whether one runs already.
    """

    machines: tuple[str, ...]
    prometheus: bool
    grafana: bool
    node_exporter: bool
    smu_exporter: bool
    expose: tuple[str, ...]
    scrape_interval_s: int
    alerts: dict[str, float]


def build(data: dict[str, Any]) -> Monitoring:
    """Build the table from data that satisfies the schema."""
    defaults = {name: entry.default for name, entry in thresholds().items()}
    return Monitoring(
        machines=tuple(data.get("machines", ())),
        prometheus=data.get("prometheus", True),
        grafana=data.get("grafana", True),
        node_exporter=data.get("node_exporter", True),
        smu_exporter=data.get("smu_exporter", False),
        expose=tuple(data.get("expose", ())),
        scrape_interval_s=data.get("scrape_interval_s", 15),
        alerts={**defaults, **data.get("alerts", {})},
    )
