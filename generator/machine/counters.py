# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""An engine's own counters, from its Prometheus metrics: they tell a busy server from a hung one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from generator.machine.exchange import bearer

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Names:
    """Which samples say what; nix/data/engine-metrics.toml has them by engine."""

    progress: tuple[str, ...]  # their sum grows while the engine computes
    running: str
    waiting: str
    finished: str | None = None  # requests that ended; None where the engine does not count them


@dataclass(frozen=True, slots=True)
class Counters:
    """What an engine says of itself at one moment, summed over its models and processes."""

    progress: float
    running: float
    waiting: float
    finished: float | None = None

    @property
    def working(self) -> bool:
        """Whether there is a request to work on."""
        return self.running + self.waiting > 0


def samples(text: str) -> dict[str, float]:
    """Return the samples of a Prometheus text by name, summed over their labels.

    Raises ValueError where the text is no Prometheus text.
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def counters(names: Names, text: str) -> Counters:
    """Read an engine's counters. Raises ValueError where the text is no Prometheus text or has none of them."""
    found = samples(text)
    progress = [found[name] for name in names.progress if name in found]
    if not progress:
        raise ValueError(f"none of {', '.join(names.progress)} is among the metrics")
    return Counters(
        progress=sum(progress),
        running=found.get(names.running, 0.0),
        waiting=found.get(names.waiting, 0.0),
        finished=found.get(names.finished) if names.finished else None,
    )


async def read(client: httpx.AsyncClient, url: str, names: Names, *, limit: float, key: str | None) -> Counters | str:
    """Ask a server for its counters; say why there are none. ``limit`` is in seconds."""
    import httpx

    try:
        response = await client.get(f"{url}/metrics", headers=bearer(key), timeout=limit)
        response.raise_for_status()
        return counters(names, response.text)
    except (httpx.HTTPError, ValueError) as error:
        return str(error) or type(error).__name__
