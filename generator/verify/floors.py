"""How fast a service must be, and how much it may take: what its spec asks for, beside what the plan says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.plan.memory import CACHE

if TYPE_CHECKING:
    from generator.plan.result import MachinePlan, Plan, ServicePlan
    from generator.spec.service import Service

_MIB = 1024**2
_SLACK = 1.05


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit and the rule that it comes from."""

    value: float
    rule: str


@dataclass(frozen=True, slots=True)
class Floors:
    """What a service is accepted by."""

    first_token: Bound  # seconds, at most
    decode: Bound  # tokens a second of one request, at least
    band: tuple[float, float] | None = None  # tokens a second that the plan expects; outside is worth a look
    first_band: tuple[float, float] | None = None  # seconds to the first token that the plan expects
    memory: Bound | None = None  # MiB of the machine's GPU memory, at most


def floors(service: Service, plan: Plan, machine: str) -> Floors:
    """Return what a service is accepted by on a machine.

    The speed is what the spec asks for (``expect``, whose defaults are sections 6 and 12 of docs/plan.md); where the
    spec accepts that the plan is slower (``accept``), the plan's worst case.
    """
    asked = service.expect
    first = Bound(asked.first_token_s, f"spec: services.{service.name}.expect.first_token_s")
    decode = Bound(asked.decode_tokens_s, f"spec: services.{service.name}.expect.decode_tokens_s")
    found = next((one for one in plan.machines if one.machine == machine), None)
    planned = next((one for one in found.services if one.service == service.name), None) if found else None
    if found is None or planned is None:
        return Floors(first, decode)
    speed = planned.speed
    band = None if speed is None or speed.decode is None else (speed.decode.low, speed.decode.high)
    if "slow" in planned.needs and "slow" in service.accept and speed is not None:
        if band is not None and band[0] < decode.value:
            decode = Bound(band[0], "plan: decode at least; the spec accepts that it is slow")
        if speed.first_token is not None and speed.first_token.high > first.value:
            first = Bound(speed.first_token.high, "plan: first token at most; the spec accepts that it is slow")
    first_band = None if speed is None or speed.first_token is None else (speed.first_token.low, speed.first_token.high)
    return Floors(first, decode, band, first_band, _memory(found, planned))


def _memory(machine: MachinePlan, planned: ServicePlan) -> Bound | None:
    """Return what may be in use on the GPU: all that may run at once with the service, each at its most.

    A twentieth more is let pass: what an engine takes beside its share is not known. It is never more than the GPU has,
    whatever the estimates of parts add up to.
    """
    if not planned.gpu or planned.memory.claim is None:
        return None
    names = machine.at_once if planned.service in machine.at_once else (planned.service,)
    sizes = [_most(one) for one in machine.services if one.service in names]
    if None in sizes:
        return None
    most = _SLACK * sum(size for size in sizes if size is not None)
    available = planned.memory.available
    capped = ", which is all that the GPU has" if most > available else ""
    return Bound(round(min(most, available) / _MIB), f"plan: {', '.join(names)}, at most{capped}")


def _most(planned: ServicePlan) -> float | None:
    """Return the bytes that a service takes at most, None where that is not known.

    vLLM's share holds its parts together, so that one of them is smaller where another is larger; what it takes beside
    its share is not known of any release. A cache of a fixed size is beside the rest, which is then an estimate.
    """
    claim = planned.memory.claim
    if claim is None:
        return None
    fixed = any(part.name == CACHE and part.exact and part.bytes for part in planned.memory.parts)
    if planned.engine == "vllm" and not fixed:
        return claim
    return max(claim, sum(part.high for part in planned.memory.parts))
