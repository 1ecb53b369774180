"""What a plan says. Memory in bytes, speed in tokens a second, time in seconds; nothing is rounded here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.plan.speed import Estimate


@dataclass(frozen=True, slots=True)
class Part:
    """Something that takes memory. ``low`` and ``high`` bound an estimate, and are equal where it is arithmetic."""

    name: str
    bytes: float
    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether it is arithmetic, and no estimate."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Memory:
    """The GPU memory of a service: what there is, what it takes, and by what.

    ``claim`` is what it takes in all: the sum of the parts, or, for vLLM, the share that it takes whatever the model;
    None where a part is unknown. ``available`` is what the GPU may use; ``cache_available`` what is left for the cache.
    """

    available: float
    parts: tuple[Part, ...]
    claim: float | None
    cache_available: float | None

    @property
    def headroom(self) -> float | None:
        """What is left of the GPU's memory; negative where the service does not fit."""
        return None if self.claim is None else self.available - self.claim


@dataclass(frozen=True, slots=True)
class Limits:
    """The asked context (tokens a sequence) and concurrency (sequences), and the largest of each that fit.

    The largest context is at the asked concurrency (vLLM's, for one sequence), the largest concurrency at the asked
    context. ``shared`` tells that all sequences share the asked context, instead of each having it. None is unknown.
    """

    context: int
    concurrency: int
    largest_context: int | None
    largest_concurrency: int | None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Speed:
    """Estimates; None where no rule covers the case. ``depth`` is the tokens of context at which decoding is judged.

    ``batch`` is all users' tokens a second together, at the asked concurrency.
    """

    depth: int
    prompt: int
    decode: Estimate | None
    decode_deep: Estimate | None
    batch: Estimate | None
    prefill: Estimate | None
    first_token: Estimate | None
    curve: str | None
    error: float | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """A published measurement of the same model on the same kind of hardware.

    ``kind`` tells which estimate it stands beside: "decode" (one user, nothing before), "deep" (one user, after some
    context), "batch" (several at once) or "prompt".
    """

    kind: str
    what: str  # "decode", "decode at 32768", "prompt of 512", "throughput, 64 at once"
    value: float
    engine: str
    format: str
    source: str
    date: str
    same_engine: bool


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something to know before deploying, and where that is known from."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What is known of one service on one machine before it runs.

    ``verdict`` is "feasible", "feasible with caveats", "not feasible" or "unknown"; ``needs`` are the reasons for which
    the spec must accept it ("slow", "unproven"), whether it does or not; ``accepted`` is what the spec accepts. ``gpu``
    tells whether it computes on the machine's GPU.
    """

    service: str
    machine: str
    engine: str
    release: str | None
    model: str | None
    format: str | None
    verdict: str
    memory: Memory
    limits: Limits | None
    speed: Speed | None
    load: float | None  # seconds at least: the weights once from the disk
    disk: float | None
    measured: tuple[Measurement, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    needs: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # what could not be said, and why
    gpu: bool = True


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """A machine: bytes that the GPU may use, and what is left to the system of a memory that they share (else None).

    ``unified`` tells whether they share it, ``description`` what the hardware is ("" where the catalog has none),
    ``accelerator`` is "rocm", "cuda", "cpu", or "" where the hardware is not known.
    ``at_once`` names the services that can run at the same time and take the most, ``together``.
    """

    machine: str
    hardware: str
    description: str
    accelerator: str
    unified: bool
    available: float | None
    system: float | None
    total: float
    together: float | None
    at_once: tuple[str, ...] = ()
    services: tuple[ServicePlan, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a deployment."""

    machines: tuple[MachinePlan, ...]
