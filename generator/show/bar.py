"""What the memory of a machine is divided into, as ranges of bytes: the terminal's bar and the page's draw the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.plan import memory
from generator.show.facts import headroom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.plan.result import MachinePlan, ServicePlan

FREE, LEFT, OVER, SYSTEM = "headroom", "the rest", "too much", "system"

PARTS = (memory.WEIGHTS, memory.CACHE, memory.STATE, memory.COMPUTE, memory.REST)


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes from ``start`` on that ``name`` takes: a part of a service, or FREE, LEFT, OVER or SYSTEM."""

    name: str
    start: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the bar; ``bytes`` is None where it is not known what a service takes.

    ``turns`` tells that the service does not run at the same time as the others above it.
    """

    label: str
    bytes: float | None
    segments: tuple[Segment, ...]
    turns: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """The rows, and the bytes that the whole width stands for; ``limit`` is what the GPU may use."""

    rows: tuple[Row, ...]
    limit: float
    scale: float


def memory_bar(machine: MachinePlan) -> Bar | None:
    """Return the bar of a machine: its services, what they leave, what the system keeps; None where nothing is known.

    What is left is headroom only where all that take of it are known, and the rest otherwise.
    """
    left = headroom(machine)
    if machine.available is None or left is None:
        return None
    limit, offset = machine.available, 0.0
    on_gpu = [service for service in machine.services if service.gpu]
    unknown = [Row(service.service, None, ()) for service in on_gpu if service.memory.claim is None]
    rows = []
    for service in on_gpu:
        if service.service in machine.at_once and service.memory.claim is not None:
            rows.append(_service(service, offset, turns=False))
            offset += service.memory.claim
    rows += [
        _service(service, 0.0, turns=True)
        for service in on_gpu
        if service.service not in machine.at_once and service.memory.claim is not None
    ]
    rows += unknown
    if left >= 0:
        name = LEFT if unknown else FREE
        rows.append(Row(name, left, (Segment(name, offset, left),)))
    else:
        rows.append(Row(OVER, -left, (Segment(OVER, limit, -left),)))
    if machine.system is not None:
        # What is too much pushes nobody aside in truth; drawn after it, both stay visible.
        rows.append(Row(SYSTEM, machine.system, (Segment(SYSTEM, max(limit, offset), machine.system),)))
    scale = max(segment.start + segment.bytes for row in rows for segment in row.segments)
    return Bar(tuple(rows), limit, scale)


def _service(service: ServicePlan, offset: float, *, turns: bool) -> Row:
    return Row(service.service, service.memory.claim or 0.0, tuple(_parts(service, offset)), turns)


def _parts(service: ServicePlan, offset: float) -> Iterator[Segment]:
    """Yield the parts of a service, cut at its claim: a share may be less than the parts that do not fit into it."""
    end = offset + (service.memory.claim or 0.0)
    for part in service.memory.parts:
        size = min(part.bytes, end - offset)
        if size > 0:
            yield Segment(part.name, offset, size)
        offset += size
