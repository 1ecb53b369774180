"""Jobs side by side, a few at a time."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, TypeVar

from generator import nix
from generator.errors import GeneratorError, LockError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Result = TypeVar("_Result")
WORKERS = 4
_TICK = 0.5  # seconds


def run(
    jobs: Mapping[str, Callable[[], _Result]],
    progress: Callable[[str, int, int], None],
    workers: int = WORKERS,
) -> dict[str, _Result]:
    """Run jobs, at most ``workers`` at once; return their results by name.

    ``progress`` is called in this thread, with the name of the job that ended, how many have ended, and how many there
    are; and now and then, with no name, while none ends.

    Raises LockError with the problems of all jobs that failed. Interrupted, it ends the programs that they wait for and
    leaves at once: the threads are daemons, and nothing that they do outlives the process.
    """
    done: queue.SimpleQueue[tuple[str, _Result | BaseException]] = queue.SimpleQueue()
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in jobs:
        todo.put(name)
    for _ in range(min(workers, len(jobs))):
        threading.Thread(target=_work, args=(jobs, todo, done), daemon=True).start()
    try:
        return _collect(jobs, done, progress)
    except BaseException:
        with contextlib.suppress(queue.Empty):
            while True:
                todo.get_nowait()
        nix.stop()
        raise


def _work(
    jobs: Mapping[str, Callable[[], _Result]],
    todo: queue.SimpleQueue[str],
    done: queue.SimpleQueue[tuple[str, _Result | BaseException]],
) -> None:
    while True:
        try:
            name = todo.get_nowait()
        except queue.Empty:
            return
        try:
            done.put((name, jobs[name]()))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            done.put((name, error))


def _collect(
    jobs: Mapping[str, Callable[[], _Result]],
    done: queue.SimpleQueue[tuple[str, _Result | BaseException]],
    progress: Callable[[str, int, int], None],
) -> dict[str, _Result]:
    results: dict[str, _Result] = {}
    problems: list[Problem] = []
    failed = 0
    while len(results) + failed < len(jobs):
        try:
            name, result = done.get(timeout=_TICK)
        except queue.Empty:
            progress("", len(results) + failed, len(jobs))
            continue
        if isinstance(result, GeneratorError):
            failed += 1
            problems += result.problems
        elif isinstance(result, BaseException):
            raise result
        else:
            results[name] = result
        progress(name, len(results) + failed, len(jobs))
    if problems:
        raise LockError(tuple(dict.fromkeys(problems)))
    return {name: results[name] for name in jobs}
