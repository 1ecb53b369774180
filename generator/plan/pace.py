"""The speed of a service: which curve holds for it, and what that says for one user, for all, and for a first token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog import curves
from generator.plan import speed
from generator.plan.result import Speed

if TYPE_CHECKING:
    from generator.catalog.curves import Curve
    from generator.plan.ask import Ask

# The driver that nixpkgs gives to Vulkan on an AMD GPU.
_DRIVERS = {"vulkan": "vulkan-radv"}
# Curves are fitted on these; on other hardware of the same kind they were never checked.
_FITTED = {"vulkan-radv": ("gfx1151",), "rocm": ("gfx1151",)}
# Far below the smallest model of a fit, what counts is what the fit could not see: starting work, not reading bytes.
_BELOW = 0.5
# vLLM's MXFP4 kernels since this release: no speed of them was published (facts in nix/data/vllm-releases.toml).
_SLOW_FORMAT = "mxfp4"


def pace(asked: Ask, depth: int) -> Speed | None:
    """Return the speed of a service at a context depth in tokens; None where its model or its memory is not known."""
    shape, weights = asked.known.shape, asked.known.weights
    hardware = asked.machine.hardware
    if shape is None or weights is None or hardware is None or asked.element_bytes is None:
        return None
    prompt = min(asked.service.expect.prompt_tokens, asked.context or asked.service.expect.prompt_tokens)
    curve = _curve(asked)
    if curve is None or hardware.bandwidth_gbs is None or weights.read < curve.smallest * _BELOW:
        return Speed(depth, prompt, None, None, None, None, None, None, None)
    stored = speed.Stored(shape, weights, hardware.bandwidth_gbs * 1e9)
    shallow = _terms(asked, stored, 0)
    deep = _terms(asked, stored, depth)
    decode = _estimate(asked, shallow, curve)
    reading = _curve(asked, ".prefill")
    prefill = None
    if reading is not None:
        terms = speed.prefill_terms(stored, prompt, 0, asked.ubatch)
        prefill = speed.estimate(terms, reading)
    first = None
    if prefill is not None and decode is not None:
        first = speed.Estimate(
            prompt / prefill.value + 1 / decode.value,
            prompt / prefill.high + 1 / decode.high,
            prompt / prefill.low + 1 / decode.low,
        )
    users = asked.sequences if asked.sequences_asked else 1
    batch = None
    if users > 1 and "users" in curve.coefficients:
        one = _estimate(asked, speed.batch_terms(shallow, shape, users), curve)
        batch = None if one is None else speed.Estimate(one.value * users, one.low * users, one.high * users)
    return Speed(
        depth=depth,
        prompt=prompt,
        decode=decode,
        decode_deep=_estimate(asked, deep, curve) if depth and "cache_shared" in curve.coefficients else None,
        batch=batch,
        prefill=prefill,
        first_token=first,
        curve=curve.name,
        error=curve.error,
    )


def slow_experts(asked: Ask) -> bool:
    """Return whether the engine's kernels for these experts are the slow ones that were measured."""
    target = asked.machine.hardware.target if asked.machine.hardware is not None else None
    stored = asked.known.stored
    return asked.engine == "vllm" and target == "gfx1151" and stored is not None and stored.name == _SLOW_FORMAT


def _curve(asked: Ask, suffix: str = "") -> Curve | None:
    driver = _DRIVERS.get(asked.backend, asked.backend)
    target = asked.machine.hardware.target if asked.machine.hardware is not None else None
    if driver in _FITTED and target not in _FITTED[driver]:
        return None
    if asked.loading or asked.parallel > 1:  # nothing was measured of either
        return None
    return curves.curve(f"{asked.engine}.{driver}{suffix}")


def _terms(asked: Ask, stored: speed.Stored, depth: int) -> dict[str, float]:
    return speed.decode_terms(stored, depth, asked.element_bytes or 2.0, slow_experts=slow_experts(asked))


def _estimate(asked: Ask, terms: dict[str, float], curve: Curve) -> speed.Estimate | None:
    found = speed.estimate(terms, curve)
    if found is None or not slow_experts(asked):
        return found
    # Later releases have other kernels, which nobody has published a speed of: they may be as good as the rest of vLLM.
    fast = dict(terms)
    fast["experts"] += fast.pop("slow_experts")
    best = speed.estimate(fast, curve)
    return speed.Estimate(found.value, found.low, max(found.high, best.high if best else 0.0))
