"""What ``llmflake verify`` says while it works: a line a verdict, and how far a load is."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from generator.console import echo
from generator.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from generator.verify.soak import Record
    from generator.verify.verdict import Verdict

_COLOURS = {"passed": "green", "failed": "red", "not checked": "yellow"}


class Said:
    """The verdicts so far, each printed as it is decided."""

    def __init__(self, *, quiet: bool) -> None:
        """Print nothing where it is ``quiet``."""
        self.verdicts: list[Verdict] = []
        self.quiet = quiet
        self._unreachable: set[str] = set()

    def notes(self, notes: Iterable[str]) -> None:
        """Print what no verdict is given on."""
        for note in () if self.quiet else notes:
            echo(f"{click.style('note       ', fg='yellow')} {printable(note)}")

    def take(self, found: Iterable[Verdict]) -> None:
        """Take in verdicts. Why a machine cannot be reached is the same in every phase, and printed once."""
        from generator.verify.run import REACHABLE

        for verdict in found:
            self.verdicts.append(verdict)
            again = verdict.criterion.name == REACHABLE and verdict.measured in self._unreachable
            self._unreachable |= {verdict.measured} if verdict.criterion.name == REACHABLE else set()
            if not self.quiet and not again:
                _print(verdict)


@contextlib.contextmanager
def progress(seconds: float, *, quiet: bool) -> Iterator[Callable[[Record], None]]:
    """Show how far a soak is, where somebody looks."""
    if quiet or seconds <= 0:
        yield lambda _: None
        return
    with click.progressbar(length=int(seconds), label="load", file=sys.stderr, item_show_func=_state) as bar:

        def tell(record: Record) -> None:
            bar.update(min(int(record.seconds), int(seconds)) - bar.pos, record)

        yield tell


def _state(record: Record | None) -> str:
    return "" if record is None else f"{record.replies} requests, {len(record.faults)} errors"


def _print(verdict: Verdict) -> None:
    mark = click.style(f"{verdict.outcome:<11}", fg=_COLOURS[verdict.outcome])
    advice = f"; {click.style(verdict.advice, fg='cyan')}" if verdict.advice and verdict.outcome != "passed" else ""
    # A server's errors are in here, and a terminal would obey what they hold.
    said = printable(f"{verdict.criterion.id}: {verdict.measured} (expected: {verdict.criterion.expected})")
    echo(f"{mark} {said}{advice}")
