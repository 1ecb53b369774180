"""What is expected of a machine and of its services: from the spec, and from a plan, else the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.catalog.acceptance import facts
from generator.machine.known import Known

if TYPE_CHECKING:
    from generator.spec.load import Spec
    from generator.spec.model import Machine, Model, Service

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask, not where to listen


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit and the rule that it comes from."""

    value: float
    rule: str


@dataclass(frozen=True, slots=True)
class Floors:
    """How fast a service must be, and how much it may take: what a planner computed, or the seed's criteria."""

    first_token: Bound  # seconds, at most
    decode: Bound  # tokens a second of one request, at least
    band: tuple[float, float] | None = None  # tokens a second that the plan expects; outside is worth a look
    memory: Bound | None = None  # MiB of GPU memory, at most


@dataclass(frozen=True, slots=True)
class ServiceExpectation:
    """A service on a machine: where it answers, under which name, and how well."""

    service: Service
    model: Model | None
    name: str | None  # served name
    host: str
    context: int | None  # tokens of one request
    concurrency: int
    known: Known
    floors: Floors


@dataclass(frozen=True, slots=True)
class MachineExpectation:
    """A machine and the services that run on it."""

    machine: Machine
    services: tuple[ServiceExpectation, ...]


def seed_floors() -> Floors:
    """Return the speed that the plan of old asks of any deployment."""
    speed = facts()["speed"]
    return Floors(
        first_token=Bound(speed["first_token_seconds"], speed["first_token_rule"]),
        decode=Bound(speed["decode_tokens_per_second"], speed["decode_rule"]),
    )


def expectations(spec: Spec, machine: str, floors: dict[str, Floors] | None = None) -> MachineExpectation:
    """Return what is expected of a machine of a spec; ``floors`` are a plan's, by service.

    Raises KeyError when the spec has no such machine.
    """
    planned = floors or {}
    return MachineExpectation(
        spec.deployment.machines[machine],
        tuple(
            _service(spec, service, planned.get(service.name) or seed_floors())
            for service in spec.placement.services_on[machine]
        ),
    )


def _service(spec: Spec, service: Service, floors: Floors) -> ServiceExpectation:
    model = spec.deployment.models.get(service.model or "")
    health = service.health
    slots = service.flags.get("parallel", 1) if service.engine == "llamacpp" else service.flags.get("max_num_seqs", 1)
    context = service.flags.get("max_model_len")
    if service.engine == "llamacpp" and service.flags.get("ctx_size"):
        context = service.flags["ctx_size"] // slots  # llama.cpp divides its context among its slots
    return ServiceExpectation(
        service=service,
        model=model,
        name=(model.served_name or model.repository) if model is not None else next(iter(service.models), None),
        host=_ANYWHERE.get(service.host, service.host),
        context=context,
        concurrency=max(1, min(slots, _MOST_AT_ONCE)),
        # A budget that does not fit beside its question would be refused.
        known=Known(health.question, health.answer, min(health.max_tokens, (context or 2**20) // 2)),
        floors=floors,
    )


_MOST_AT_ONCE = 16
