"""Metrics, thresholds and alerts as data that Nix and Python both read (``nix/data``)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from generator import resources


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a threshold is compared with: a value at or beyond ``above`` or ``below`` would never, or always, fire.

    ``unit`` is "share" for fractions of 1, else words; ``metric`` the name of the metric.
    """

    metric: str
    unit: str
    above: float
    below: float
    default: float


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as people need it: what it ``needs`` to be there, what one ``sees``, and what to ``do``.

    ``commands`` are to be typed; nix/data/alerts.toml says what stands in braces.
    """

    name: str
    severity: str
    needs: tuple[str, ...]
    see: str
    do: str
    commands: tuple[str, ...]


@cache
def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.release_data(name).read_text(encoding="utf-8"))


@cache
def counters() -> dict[str, Any]:
    """Return engine-metrics.toml: ``progress``, ``running``, ``waiting``, ``finished`` by engine that counts."""
    return _data("engine-metrics.toml")


@cache
def samples(engine: str) -> dict[str, str]:
    """Return the samples that rules, panels and the watchdog use of an engine, as its /metrics names them.

    With each comes in what it is only there, nothing for most. Raises KeyError for an engine that exports none.
    """
    found = {
        f"{metric['name']}{part}": str(metric.get("conditional", ""))
        for metric in _data("metrics.toml")[engine]["metrics"]
        for part in (("_bucket", "_sum", "_count") if metric["kind"] == "histogram" else ("",))
    }
    watched = counters()[engine]
    names = [*watched["progress"], watched["running"], watched["waiting"]]
    names += [watched["finished"]] if "finished" in watched else []
    return {**dict.fromkeys(names, ""), **found}


@cache
def thresholds() -> dict[str, Threshold]:
    """Return the thresholds of alerts by their names in the spec."""
    return {name: Threshold(**entry) for name, entry in _data("metrics.toml")["thresholds"].items()}


def ports() -> dict[str, int]:
    """Return the ports of prometheus, grafana and node (its exporter), by these names."""
    return {name: port for name, port in _data("metrics.toml")["ports"].items() if isinstance(port, int)}


@cache
def alerts() -> tuple[Alert, ...]:
    """Return the alerts in the order in which the runbook has them."""
    return tuple(
        Alert(
            entry["name"],
            entry["severity"],
            tuple(entry["needs"]),
            entry["see"],
            entry["do"],
            tuple(entry.get("commands", ())),
        )
        for entry in _data("alerts.toml")["alert"]
    )
