"""The memory that a service takes, part by part, and the largest context and concurrency that fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from generator.catalog import curves
from generator.plan import llama_cache, vllm_cache
from generator.plan.result import Limits, Memory, Part
from generator.plan.weights import loaded_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.plan.ask import Ask
    from generator.shapes.shape import Shape

    _Fits = Callable[[Ask], bool]

WEIGHTS, CACHE, STATE, COMPUTE, REST = (
    "weights",
    "KV cache",
    "recurrent state",
    "compute buffers",
    "activations and graphs",
)
_WEIGHTS_ERROR = 0.1  # of sizes that come from a format's bits, not from files (bench/plan_accuracy.py)
# The estimate of compute buffers over those of measurements/memory.csv: from 0.97 to 1.34.
_COMPUTE_ABOVE, _COMPUTE_BELOW = 1.35, 1.03
_LARGEST = 1 << 24
_MANY = 1 << 16


def memory(asked: Ask, available: float) -> Memory:
    """Return the memory of a service. ``available`` is what the GPU may use, in bytes."""
    parts = _vllm(asked, available) if asked.engine == "vllm" else _llama(asked, available)
    if not asked.loading:
        return parts
    # Where it is not known what is loaded onto this GPU, nothing is known that follows from it; vLLM's share is.
    shared = asked.engine == "vllm" and asked.cache_bytes is None
    return replace(parts, claim=parts.claim if shared else None, cache_available=None)


def limits(asked: Ask, available: float) -> Limits | None:
    """Return the asked context and concurrency beside the largest that fit; None where the model is not known."""
    if asked.known.shape is None or asked.known.weights is None or asked.context is None:
        return None
    if asked.loading:
        return _limits(asked, None)
    if asked.engine != "vllm":
        return _limits(asked, _llama_fits(available))
    left = _vllm(asked, available).cache_available
    return _limits(asked, None) if left is None else limits_within(asked, left)


def limits_within(asked: Ask, cache: float) -> Limits:
    """Return the same for vLLM with so many bytes of cache."""
    shape = asked.known.shape
    if shape is None or asked.element_bytes is None:
        return _limits(asked, None)
    division = _division(asked, shape)

    def fits(changed: Ask) -> bool:
        return division.concurrency(cache, changed.context or 1, changed.batched_tokens) >= changed.sequences

    return _limits(asked, fits)


def _limits(asked: Ask, fits: _Fits | None) -> Limits:
    most = (asked.known.shape.max_context if asked.known.shape is not None else None) or _LARGEST
    sequences = 1 if asked.engine == "vllm" else asked.sequences
    context = asked.context or 1
    shared = asked.shared_context
    together = shared and asked.sequences > 1
    if fits is None:
        return Limits(context, asked.sequences, None, None, together)
    largest = _largest(
        lambda size: fits(asked.with_size(size, sequences, shared=shared)), _LARGEST if asked.stretched else most
    )
    count = _largest(lambda count: fits(asked.with_size(context, count)), _MANY)
    if shared and count < asked.sequences and fits(asked):
        count = asked.sequences  # they share one context, and need not have one each
    return Limits(context, asked.sequences, largest, count, together)


def one_sequence_fits(asked: Ask, parts: Memory) -> bool | None:
    """Return whether vLLM's cache holds one sequence of the asked context: it refuses to start otherwise."""
    shape = asked.known.shape
    if shape is None or asked.context is None or asked.element_bytes is None or parts.cache_available is None:
        return None
    return _division(asked, shape).sequence_bytes(asked.context, asked.batched_tokens) <= parts.cache_available


def sequence_bytes(asked: Ask) -> float:
    """Return the bytes of vLLM's cache that one sequence of the asked context takes, 0 where that is not known."""
    if asked.known.shape is None or asked.context is None:
        return 0.0
    return _division(asked, asked.known.shape).sequence_bytes(asked.context, asked.batched_tokens)


def _llama_fits(available: float) -> _Fits:
    def fits(changed: Ask) -> bool:
        claim = _llama(changed, available).claim
        return claim is not None and claim <= available

    return fits


def _division(asked: Ask, shape: Shape) -> vllm_cache.Layout:
    return vllm_cache.layout(shape, int(asked.element_bytes or 2), asked.parallel)


def _weights(asked: Ask) -> Part | None:
    weights = asked.known.weights
    if weights is None:
        return None
    accelerator = asked.backend if asked.engine == "vllm" else ""
    size = loaded_bytes(weights, asked.known.stored, accelerator) / asked.parallel
    error = 0.0 if weights.measured and size * asked.parallel == weights.total else _WEIGHTS_ERROR
    return Part(WEIGHTS, size, size * (1 - error), size * (1 + error))


def _exact(name: str, size: float) -> Part:
    return Part(name, size, size, size)


def _llama(asked: Ask, available: float) -> Memory:
    weights = _weights(asked)
    shape = asked.known.shape
    parts = [] if weights is None else [weights]
    known = weights is not None and shape is not None and asked.server_context is not None
    if shape is not None and asked.server_context is not None:
        server = llama_cache.Server(
            asked.server_context,
            asked.sequences,
            asked.ubatch,
            asked.key_type,
            asked.value_type,
            unified=asked.shared_context,
        )
        if {asked.key_type, asked.value_type} <= llama_cache.CACHE_TYPES.keys():
            parts.append(_exact(CACHE, llama_cache.cache_bytes(shape, server)))
        else:
            known = False
        if shape.recurrent:
            parts.append(_exact(STATE, llama_cache.state_bytes(shape, server)))
        most = llama_cache.compute_bytes(shape, server)
        parts.append(Part(COMPUTE, most, most / _COMPUTE_ABOVE, most * _COMPUTE_BELOW))
    claim = sum(part.bytes for part in parts) if known else None
    return Memory(available, tuple(parts), claim, None)


def _vllm(asked: Ask, available: float) -> Memory:
    weights = _weights(asked)
    parts = [] if weights is None else [weights]
    unified = asked.machine.hardware is not None and asked.machine.hardware.unified
    rest = curves.overhead("vllm", asked.backend, unified=unified and asked.backend != "cpu")
    if rest is not None:
        parts.append(Part(REST, rest.median, rest.low, rest.high))
    if asked.cache_bytes is not None:
        parts.insert(len(parts) and 1, _exact(CACHE, asked.cache_bytes))
        claim = None if weights is None or rest is None else sum(part.bytes for part in parts)
        return Memory(available, tuple(parts), claim, asked.cache_bytes)
    share = (asked.share or 0.0) * available
    if weights is None:
        return Memory(available, tuple(parts), share, None)
    taken = weights.bytes + (rest.median if rest is not None else 0.0)
    left = max(share - taken, 0.0)
    low = max(share - weights.high - (rest.high if rest else 0.0), 0.0)
    high = max(share - weights.low - (rest.low if rest else 0.0), 0.0)
    parts.insert(1, Part(CACHE, left, low, high))
    return Memory(available, tuple(parts), share, left if rest is not None else None)


def _largest(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest number from 0 to ``most`` that fits, where smaller ones fit too."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
