"""The plan of one service on one machine, from what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generator.catalog import models
from generator.catalog.load import version_key
from generator.plan.memory import limits, memory, one_sequence_fits
from generator.plan.pace import pace, slow_experts
from generator.plan.published import published
from generator.plan.result import Caveat, Memory, ServicePlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.plan.ask import Ask
    from generator.plan.result import Limits, Speed

_MIB = 1024**2
_GIB = 1024**3
SLOW, UNPROVEN = "slow", "unproven"
# vLLM with MXFP4 on gfx1151: its kernels changed with this release (nix/data/vllm-releases.toml).
_OTHER_KERNELS = "0.22.0"
_FULL = 0.97  # of the GPU's memory: above it, a plan of estimates is no promise


def plan_service(asked: Ask, neighbours: int, *, brief: bool = False) -> ServicePlan:
    """Return the plan of a service; ``neighbours`` are the services on its machine's GPU, itself included.

    A ``brief`` plan is what decides: without limits, caveats and published measurements.
    """
    service, machine, repository = asked.service, asked.machine, asked.repository
    available = asked.available
    taken = Memory(0.0, (), None, None) if available is None else memory(asked, available)
    bounds = None if brief or available is None else limits(asked, available)
    speed = pace(asked, asked.context or 0)
    unknown = tuple(_unknown(asked, taken, speed))
    needs = tuple(_needs(asked, taken, speed))
    fits = feasible(asked, taken)
    notes = () if brief else (*_own(asked, taken, bounds), *_recorded(asked, neighbours))
    weights = asked.known.weights
    disk = machine.disk.read_mib_s
    return ServicePlan(
        service=service.name,
        machine=machine.name,
        engine=service.engine,
        release=asked.release,
        model=repository,
        format=None if asked.known.stored is None else asked.known.stored.name,
        verdict=_verdict(fits, notes, needs),
        memory=taken,
        limits=bounds,
        speed=speed,
        load=None if weights is None or disk is None else weights.total / (disk * _MIB),
        disk=None if weights is None else weights.total,
        measured=() if brief else published(asked),
        caveats=notes,
        needs=needs,
        accepted=service.accept,
        unknown=unknown,
        gpu=service.gpu,
    )


def feasible(asked: Ask, taken: Memory) -> bool | None:
    """Return whether a service fits alone; None where that is not known.

    vLLM must hold its weights and one sequence of the asked context in its share, by the most favourable of what was
    seen beside them; what only may fail is a caveat. No service has more context than its model knows.
    """
    weights = next((part for part in taken.parts if part.name == "weights"), None)
    if asked.too_long:
        return False
    if weights is None or asked.loading:
        return None
    if asked.engine == "vllm":
        return _starts(asked, taken, weights.low)
    if taken.claim is None:
        return False if weights.bytes > taken.available else None
    return taken.claim <= taken.available


def _starts(asked: Ask, taken: Memory, weights: float) -> bool | None:
    """Return whether vLLM starts, with so many bytes of weights at least."""
    fixed = asked.cache_bytes
    share = taken.available if fixed is not None else (asked.share or 0.0) * taken.available
    if weights + (fixed or 0.0) > share or max(share, taken.claim or 0.0) > taken.available:
        return False
    cache = next((part for part in taken.parts if part.name == "KV cache"), None)
    if cache is None:
        return None
    return one_sequence_fits(asked, Memory(taken.available, taken.parts, taken.claim, cache.high))


def _verdict(fits: bool | None, notes: tuple[Caveat, ...], needs: tuple[str, ...]) -> str:  # noqa: FBT001
    if fits is None:
        return "unknown"
    if not fits:
        return "not feasible"
    return "feasible with caveats" if notes or needs else "feasible"


def _needs(asked: Ask, taken: Memory, speed: Speed | None) -> Iterator[str]:
    expect = asked.service.expect
    decode = None if speed is None else speed.decode
    first = None if speed is None else speed.first_token
    if (decode is not None and decode.value < expect.decode_tokens_s) or (
        first is not None and first.value > expect.first_token_s
    ):
        yield SLOW
    changed = slow_experts(asked) and (
        asked.release is None or version_key(asked.release) >= version_key(_OTHER_KERNELS)
    )
    if decode is None or taken.claim is None or changed:
        yield UNPROVEN


def _unknown(asked: Ask, taken: Memory, speed: Speed | None) -> Iterator[str]:
    if asked.known.why:
        yield f"the model: {asked.known.why}"
    elif asked.loading:
        yield f"what this GPU holds: {asked.loading} changes what is loaded onto it, and no rule says by how much"
    elif asked.available is None:
        yield f"the memory of {asked.machine.name} beside its GPU's"
    elif asked.context is None:
        yield "the KV cache: no context is set, and the model's largest is not known"
    elif taken.claim is None and asked.engine != "vllm":
        yield f"the KV cache: no element of {asked.key_type} and {asked.value_type} has a size here"
    elif taken.claim is None:
        yield "what it takes beside weights and cache: nothing was measured of this engine on such a GPU"
    elif asked.element_bytes is None:
        yield "the KV cache: no element of its number format has a size here"
    if speed is None or speed.decode is None:
        yield "speed: no published measurement covers this engine and model on this hardware"
    elif speed.prefill is None:
        yield "the first token's delay: no published measurement of prompts covers this engine on this hardware"


def _own(asked: Ask, taken: Memory, bounds: Limits | None) -> Iterator[Caveat]:
    """Yield caveats that follow from this plan's own numbers."""
    for name in asked.adding:
        yield Caveat(f"{name} loads something beside the model, which is not counted here", "this plan")
    if taken.claim is not None and asked.engine != "vllm" and taken.available * _FULL < taken.claim <= taken.available:
        yield Caveat("less than 3 % of the GPU's memory is left", "this plan")
    if asked.engine == "vllm" and one_sequence_fits(asked, taken) is False:
        yield Caveat(
            "the KV cache may be too small for one sequence of this context, by the median of what vLLM takes beside",
            "this plan",
        )
    if not asked.context_asked and asked.context is not None:
        if asked.engine == "vllm":
            text = f"no max_model_len is set: vLLM wants the model's largest context, {asked.context} tokens"
        else:  # common_fit_params, on by default, 2026-09
            text = (
                f"no ctx_size is set: llama-server takes the model's own, {asked.context} tokens a slot, and quietly "
                "less where it finds less memory free"
            )
        yield Caveat(text, "this plan")
    if bounds is not None and bounds.largest_concurrency is not None and asked.sequences_asked:
        most = bounds.largest_concurrency
        if asked.engine == "vllm" and 0 < most < bounds.concurrency:
            yield Caveat(
                f"{most} of {bounds.concurrency} sequences of the full context fit into the cache; the rest wait",
                "this plan",
            )


def _recorded(asked: Ask, neighbours: int) -> Iterator[Caveat]:
    from generator.catalog import caveats  # a brief plan has none

    known = facts(asked, neighbours)
    for entry in caveats.caveats():
        if entry.holds(known):
            yield Caveat(entry.text, f"{entry.source}, {entry.date}")


def facts(asked: Ask, neighbours: int) -> dict[str, Any]:
    """Return the facts of a service that caveats ask for, by the names that their conditions use."""
    machine, hardware, known = asked.machine, asked.machine.hardware, asked.known
    gpu = hardware is not None and hardware.accelerator != "cpu" and asked.on_gpu
    return {
        "target": hardware.target if hardware is not None and gpu else None,
        "accelerator": hardware.accelerator if hardware is not None and gpu else "cpu",
        "unified": bool(hardware is not None and hardware.unified),
        "engine": asked.engine,
        "backend": asked.backend,
        "format": None if known.stored is None else known.stored.name.removesuffix("-gguf"),
        "repository": known.repository.name if known.repository is not None else None,
        "derestricted": any(models.derestricted(name) for name in (asked.repository, *asked.service.models) if name),
        "kernel": machine.kernel.minimum,
        "release": asked.release,
        "iommu": machine.iommu,
        "gtt_limit": machine.gtt_mib is not None,
        "gttsize": machine.gttsize_parameter,
        "utilisation": asked.share if asked.cache_bytes is None else None,
        "eager": asked.eager,
        "mmap": asked.mmap,
        "mixture": known.shape is not None and known.shape.mixture,
        "weights": None if known.weights is None else known.weights.total / _GIB,
        "services": neighbours,
    }
