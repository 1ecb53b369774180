"""Decoders of grouped-query attention with or without routed experts: Llama and what was built after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.shapes.families import parts
from generator.shapes.families.parts import Mixture
from generator.shapes.shape import AttentionLayers, Shape

if TYPE_CHECKING:
    from generator.shapes.fields import Fields


@dataclass(frozen=True, slots=True)
class Traits:
    """In what a family differs from Llama, whose configuration says all the rest.

    ``qkv_bias`` None leaves it to ``attention_bias``, which then gives the output projection a bias too unless
    ``output_bias`` is False. ``norm`` tells which query and key norms there are: none, a head wide, or a row wide.
    """

    qkv_bias: bool | None = None
    output_bias: bool = True
    norm: str = "none"
    norms: int = 2  # of the hidden size, a layer
    sinks: bool = False  # one learnt number a head
    kv_default: bool = False
    head_dim: int | None = None
    pattern: int | None = None
    windows: bool = True  # False where a window counts only if use_sliding_window says so
    tied: bool = False


def decoder(fields: Fields, architecture: str, traits: Traits, mixture: Mixture | None = None) -> Shape:
    """Return the shape of a decoder; ``mixture`` stands in place of the plain blocks of as many layers."""
    layers, hidden = fields.layers(), fields.count("hidden_size")
    query, kv = parts.heads(fields, kv_default=traits.kv_default)
    width = parts.head_dim(fields, query, traits.head_dim)
    found = [AttentionLayers(1, query, kv, width, width, window) for window in _windows(fields, layers, traits)]
    plain = layers - (mixture.layers if mixture else 0)
    dense = layers * (_attention(fields, hidden, found[0], traits) + traits.norms * hidden)
    if plain:
        intermediate = fields.count("intermediate_size")
        bias = 2 * intermediate + hidden if fields.flag("mlp_bias", default=False) else 0
        dense += plain * (parts.mlp(hidden, intermediate) + bias)
    return parts.build(fields, architecture, found, dense, tied=traits.tied, mixture=mixture)


def _attention(fields: Fields, hidden: int, layer: AttentionLayers, traits: Traits) -> int:
    said = fields.flag("attention_bias", default=False)
    qkv_bias = said if traits.qkv_bias is None else traits.qkv_bias
    found = parts.attention(hidden, layer, qkv_bias=qkv_bias, output_bias=said and traits.output_bias)
    if traits.norm == "head":
        found += 2 * layer.key_dim
    elif traits.norm == "row":
        found += (layer.query_heads + layer.kv_heads) * layer.key_dim
    return found + (layer.query_heads if traits.sinks else 0)


def _windows(fields: Fields, layers: int, traits: Traits) -> list[int | None]:
    if not traits.windows:
        if not fields.flag("use_sliding_window", default=False):
            return [None] * layers
        if fields.data.get("layer_types") is None:
            # Qwen 2 and 3: the layers below max_window_layers look at all tokens.
            size, first = fields.optional_count("sliding_window"), fields.count("max_window_layers", least=0)
            return [None if layer < first else size for layer in range(layers)]
    return parts.windows(fields, layers, traits.pattern)


def _sparse_layers(fields: Fields, layers: int) -> int:
    """Return how many layers have experts by ``decoder_sparse_step`` and ``mlp_only_layers`` (Qwen)."""
    step = fields.count("decoder_sparse_step", 1)
    plain = set(fields.counts("mlp_only_layers") or ())
    return sum(1 for layer in range(layers) if layer not in plain and not (layer + 1) % step)


def qwen_mixture(fields: Fields) -> Mixture:
    """Return the experts of Qwen 2 and 3, with a gated shared expert where its width is said."""
    hidden = fields.count("hidden_size")
    count, used = parts.experts(fields, "num_experts", "num_experts_per_tok")
    shared = fields.count("shared_expert_intermediate_size", 0, least=0)
    dense = hidden * count + (parts.mlp(hidden, shared) + hidden if shared else 0)
    one = parts.mlp(hidden, fields.count("moe_intermediate_size"))
    return Mixture(count, used, one, _sparse_layers(fields, fields.layers()), dense)


def mixtral(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Mixtral: experts in every layer, as wide as ``intermediate_size``."""
    hidden = fields.count("hidden_size")
    count, used = parts.experts(fields, "num_local_experts", "num_experts_per_tok")
    one = parts.mlp(hidden, fields.count("intermediate_size"))
    return decoder(fields, architecture, Traits(), Mixture(count, used, one, fields.layers(), hidden * count))


def gpt_oss(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a gpt-oss: biases everywhere, sinks, every other layer with a window."""
    hidden, width = fields.count("hidden_size"), fields.count("intermediate_size")
    count, used = parts.experts(fields, "num_local_experts", fields.first("num_experts_per_tok", "experts_per_token"))
    one = parts.mlp(hidden, width) + 2 * width + hidden
    mixture = Mixture(count, used, one, fields.layers(), hidden * count + count)
    return decoder(fields, architecture, Traits(sinks=True, head_dim=64, pattern=2), mixture)


def glm4_moe(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a GLM-4.5: the first layers plain, shared experts, a correction for each expert."""
    layers, hidden = fields.layers(), fields.count("hidden_size")
    count, used = parts.experts(fields, "n_routed_experts", "num_experts_per_tok")
    width = fields.count("moe_intermediate_size")
    dense = hidden * count + count + parts.mlp(hidden, width * fields.count("n_shared_experts", 0, least=0))
    first = fields.count("first_k_dense_replace", 0, least=0, most=layers)
    mixture = Mixture(count, used, parts.mlp(hidden, width), layers - first, dense)
    norm = "head" if fields.flag("use_qk_norm", default=False) else "none"
    return decoder(fields, architecture, Traits(output_bias=False, norm=norm), mixture)


def minimax_m2(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a MiniMax-M2: experts in every layer, a correction for each, norms a row wide."""
    hidden = fields.count("hidden_size")
    count, used = parts.experts(fields, "num_local_experts", "num_experts_per_tok")
    one = parts.mlp(hidden, fields.count("intermediate_size"))
    dense = hidden * count + (count if fields.flag("use_routing_bias", default=True) else 0)
    norm = "row" if fields.flag("use_qk_norm", default=True) else "none"
    mixture = Mixture(count, used, one, fields.layers(), dense)
    return decoder(fields, architecture, Traits(norm=norm), mixture)


def llama4(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Llama 4: chunked attention but in every fourth layer, and one shared expert."""
    layers, hidden = fields.layers(), fields.count("hidden_size")
    query, kv = parts.heads(fields)
    width = parts.head_dim(fields, query)
    chunk = fields.optional_count("attention_chunk_size")
    rotary = fields.counts("no_rope_layers") or tuple(int(bool((layer + 1) % 4)) for layer in range(layers))
    if len(rotary) != layers:
        raise fields.wrong("no_rope_layers", f"has {len(rotary)} entries for {layers} layers")
    found = [AttentionLayers(1, query, kv, width, width, chunk if uses else None) for uses in rotary]
    step = fields.count("interleave_moe_layer_step", 1)
    sparse = sum(1 for layer in range(layers) if not (layer + 1) % step)
    count, used = parts.experts(fields, "num_local_experts", "num_experts_per_tok")
    one = parts.mlp(hidden, fields.count("intermediate_size"))
    mixture = Mixture(count, used, one, sparse, hidden * count + one)
    bias = fields.flag("attention_bias", default=False)
    block = parts.attention(hidden, found[0], qkv_bias=bias, output_bias=bias) + 2 * hidden
    dense = layers * block
    if sparse < layers:
        dense += (layers - sparse) * parts.mlp(hidden, fields.count("intermediate_size_mlp"))
    return parts.build(fields, architecture, found, dense, tied=False, mixture=mixture)
