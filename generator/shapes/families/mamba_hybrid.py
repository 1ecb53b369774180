"""Nemotron-H: layers of Mamba-2, attention, feed-forward blocks and experts, one of them a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.shapes.families import parts
from generator.shapes.families.parts import Mixture
from generator.shapes.shape import AttentionLayers, RecurrentLayers, Shape

if TYPE_CHECKING:
    from generator.shapes.fields import Fields

_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


def nemotron_h(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Nemotron-H; its pattern says what each layer is."""
    kinds = _kinds(fields)
    hidden = fields.count("hidden_size")
    query, kv = parts.heads(fields)
    width = fields.count(fields.first("head_dim", "attention_head_dim"))
    attention = AttentionLayers(1, query, kv, width, width)
    bias = fields.flag("attention_bias", default=False)
    dense = len(kinds) * hidden  # one norm a layer
    dense += kinds.count("attention") * parts.attention(hidden, attention, qkv_bias=bias, output_bias=bias)
    if plain := kinds.count("mlp"):
        dense += plain * parts.mlp(hidden, fields.count("intermediate_size"), 2)
    recurrent: tuple[RecurrentLayers, ...] = ()
    if mamba := kinds.count("mamba"):
        layers, parameters = _mamba(fields, hidden, mamba)
        recurrent = (layers,)
        dense += mamba * parameters
    sparse = kinds.count("moe")
    return parts.build(
        fields,
        architecture,
        [attention] * kinds.count("attention"),
        dense,
        tied=False,
        recurrent=recurrent,
        mixture=_mixture(fields, hidden, sparse) if sparse else None,
        layers=len(kinds),
    )


def _kinds(fields: Fields) -> tuple[str, ...]:
    kinds = fields.strings("layers_block_type")
    key = "layers_block_type"
    if kinds is None:
        key = "hybrid_override_pattern"
        pattern = fields.text(key)
        if not pattern:
            raise fields.wrong(key, "is missing", "without it the model's shape is not known")
        kinds = tuple(_LETTERS.get(letter, letter) for letter in pattern)
    if unknown := set(kinds) - set(_LETTERS.values()):
        raise fields.wrong(key, f'"{min(unknown)[:40]}" is no kind of layer that is known', "see its modelling code")
    layers = fields.layers(default=len(kinds) or None)
    if layers != len(kinds):
        raise fields.wrong(key, f"has {len(kinds)} entries for {layers} layers")
    return kinds


def _mamba(fields: Fields, hidden: int, count: int) -> tuple[RecurrentLayers, int]:
    """Return Mamba-2 layers and the parameters of one of them."""
    heads, state = fields.count("mamba_num_heads"), fields.count("ssm_state_size")
    inner = heads * fields.count("mamba_head_dim")
    kernel = fields.count("conv_kernel")
    channels = inner + 2 * fields.count("n_groups") * state
    parameters = hidden * (inner + channels + heads) + inner * hidden + inner + 3 * heads
    parameters += channels * (kernel + (1 if fields.flag("use_conv_bias", default=True) else 0))
    if fields.flag("mamba_proj_bias", default=False):
        parameters += inner + channels + heads + hidden
    # Without the key, vLLM keeps the state as the model's own type; configurations since Nemotron 3 say float32.
    float32 = fields.text("mamba_ssm_cache_dtype") == "float32"
    return RecurrentLayers(count, inner * state, (kernel - 1) * channels, float32), parameters


def _mixture(fields: Fields, hidden: int, layers: int) -> Mixture:
    count, used = parts.experts(fields, "n_routed_experts", "num_experts_per_tok")
    shared = fields.count("n_shared_experts", 1, least=0) * fields.count("moe_shared_expert_intermediate_size")
    dense = hidden * count + count + parts.mlp(hidden, shared, 2)
    inner = hidden
    if fields.has("moe_latent_size"):  # experts work on a narrower row, made and unmade once a layer
        inner = fields.count("moe_latent_size")
        dense += 2 * hidden * inner
    one = parts.mlp(inner, fields.count("moe_intermediate_size"), 2)
    return Mixture(count, used, one, layers, dense)
