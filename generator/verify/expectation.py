"""What is expected of a machine and of its services: from the spec, its plan, and facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.catalog.caveats import caveats
from generator.catalog.models import derestricted
from generator.machine.known import Known
from generator.plan.planner import make_plan
from generator.spec.address import asked_at
from generator.verify.floors import floors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.load import Spec
    from generator.spec.model import Machine, Model
    from generator.spec.service import Service
    from generator.verify.floors import Floors

# Engines that go on until the budget when told, and refuse what is longer than their context; Ollama cuts it silently.
_EXACT = frozenset({"vllm", "llamacpp"})


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

    @property
    def exact(self) -> bool:
        """Whether the engine answers with as many tokens as it is told, and refuses what it cannot hold."""
        return self.service.engine in _EXACT


@dataclass(frozen=True, slots=True)
class MachineExpectation:
    """A machine and the services that run on it."""

    machine: Machine
    services: tuple[ServiceExpectation, ...]
    notes: tuple[str, ...] = ()  # what whoever accepts it must know, and no measurement shows


def expectations(spec: Spec, machine: str) -> MachineExpectation:
    """Return what is expected of a machine of a spec.

    Raises KeyError when the spec has no such machine.
    """
    plan = make_plan(spec.deployment, spec.placement)
    services = spec.placement.services_on[machine]
    return MachineExpectation(
        spec.deployment.machines[machine],
        tuple(_service(spec, service, floors(service, plan, machine)) for service in services),
        tuple(note for service in services for note in _derestricted(spec, service)),
    )


def _derestricted(spec: Spec, service: Service) -> Iterator[str]:
    """Yield a note on each model of a service whose safety training was removed, as plans say it."""
    model = spec.deployment.models.get(service.model or "")
    meaning = next(caveat.text for caveat in caveats() if caveat.when == {"derestricted": True})
    for name in [model.repository] if model is not None else service.models:
        if derestricted(name):
            yield f"{service.name} serves {name}: {meaning}"


def _service(spec: Spec, service: Service, accepted_by: Floors) -> ServiceExpectation:
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
        host=asked_at(service.host),
        context=context,
        concurrency=max(1, min(slots, _MOST_AT_ONCE)),
        # A budget that does not fit beside its question would be refused.
        known=Known(health.question, health.answer, min(health.max_tokens, (context or 2**20) // 2)),
        floors=accepted_by,
    )


_MOST_AT_ONCE = 16
