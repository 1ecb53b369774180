# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""The watchdog's own metrics, as a file that node_exporter's textfile collector reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, write_to_textfile

from generator.machine.watch import Action, Health

if TYPE_CHECKING:
    from pathlib import Path

    from generator.machine.known import Judgement
    from generator.machine.watch import Decision


class Textfile:
    """The metrics of one server's watchdog, ``llmflake_watchdog_*``, with the label ``unit``."""

    def __init__(self, path: Path, unit: str) -> None:
        """Write to ``path``, whose folder must be there."""
        self._path, self._unit = path, unit
        self._registry = CollectorRegistry()
        self._health = self._gauge("health", "1 for what the server is now, else 0.", "health")
        self._actions = Counter(
            "llmflake_watchdog_actions",
            "What the watchdog did to the server since it started.",
            ["unit", "action"],
            registry=self._registry,
        )
        self._probes = Counter(
            "llmflake_watchdog_probes",
            "Questions asked since the watchdog started, by what came of them.",
            ["unit", "outcome"],
            registry=self._registry,
        )
        self._seen = self._gauge("last_run_timestamp_seconds", "When the watchdog looked last, as seconds since 1970.")
        for action in get_args(Action):
            if action not in {"none", "probe"}:
                self._actions.labels(unit, action)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"llmflake_watchdog_{name}", text, ["unit", *labels], registry=self._registry)

    def write(self, decision: Decision, judgement: Judgement | None, wall: float) -> None:
        """Take in one step and write the file, all at once or not at all."""
        for health in get_args(Health):
            self._health.labels(self._unit, health).set(health == decision.health)
        if decision.action not in {"none", "probe"}:
            self._actions.labels(self._unit, decision.action).inc()
        if judgement is not None:
            self._probes.labels(self._unit, judgement.outcome).inc()
        self._seen.labels(self._unit).set(wall)
        write_to_textfile(str(self._path), self._registry)
