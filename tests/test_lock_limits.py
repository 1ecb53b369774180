"""Retries with backoff, and hosts that are given up."""

from __future__ import annotations

import time

import pytest

from generator.errors import LockError
from generator.lock.limits import Limits, TemporaryError


def test_a_request_is_repeated_until_it_succeeds() -> None:
    answers = [TemporaryError("busy"), TemporaryError("busy")]

    def request() -> str:
        if answers:
            raise answers.pop()
        return "done"

    assert Limits(20.0).call("h", request) == "done"
    assert answers == []


def test_a_host_that_was_given_up_is_not_waited_for_again() -> None:
    limits = Limits(0.6)
    asked = 0

    def request() -> None:
        nonlocal asked
        asked += 1
        raise TemporaryError("away")

    with pytest.raises(LockError, match=r"h: no good answer within 0\.6 s: away"):
        limits.call("h", request)
    time.sleep(0.6)
    begun, asked = time.monotonic(), 0
    with pytest.raises(LockError):
        limits.call("h", request)
    assert asked == 1
    assert time.monotonic() - begun < 0.3


def test_another_host_has_its_own_time() -> None:
    limits = Limits(0.3)

    def away() -> None:
        raise TemporaryError("away")

    with pytest.raises(LockError):
        limits.call("first", away)
    assert limits.call("second", lambda: 1) == 1


def test_what_is_no_temporary_error_is_not_repeated() -> None:
    asked = []

    def request() -> None:
        asked.append(1)
        raise LockError

    with pytest.raises(LockError):
        Limits(20.0).call("h", request)
    assert asked == [1]
