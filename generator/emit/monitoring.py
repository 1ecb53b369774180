"""The table ``monitoring`` of deployment.json."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generator.plan.result import Speed
    from generator.spec.load import Spec
    from generator.spec.monitoring import Monitoring


def monitoring_data(spec: Spec, monitoring: Monitoring) -> dict[str, Any]:
    """Return the table by the names that nix/lib reads."""
    return {
        "machines": list(monitoring.machines),
        "prometheus": monitoring.prometheus,
        "grafana": monitoring.grafana,
        "nodeExporter": monitoring.node_exporter,
        "smuExporter": monitoring.smu_exporter,
        "expose": list(monitoring.expose),
        "scrapeInterval": monitoring.scrape_interval_s,
        "alerts": dict(sorted(monitoring.alerts.items())),
        "floors": floors(spec),
    }


def floors(spec: Spec) -> dict[str, dict[str, float]]:
    """Return the tokens a second that the plan promises one user, by service and machine; none where it knows none."""
    from generator.plan.planner import make_plan

    found: dict[str, dict[str, float]] = {}
    for machine in make_plan(spec.deployment, spec.placement, brief=True).machines:
        for service in machine.services:
            floor = slowest(service.speed)
            if floor is not None:
                found.setdefault(service.service, {})[machine.machine] = floor
    return dict(sorted(found.items()))


def slowest(speed: Speed | None) -> float | None:
    """Return the lowest tokens a second that a plan allows for one user, rounded down to a tenth; None if unknown.

    A full context decodes slower than an empty one; where the plan knows both, the slower counts.
    """
    known = [] if speed is None else [found.low for found in (speed.decode, speed.decode_deep) if found is not None]
    floor = math.floor(min(known) * 10) / 10 if known else 0.0
    return floor or None
