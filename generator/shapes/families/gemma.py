"""Gemma 2, 3 and 4: norms before and after each block, windows in most layers, global layers of another shape in 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generator.shapes.families import gqa, parts
from generator.shapes.families.parts import Mixture
from generator.shapes.fields import Fields
from generator.shapes.shape import AttentionLayers, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

# What Gemma3TextConfig of transformers fills in; the published configurations leave these keys out.
_GEMMA3_DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 262208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 131072,
}


def gemma2(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Gemma 2: every other layer looks at all tokens."""
    return gqa.decoder(fields, architecture, gqa.Traits(norms=4, head_dim=256, pattern=2, tied=True))


def gemma3(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Gemma 3: every sixth layer looks at all tokens."""
    filled = Fields({**_GEMMA3_DEFAULTS, **fields.data}, fields.file, fields.path, fields.outer)
    if not filled.has("sliding_window"):
        raise filled.wrong("sliding_window", "is missing", "without it the model's shape is not known")
    return gqa.decoder(filled, architecture, gqa.Traits(norm="head", norms=4, head_dim=256, pattern=6, tied=True))


def gemma4(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Gemma 4: global layers have heads of their own, and may take their keys as values too."""
    for key in ("hidden_size_per_layer_input", "num_kv_shared_layers"):
        if fields.count(key, 0, least=0):
            raise fields.wrong(key, "above 0 is not known here", "give the model's GGUF file, whose tensors say it")
    layers, hidden = fields.layers(), fields.count("hidden_size")
    query, kv = parts.heads(fields)
    if not fields.has("layer_types"):
        raise fields.wrong("layer_types", "is missing", "without it the model's shape is not known")
    local = fields.count("head_dim")
    wide = fields.count("global_head_dim", local)
    shared = fields.flag("attention_k_eq_v", default=False)
    global_kv = fields.count("num_global_key_value_heads", kv) if shared else kv
    if query % global_kv:
        raise fields.wrong("num_global_key_value_heads", f"{global_kv} does not divide num_attention_heads, {query}")
    found, dense = [], 0
    for window in parts.windows(fields, layers):
        width, heads = (wide, global_kv) if window is None else (local, kv)
        layer = AttentionLayers(1, query, heads, width, width, window)
        found.append(layer)
        dense += parts.attention(hidden, layer) + 2 * width
        if window is None and shared:
            dense -= hidden * heads * width  # no projection of values
    dense += layers * (parts.mlp(hidden, fields.count("intermediate_size")) + 4 * hidden)  # beside experts too
    return parts.build(fields, architecture, found, dense, tied=True, mixture=_mixture(fields, layers, hidden))


def _mixture(fields: Fields, layers: int, hidden: int) -> Mixture | None:
    if not fields.flag("enable_moe_block", default=False):
        return None
    count, used = parts.experts(fields, "num_experts", fields.first("top_k_experts", "num_experts_per_tok"))
    width = fields.count(fields.first("moe_intermediate_size", "expert_intermediate_size"))
    # The router has a scale of its input and one of each expert; three more norms stand around the experts.
    dense = hidden * count + hidden + count + 3 * hidden
    return Mixture(count, used, parts.mlp(hidden, width), layers, dense)
