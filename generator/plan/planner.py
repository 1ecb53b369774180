"""The plan of a whole deployment: every service on every machine that runs it, and what they take together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog.load import hardware_descriptions
from generator.plan.ask import ask, available_bytes
from generator.plan.result import MachinePlan, Plan
from generator.plan.service import plan_service
from generator.spec.rules.placement import take_turns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.plan.ask import Ask, Known
    from generator.plan.result import ServicePlan
    from generator.spec.model import Deployment, Machine, Placement
    from generator.spec.service import Service

_MIB = 1024**2
# Sets of services that take turns are searched exactly up to so many services a machine; above, all are added up.
_EXACT = 16

Planned = tuple["Ask", "ServicePlan"]


def make_plan(
    deployment: Deployment,
    placement: Placement,
    given: Mapping[str, Known] | None = None,
    *,
    brief: bool = False,
) -> Plan:
    """Return the plan of a deployment. ``given`` is what was read of models' files, by the model's name in the spec."""
    machines = []
    for machine in deployment.machines.values():
        planned = plan_machine(deployment, machine, placement.services_on[machine.name], given, brief=brief)
        machines.append(_machine_plan(machine, planned))
    return Plan(tuple(machines))


def plan_machine(
    deployment: Deployment,
    machine: Machine,
    services: tuple[Service, ...],
    given: Mapping[str, Known] | None,
    *,
    brief: bool = False,
) -> list[Planned]:
    """Return each service of a machine with what it asks and its plan."""
    asks = []
    for service in services:
        name = service.model or ""
        asks.append(ask(service, machine, deployment.models.get(name), (given or {}).get(name)))
    return [(asked, plan_service(asked, _together(asked, asks), brief=brief)) for asked in asks]


def _together(asked: Ask, asks: list[Ask]) -> int:
    """Return how many services may be in the memory of this one at the same time, itself included."""
    others = (other for other in asks if other is not asked and other.on_gpu == asked.on_gpu)
    return 1 + sum(not take_turns(asked.service, other.service) for other in others)


def most_together(planned: list[Planned]) -> list[Planned]:
    """Return the services that can run at the same time and take the most together, but for those of unknown size."""
    known = [entry for entry in planned if entry[1].memory.claim is not None and entry[0].on_gpu]
    if len(known) > _EXACT:
        return known
    best: list[Planned] = []

    def extend(chosen: list[Planned], rest: list[Planned]) -> None:
        nonlocal best
        if not rest:
            best = max(best, chosen, key=claimed)
            return
        first, *others = rest
        if not any(take_turns(first[0].service, taken.service) for taken, _ in chosen):
            extend([*chosen, first], others)
            if not any(take_turns(first[0].service, other.service) for other, _ in others):
                return
        extend(chosen, others)

    extend([], known)
    return best


def claimed(planned: list[Planned]) -> float:
    """Return the bytes that services take together."""
    return sum(plan.memory.claim or 0.0 for _, plan in planned)


def _machine_plan(machine: Machine, planned: list[Planned]) -> MachinePlan:
    hardware = machine.hardware
    available = available_bytes(machine)
    system = None
    if hardware is not None and hardware.unified and hardware.visible_mib is not None and available is not None:
        system = hardware.visible_mib * _MIB - available
    together = most_together(planned)
    return MachinePlan(
        machine=machine.name,
        hardware=machine.hardware_name or (hardware.target or hardware.accelerator if hardware is not None else ""),
        description=hardware_descriptions().get(machine.hardware_name or "", ""),
        accelerator="" if hardware is None else hardware.accelerator,
        unified=hardware is not None and hardware.unified,
        available=available,
        system=system,
        total=float(hardware.memory_mib * _MIB) if hardware is not None else 0.0,
        together=claimed(together) if planned else None,
        at_once=tuple(plan.service for _, plan in together),
        services=tuple(plan for _, plan in planned),
    )
