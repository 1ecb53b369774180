"""The facts of a service in the order and words in which table and page both show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.show import units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.plan.result import MachinePlan, Measurement, ServicePlan
    from generator.plan.speed import Estimate

ENGINES = {"vllm": "vLLM", "llamacpp": "llama.cpp", "ollama": "Ollama", "openai-compatible": "container"}
_LAST_BIT = 1e-9  # of a sum of floats
_NEEDS = {
    "slow": "slower than services.{}.expect asks for",
    "unproven": "no published measurement covers this release, model and hardware",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: a value with its bounds, "" where it is exact."""

    label: str
    value: str
    band: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """One kind of speed: the estimate, None where there is none, and what was published of it.

    ``kind`` is that of the measurements ("decode", "deep", "batch" or "prompt", tokens a second) or "first" (seconds).
    """

    kind: str
    label: str
    estimate: Estimate | None
    measured: tuple[Measurement, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is anything to show."""
        return self.estimate is not None or bool(self.measured)

    @property
    def value(self) -> str:
        """The estimate as text."""
        number = None if self.estimate is None else self.estimate.value
        return units.seconds(number) if self.kind == "first" else units.rate(number)

    @property
    def band(self) -> str:
        """The bounds of the estimate as text."""
        return units.band(self.estimate, time=self.kind == "first")


def verdict(service: ServicePlan) -> str:
    """Return the verdict as the plan of 2026-01-14 words it: "FEASIBLE WITH CAVEATS"."""
    return service.verdict.upper()


def serves(service: ServicePlan) -> str:
    """Return what runs: "vLLM 0.23.0 serves openai/gpt-oss-120b (mxfp4)"."""
    engine = " ".join(filter(None, (ENGINES.get(service.engine, service.engine), service.release)))
    if service.model is None:
        return engine
    form = f" ({service.format})" if service.format is not None else ""
    where = "" if service.gpu else ", on the CPU"
    return f"{engine} serves {service.model}{form}{where}"


def memory(service: ServicePlan) -> Iterator[Fact]:
    """Yield the parts of a service's memory in GiB, then what it takes in all and what is left."""
    for part in service.memory.parts:
        yield Fact(
            part.name, units.gib(part.bytes), "" if part.exact else f"{units.gib(part.low)} to {units.gib(part.high)}"
        )
    claim = service.memory.claim
    yield Fact("claim", units.gib(claim))
    # vLLM claims its share whatever the model: parts that do not fit into it are not part of the claim.
    beyond = sum(part.bytes for part in service.memory.parts) - (claim or 0.0)
    if claim is not None and beyond > claim * _LAST_BIT:
        yield Fact("too much for the claim", units.gib(beyond))
    yield Fact("headroom", units.gib(service.memory.headroom))


def paces(service: ServicePlan) -> Iterator[Pace]:
    """Yield the speeds of a service, each with the measurements that stand beside it."""
    speed, limits = service.speed, service.limits
    many = limits is not None and limits.concurrency > 1
    labels = {
        "decode": "one user",
        "deep": f"one user, after {speed.depth} tokens" if speed is not None else "one user, after some context",
        "batch": f"{limits.concurrency} users together" if limits is not None and many else "several users together",
        "prompt": f"reading a prompt of {speed.prompt} tokens" if speed is not None else "reading a prompt",
    }
    estimates = {
        "decode": None if speed is None else speed.decode,
        "deep": None if speed is None else speed.decode_deep,
        "batch": None if speed is None else speed.batch,
        "prompt": None if speed is None else speed.prefill,
    }
    for kind, label in labels.items():
        pace = Pace(kind, label, estimates[kind], tuple(entry for entry in service.measured if entry.kind == kind))
        if pace.known or kind == "decode" or (kind == "prompt" and speed is not None):
            yield pace
    if speed is not None:
        yield Pace("first", "first token of such a prompt, seconds", speed.first_token)


def sources(service: ServicePlan) -> list[str]:
    """Return where a service's measurements are from, each once: they are shown by their number, for they are long."""
    return list(dict.fromkeys(entry.source for pace in paces(service) for entry in pace.measured))


def bearing(service: ServicePlan) -> str:
    """Return how well the estimates of speed held, "" where there are none."""
    speed = service.speed
    if speed is None or speed.curve is None or speed.error is None:
        return ""
    return (
        f"estimates by the curve {speed.curve}, off by {speed.error * 100:.0f} % on average for a model that it was "
        "not fitted to; bounds hold 80 % of what was measured"
    )


def published(entry: Measurement) -> str:
    """Return what a measurement was taken with, and of what where that is not plain: "vLLM ROCm, mxfp4"."""
    exactly = "" if entry.what == "decode" else f", {entry.what}"
    return f"{entry.engine}, {entry.format}{exactly}"


def sizes(service: ServicePlan) -> Iterator[Fact]:
    """Yield the asked context and concurrency, and the largest of each that fit."""
    limits = service.limits
    if limits is None:
        yield Fact("asked", units.UNKNOWN)
        return
    if limits.shared:
        yield Fact("asked", f"{limits.context} tokens, shared by {_many(limits.concurrency)}")
    else:
        yield Fact("asked", f"{_many(limits.concurrency)} of {limits.context} tokens")
    largest, most = limits.largest_context, limits.largest_concurrency
    if service.engine == "vllm":
        of = " for one sequence"
    elif limits.shared:
        of = f" shared by {_many(limits.concurrency)}"
    else:
        of = f" for each of {limits.concurrency}" if limits.concurrency > 1 else ""
    yield Fact("largest context", units.UNKNOWN if largest is None else f"{largest} tokens{of}" if largest else "none")
    yield Fact(
        "largest concurrency",
        units.UNKNOWN if most is None else f"{_many(most)} of {limits.context} tokens" if most else "none",
    )


def start(service: ServicePlan) -> Iterator[Fact]:
    """Yield the disk space of a model's files and the least time that loading them takes."""
    yield Fact("files on disk", units.with_gib(service.disk))
    if service.load is not None:
        yield Fact("time to load", f"{units.duration(service.load)} at least, by the disk's speed")
    elif service.disk is not None:
        yield Fact("time to load", f"{units.UNKNOWN}: set machines.{service.machine}.disk.read_mib_s")
    else:
        yield Fact("time to load", units.UNKNOWN)


def needs(service: ServicePlan) -> Iterator[tuple[str, bool, str]]:
    """Yield each reason for which the spec must accept the plan, whether it does, and what the reason means."""
    for need in service.needs:
        yield need, need in service.accepted, _NEEDS.get(need, "").format(service.service)


def hardware(machine: MachinePlan) -> str:
    """Return what a machine is: its description, and the catalog's name for it."""
    return f"{machine.description} ({machine.hardware})" if machine.description else machine.hardware


def machine_memory(machine: MachinePlan) -> str:
    """Return what a machine's memory is divided into, as a sentence without a full stop."""
    if machine.available is None:
        return "what the GPU may use is unknown: the catalog does not know this hardware"
    user = "services" if machine.accelerator == "cpu" else "the GPU"
    parts = [f"{user} may use {units.with_gib(machine.available)}"]
    if machine.system is not None:
        parts.append(f"the system keeps {units.with_gib(machine.system)} of the memory that they share")
    elif machine.unified:
        parts.append(
            f"the system keeps the rest of nominally {units.with_gib(machine.total)}; what it sees of them is unknown"
        )
    if machine.together:
        parts.append(f"services take {units.with_gib(machine.together)} at once")
    return ", ".join(parts)


def headroom(machine: MachinePlan) -> float | None:
    """Return the bytes of the GPU's memory that no service takes, negative where they take too much."""
    return None if machine.available is None else machine.available - (machine.together or 0.0)


def _many(count: int) -> str:
    return f"{count} sequence{'s' if count != 1 else ''}"
