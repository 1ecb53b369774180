"""A wish to end that comes in the middle waits for the end of what is being done."""

from __future__ import annotations

import signal

import pytest

from generator.undisturbed import undisturbed


class EndedError(Exception):
    """The wish arrived."""


def write(steps: list[str], wish: signal.Signals) -> None:
    with undisturbed():
        signal.raise_signal(wish)
        steps.append("written")


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wish_to_end_is_heard_afterwards_and_not_in_the_middle(wish: signal.Signals) -> None:
    def end(*_: object) -> None:
        raise EndedError

    before = signal.signal(wish, end)
    steps: list[str] = []
    try:
        with pytest.raises(EndedError):
            write(steps, wish)
    finally:
        signal.signal(wish, before)
    assert steps == ["written"]
