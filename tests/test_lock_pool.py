"""Jobs side by side: bounded, all problems at once, and over at once when somebody interrupts."""

from __future__ import annotations

import threading
import time

import pytest

from generator.errors import Location, LockError, Problem
from generator.lock import pool


def nothing(_name: str, _done: int, _of: int) -> None:
    pass


def test_results_come_by_name_in_the_order_of_the_jobs() -> None:
    def job(name: str, seconds: float) -> str:
        time.sleep(seconds)
        return name.upper()

    jobs = {"a": lambda: job("a", 0.05), "b": lambda: job("b", 0.0)}
    assert list(pool.run(jobs, nothing).items()) == [("a", "A"), ("b", "B")]


def test_no_more_run_at_once_than_allowed() -> None:
    running, most, guard = 0, 0, threading.Lock()

    def job() -> None:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with guard:
            running -= 1

    pool.run(dict.fromkeys(map(str, range(12)), job), nothing, workers=3)
    assert most == 3


def test_all_problems_are_told_at_once_and_each_once() -> None:
    def job(name: str) -> None:
        raise LockError((Problem(Location(name), "", "wrong", ""), Problem(Location("both"), "", "wrong", "")))

    with pytest.raises(LockError) as caught:
        pool.run({"a": lambda: job("a"), "b": lambda: job("b"), "c": lambda: None}, nothing)
    assert sorted(str(problem.location) for problem in caught.value.problems) == ["a", "b", "both"]


def test_a_bug_in_a_job_is_no_problem_of_the_user() -> None:
    def job() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.run({"a": job}, nothing)


def test_an_interruption_does_not_wait_for_the_jobs() -> None:
    begun = time.monotonic()

    def interrupt(_name: str, _done: int, _of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run({"slow": lambda: time.sleep(30), "fast": lambda: None}, interrupt)
    assert time.monotonic() - begun < 5


def test_progress_counts_every_job() -> None:
    seen: list[tuple[int, int]] = []
    pool.run({"a": lambda: 1, "b": lambda: 2}, lambda _name, done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]


def test_progress_is_told_while_nothing_ends() -> None:
    seen: list[tuple[str, int, int]] = []
    pool.run({"slow": lambda: time.sleep(1.2)}, lambda *told: seen.append(told))
    assert seen[0] == ("", 0, 1)
    assert seen[-1] == ("slow", 1, 1)
