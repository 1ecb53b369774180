"""What a machine's GPU memory cannot hold: weights larger than it, servers that together claim more than it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog.load import repositories
from generator.spec.rules.finding import Finding
from generator.spec.rules.placement import take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.model import Deployment, Machine, Model, Service
    from generator.spec.rules.finding import Context

_GIB = 1024**3
_MIB_PER_GIB = 1024
# vLLM's own default since 0.20 (domain facts, 2026-11).
_DEFAULT_UTILISATION = 0.92
_EXACT_LIMIT = 16


def check(context: Context) -> Iterator[Finding]:
    """Yield services whose weights cannot fit, and services of one machine that cannot fit together."""
    deployment = context.deployment
    for machine in deployment.machines.values():
        memory = machine.gpu_memory_mib
        if memory is None:
            continue
        available = memory / _MIB_PER_GIB
        placed = [service for service in context.placement.services_on[machine.name] if service.gpu]
        for service in placed:
            yield from _alone(deployment, machine, service, available)
        yield from _together(deployment, machine, placed, available)


def weights_gib(model: Model) -> float | None:
    """Return the GiB that an engine loads of a model: as the spec says, else as the catalog knows, else None."""
    if model.size_gib is not None:
        return model.size_gib
    known = repositories().get(model.repository)
    return None if known is None else known.weight_bytes / _GIB


def claim_gib(deployment: Deployment, service: Service, available: float) -> float | None:
    """Return the GiB of GPU memory that a service takes at least, or None where that is not known.

    vLLM takes its share at start, whatever the model's size; llama.cpp and others take their weights and more.
    """
    model = deployment.models.get(service.model or "")
    weights = None if model is None else weights_gib(model)
    if service.engine != "vllm":
        return weights
    fixed = service.flags.get("kv_cache_memory_bytes")
    if fixed is not None:
        return None if weights is None else weights + float(fixed) / _GIB
    return float(service.flags.get("gpu_memory_utilization", _DEFAULT_UTILISATION)) * available


def _alone(deployment: Deployment, machine: Machine, service: Service, available: float) -> Iterator[Finding]:
    model = deployment.models.get(service.model or "")
    weights = None if model is None else weights_gib(model)
    claim = claim_gib(deployment, service, available)
    if model is None or weights is None or claim is None:
        return
    share = claim if service.engine == "vllm" else available
    if weights <= min(share, available):
        return
    known = repositories().get(model.repository)
    if weights > available:
        what = f"{model.repository} has {weights:.1f} GiB of weights, and {machine.name}'s GPU has {available:.1f} GiB"
        hint = (
            f"serve {known.instead}" if known and known.instead else "choose a smaller model or a smaller quantisation"
        )
        yield Finding(("services", service.name, "model"), what, hint)
    else:
        yield Finding(
            ("services", service.name, "vllm", "gpu_memory_utilization"),
            f"{share:.1f} GiB of {machine.name}'s {available:.1f} GiB are less than the {weights:.1f} GiB of weights",
            f"set it above {weights / available:.2f}",
        )


def _together(deployment: Deployment, machine: Machine, placed: list[Service], available: float) -> Iterator[Finding]:
    claims = [
        (service, claim) for service in placed if (claim := claim_gib(deployment, service, available)) is not None
    ]
    worst = _largest(claims)
    total = sum(claim for _, claim in worst)
    # A share of 0.5 twice is all of it; the last bit of a float must not decide.
    if len(worst) > 1 and total > available * (1 + 1e-9):
        parts = " + ".join(f'{claim:.1f} ("{service.name}")' for service, claim in worst)
        last = worst[-1][0]
        yield Finding(
            ("services", last.name),
            f"{machine.name}'s GPU has {available:.1f} GiB, and its services take {parts} = {total:.1f} GiB at once",
            f'lower what they take, or let them take turns with conflicts = ["{worst[0][0].name}"]',
            key=True,
        )


def _largest(claims: list[tuple[Service, float]]) -> list[tuple[Service, float]]:
    """Return the services that can run at the same time and claim the most together."""
    if len(claims) > _EXACT_LIMIT:
        return claims
    best: list[tuple[Service, float]] = []

    def extend(chosen: list[tuple[Service, float]], rest: list[tuple[Service, float]]) -> None:
        nonlocal best
        if not rest:
            if sum(claim for _, claim in chosen) > sum(claim for _, claim in best):
                best = chosen
            return
        first, *others = rest
        if not any(take_turns(first[0], taken) for taken, _ in chosen):
            extend([*chosen, first], others)
            if not any(take_turns(first[0], other) for other, _ in others):
                return
        extend(chosen, others)

    extend([], claims)
    return best
