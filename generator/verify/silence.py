"""A server that gives no answer at all: who asks it again only waits again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.machine.exchange import Fault
    from generator.verify.verdict import Criterion, Verdict

_SILENT = frozenset({"unreachable", "timeout"})


@dataclass(slots=True)
class Silence:
    """The criterion for which a server gave no answer first, as its id; "" while it answers."""

    since: str = ""

    def heed(self, verdict: Verdict, *faults: Fault | None) -> Verdict:
        """Return a verdict; what went wrong when it was asked for tells whether the server fell silent."""
        if not self.since and any(map(silent, faults)):
            self.since = verdict.criterion.id
        return verdict

    def unasked(self, criterion: Criterion) -> Verdict:
        """Return the verdict on what was not asked any more."""
        return criterion.not_checked(f"it did not answer {self.since}")


def silent(fault: Fault | None) -> bool:
    """Return whether a fault means that no answer came; what is wrong with one that came may pass."""
    return fault is not None and fault.kind in _SILENT
