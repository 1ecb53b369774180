"""Time whole processes, side by side: the runs alternate, and the median of each is compared."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def seconds(command: Sequence[str]) -> float:
    """Return how long a command takes; raise CalledProcessError with its complaint when it fails."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start


def medians(first: Sequence[str], second: Sequence[str], runs: int) -> tuple[float, float]:
    """Return the median seconds of two commands that take turns; the first turn of each only warms caches."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(runs + 1):
        for command, taken in zip((first, second), times, strict=True):
            elapsed = seconds(command)
            if turn:
                taken.append(elapsed)
    return statistics.median(times[0]), statistics.median(times[1])


def peak_mib(command: Sequence[str]) -> float:
    """Return the largest resident size of a command in MiB."""
    child = os.fork()
    if child == 0:
        os.closerange(1, 3)
        os.open(os.devnull, os.O_WRONLY)
        os.execvp(command[0], list(command))  # noqa: S606 - no shell is the point
    _, status, usage = os.wait4(child, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return usage.ru_maxrss / 1024


def generate_anew(spec: str, folder: str) -> list[str]:
    """Return the command that generates a spec's flake into a new directory in a folder, every time that it is run."""
    program = (
        "import sys, tempfile; from generator.__main__ import run;"
        "sys.argv = ['llmflake', 'generate', sys.argv[1], '-o', tempfile.mkdtemp(dir=sys.argv[2])]; run()"
    )
    return [sys.executable, "-c", program, spec, folder]


def verdict(name: str, ratio: float, goal: float, detail: str) -> str:
    """Return a line with a ratio and whether it is within its goal."""
    return f"{name}: {ratio:.2f} (goal: at most {goal:g}; {'met' if ratio <= goal else 'MISSED'})  {detail}"
