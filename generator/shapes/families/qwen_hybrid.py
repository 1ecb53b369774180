"""Qwen3-Next and Qwen 3.5: gated DeltaNet in most layers, gated grouped-query attention in the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.shapes.families import gqa, parts
from generator.shapes.shape import AttentionLayers, RecurrentLayers, Shape

if TYPE_CHECKING:
    from generator.shapes.families.parts import Mixture
    from generator.shapes.fields import Fields


@dataclass(frozen=True, slots=True)
class _DeltaNet:
    """Gated DeltaNet: heads of keys and of values, and a short convolution over queries, keys and values."""

    key_heads: int
    key_dim: int
    value_heads: int
    value_dim: int
    kernel: int

    @property
    def channels(self) -> int:
        """Return the elements that go through the convolution."""
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim

    def parameters(self, hidden: int) -> int:
        values = self.value_heads * self.value_dim
        projections = hidden * (self.channels + values + 2 * self.value_heads) + values * hidden
        return projections + self.channels * self.kernel + 2 * self.value_heads + self.value_dim

    def layers(self, count: int, *, state_float32: bool) -> RecurrentLayers:
        state = self.value_heads * self.key_dim * self.value_dim
        return RecurrentLayers(count, state, (self.kernel - 1) * self.channels, state_float32)


def dense(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Qwen 3.5 without experts."""
    return _hybrid(fields, architecture, None)


def mixture(fields: Fields, architecture: str) -> Shape:
    """Return the shape of a Qwen3-Next or a Qwen 3.5 with experts."""
    return _hybrid(fields, architecture, gqa.qwen_mixture(fields))


def _hybrid(fields: Fields, architecture: str, mixture: Mixture | None) -> Shape:
    layers, hidden = fields.layers(), fields.count("hidden_size")
    linear = _linear_layers(fields, layers)
    query, kv = parts.heads(fields)
    width = fields.count("head_dim")
    attention = AttentionLayers(1, query, kv, width, width)
    net = _DeltaNet(
        fields.count("linear_num_key_heads"),
        fields.count("linear_key_head_dim"),
        fields.count("linear_num_value_heads"),
        fields.count("linear_value_head_dim"),
        fields.count("linear_conv_kernel_dim"),
    )
    gate = hidden * query * width if fields.flag("attn_output_gate", default=True) else 0
    bias = fields.flag("attention_bias", default=False)
    block = parts.attention(hidden, attention, qkv_bias=bias, output_bias=bias) + gate + 2 * width
    total = (layers - linear) * block + linear * net.parameters(hidden) + layers * 2 * hidden
    plain = layers - (mixture.layers if mixture else 0)
    if plain:
        total += plain * parts.mlp(hidden, fields.count("intermediate_size"))
    float32 = fields.text("mamba_ssm_dtype") == "float32"
    recurrent = (net.layers(linear, state_float32=float32),) if linear else ()
    found = [attention] * (layers - linear)
    return parts.build(fields, architecture, found, total, tied=False, recurrent=recurrent, mixture=mixture)


def _linear_layers(fields: Fields, layers: int) -> int:
    types = fields.strings("layer_types")
    if types is None:
        return layers - layers // fields.count("full_attention_interval")
    if len(types) != layers:
        raise fields.wrong("layer_types", f"has {len(types)} entries for {layers} layers")
    if unknown := set(types) - {"full_attention", "linear_attention"}:
        raise fields.wrong("layer_types", f'"{min(unknown)}" is not known in this family', "see its modelling code")
    return types.count("linear_attention")
