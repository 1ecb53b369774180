"""Multi-head latent attention with experts: DeepSeek V2 and V3, Kimi K2, GLM-4.7-Flash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.shapes.families import parts
from generator.shapes.families.parts import Mixture
from generator.shapes.shape import AttentionLayers, Shape

if TYPE_CHECKING:
    from generator.shapes.fields import Fields


def latent(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a model that keeps one latent row a token and layer."""
    layers, hidden = fields.layers(), fields.count("hidden_size")
    heads = fields.count("num_attention_heads", most=2**20)
    rank, rotary = fields.count("kv_lora_rank"), fields.count("qk_rope_head_dim")
    plain, value = fields.count("qk_nope_head_dim"), fields.count("v_head_dim")
    query = heads * (plain + rotary)
    query_rank = fields.optional_count("q_lora_rank")
    projections = hidden * query if query_rank is None else query_rank * (hidden + 1 + query)
    # The latent row with its norm, what is made of it for each head, and the output.
    projections += hidden * (rank + rotary) + rank + rank * heads * (plain + value) + heads * value * hidden
    if fields.flag("attention_bias", default=False):
        raise fields.wrong("attention_bias", "true is not known in this family", "see its modelling code")
    mixture = _mixture(fields, layers, hidden)
    dense = layers * (projections + 2 * hidden)
    if layers > mixture.layers:
        dense += (layers - mixture.layers) * parts.mlp(hidden, fields.count("intermediate_size"))
    found = [AttentionLayers(1, heads, 1, rank + rotary, 0)] * layers
    return parts.build(fields, architecture, found, dense, tied=False, mixture=mixture)


def _mixture(fields: Fields, layers: int, hidden: int) -> Mixture:
    count, used = parts.experts(fields, "n_routed_experts", "num_experts_per_tok")
    width = fields.count("moe_intermediate_size")
    first = fields.count("first_k_dense_replace", 0, least=0, most=layers)
    step = fields.count("moe_layer_freq", 1)
    sparse = sum(1 for layer in range(first, layers) if not layer % step)
    dense = hidden * count + parts.mlp(hidden, width * fields.count("n_shared_experts", 0, least=0))
    if fields.text("topk_method") == "noaux_tc":
        dense += count  # a correction for each expert
    return Mixture(count, used, parts.mlp(hidden, width), sparse, dense)
