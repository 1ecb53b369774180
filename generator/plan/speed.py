"""How fast a model decodes and reads prompts: time a token as a sum of what it has to read and to start.

The form is additive: bytes over the nominal bandwidth and a count of layers, each with a coefficient that
``bench/fit.py`` fits to published measurements (``catalog/speed.toml``). Attention that shares keys and values among
few query heads, or among a number of them that is no power of two, reads its cache at another efficiency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.catalog.curves import Curve
    from generator.plan.weights import WeightBytes
    from generator.shapes.shape import AttentionLayers, Shape

_FEW = 4  # query heads a key head, below which kernels are less efficient
_SIXTEEN_BIT = 15.5  # bits a parameter
# Terms that are most of the time where they are not zero: a curve without them would promise too much.
_NEEDED = ("dense", "experts", "slow_experts")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A speed in tokens a second with the band that holds 80 % of what was measured."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stored:
    """A model as it lies in memory that gives ``bandwidth`` bytes a second, nominal."""

    shape: Shape
    weights: WeightBytes
    bandwidth: float

    @property
    def bits(self) -> float:
        """Bits a parameter, over all of them."""
        return self.weights.total * 8 / (self.shape.parameters.total + self.shape.extra_parameters)

    @property
    def sixteen_bit_mixture(self) -> bool:
        """Whether it is a mixture of experts in 16 bit, for which some kernels are slow."""
        return self.shape.mixture and self.bits > _SIXTEEN_BIT


def decode_terms(stored: Stored, depth: int, element_bytes: float, *, slow_experts: bool = False) -> dict[str, float]:
    """Return what decoding one token at a context depth is made of.

    Terms of bytes are seconds at the nominal bandwidth; terms of layers are counts. ``element_bytes`` is the size of
    one cached key or value. ``slow_experts`` says that the engine has no fast kernel for these experts
    (vLLM with MXFP4 on gfx1151): their time is another coefficient's.
    """
    shape, weights, bandwidth = stored.shape, stored.weights, stored.bandwidth
    recurrent = sum(group.layers for group in shape.recurrent)
    cached: dict[str, float] = {"cache_shared": 0.0, "cache_few": 0.0, "cache_odd": 0.0}
    for group in shape.attention:
        rows = depth if group.window is None else min(depth, group.window)
        # A window that slides costs as much as it holds only where its kernel is the slow one.
        kind = _sharing(group)
        if group.window is None or kind == "cache_few":
            cached[kind] += rows * group.layers * group.row_elements * element_bytes / bandwidth
    return {
        "dense": weights.dense / bandwidth,
        "experts": 0.0 if slow_experts else weights.active / bandwidth,
        "slow_experts": weights.active / bandwidth if slow_experts else 0.0,
        **cached,
        "layers": float(shape.layers),
        "recurrent_layers": float(recurrent),
        "mixture_16_bit_layers": float(shape.layers) if stored.sixteen_bit_mixture else 0.0,
    }


def seconds(terms: Mapping[str, float], curve: Curve) -> float:
    """Return the seconds of one token."""
    return sum(curve.coefficients.get(name, 0.0) * value for name, value in terms.items())


def estimate(terms: Mapping[str, float], curve: Curve) -> Estimate | None:
    """Return tokens a second, None where the curve says nothing of these terms: it has seen no experts, say."""
    if any(terms.get(name) and name not in curve.coefficients for name in _NEEDED):
        return None
    time = seconds(terms, curve)
    if time <= 0:
        return None
    return Estimate(1 / time, curve.low / time, curve.high / time)


def batch_terms(terms: Mapping[str, float], shape: Shape, users: int) -> dict[str, float]:
    """Return what one step of ``users`` sequences is made of: weights are read once, caches for each.

    Sequences choose their experts independently: ``users`` of them touch ``n (1 - (1 - k/n)^users)`` of n experts. Slow
    kernels do not grow with them: what they lose is not bandwidth.
    """
    result = dict(terms)
    for name in ("cache_shared", "cache_few", "cache_odd"):
        result[name] *= users
    if shape.expert_count:
        share = shape.experts_per_token / shape.expert_count
        touched = (1 - (1 - share) ** users) / share
        result["experts"] *= touched
    result["users"] = float(users - 1) * shape.layers
    return result


def prefill_terms(stored: Stored, tokens: int, depth: int, batch: int = 512) -> dict[str, float]:
    """Return what reading a prompt costs a token: operations (10^12), attention, and the weights once a batch.

    ``tokens`` is the length of the prompt, ``depth`` what is in the cache before it, ``batch`` how many tokens are
    computed at once; an attention layer looks back over ``depth + tokens/2`` on average.
    """
    shape, weights = stored.shape, stored.weights
    looked = depth + tokens / 2
    attention = 0.0
    for group in shape.attention:
        rows = looked if group.window is None else min(looked, group.window)
        attention += 2 * rows * group.layers * group.query_heads * (group.key_dim + (group.value_dim or group.key_dim))
    counts = shape.parameters
    together = max(min(tokens, batch), 1)
    touched = 0.0
    if shape.expert_count:
        touched = weights.experts * (1 - (1 - shape.experts_per_token / shape.expert_count) ** together)
    sixteen = stored.sixteen_bit_mixture
    return {
        "dense": 2 * max(counts.dense - shape.vocabulary * shape.hidden_size, 0) / 1e12,
        "experts": 0.0 if sixteen else 2 * counts.active / 1e12,
        "mixture_16_bit": 2 * counts.active / 1e12 if sixteen else 0.0,
        "attention": attention / 1e12,
        "reads": (weights.dense + touched) / stored.bandwidth / together,
        "recurrent_layers": float(sum(group.layers for group in shape.recurrent)),
        "layers": float(shape.layers) / together,
    }


def _sharing(group: AttentionLayers) -> str:
    if group.value_dim == 0:  # latent attention has a kernel of its own
        return "cache_shared"
    heads, rest = divmod(group.query_heads, group.kv_heads)
    if rest or heads & (heads - 1):
        return "cache_odd"
    return "cache_few" if heads < _FEW else "cache_shared"
