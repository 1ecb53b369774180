"""Six hours of an invented load on one server, as numbers: busy, once hung and restarted, in the end with a queue.

The numbers are invented; the names, labels and buckets in which ``history`` writes them are those of real programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Series = NDArray[np.floating]

END = 1795694820  # 2026-11-26 12:07 UTC: the same picture every time
STEP = 15  # seconds between two scrapes
HOURS = 7  # one more than is shown, for rates need a past
STEPS = HOURS * 3600 // STEP
TIMES = END - STEP * np.arange(STEPS - 1, -1, -1)
_MINUTE = 60 // STEP
HUNG, ENDED, LOADED = (STEPS - minutes * _MINUTE for minutes in (170, 158, 149))
CROWDED = STEPS - 40 * _MINUTE
AT_ONCE = 4  # requests that a server computes beside each other
PROMPT, ANSWER = 900, 260  # tokens


@dataclass(frozen=True, slots=True)
class Load:
    """What happens on a server, a value for each scrape.

    - running, waiting: requests; each: tokens a second that one request gets
    - generated: tokens since the scrape before; finished: requests since then; first: seconds to the first token
    - up, restarts: whether it answers, and how often systemd restarted it
    """

    running: Series
    waiting: Series
    each: Series
    generated: Series
    finished: Series
    first: Series
    up: Series
    restarts: Series

    def counter(self, growth: Series) -> Series:
        """Return what a counter shows that grows by so much; a restart sets it back."""
        total = np.cumsum(growth)
        if not self.restarts.any():
            return total
        return np.where(np.arange(STEPS) >= ENDED, total - total[ENDED], total)


def load(seed: int, *, fails: bool, fast: float) -> Load:
    """Return a load. ``fails``: it hangs, is restarted, and has a queue in the end; ``fast``: one's tokens a second."""
    noise = np.random.default_rng(seed)
    steps = np.arange(STEPS)
    wanted = 2.2 + 1.4 * np.sin(2 * np.pi * (steps / STEPS + seed / 7)) + _wander(noise, 0.7)
    if fails:
        wanted += np.where(steps >= CROWDED, 3 + 8 * (steps - CROWDED) / (STEPS - CROWDED), 0)
    wanted = np.maximum(np.round(wanted), 0)
    hung = fails & (steps >= HUNG) & (steps < ENDED)
    up = np.where(fails & (steps >= ENDED) & (steps < LOADED), 0.0, 1.0)
    wanted = np.where(hung, 3 + np.floor((steps - HUNG) / (6 * _MINUTE)), wanted) * up
    running = np.minimum(wanted, AT_ONCE)
    waiting = wanted - running
    each = fast / (1 + 0.12 * running) * (1 + 0.04 * noise.standard_normal(STEPS))
    generated = np.where(hung, 0.0, running * each * STEP)
    return Load(
        running=running,
        waiting=waiting,
        each=each,
        generated=generated,
        finished=generated / ANSWER,
        first=(0.5 + 0.25 * running + 6 * waiting) * np.exp(0.2 * noise.standard_normal(STEPS)),
        up=up,
        restarts=np.where(fails & (steps >= ENDED), 1.0, 0.0),
    )


def _wander(noise: np.random.Generator, size: float) -> Series:
    """Return something that drifts about zero, and remembers for a quarter of an hour."""
    values = np.zeros(STEPS)
    for step in range(1, STEPS):
        values[step] = 0.985 * values[step - 1] + 0.17 * size * noise.standard_normal()
    return values * 1.2


def smooth(values: Series, minutes: float) -> Series:
    """Return values that follow others slowly, as heat follows power."""
    kept = 0.5 ** (1 / (minutes * _MINUTE))
    result = np.empty(STEPS)
    now = values[0]
    for step, value in enumerate(values):
        now = kept * now + (1 - kept) * value
        result[step] = now
    return result
