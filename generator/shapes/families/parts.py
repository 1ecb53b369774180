"""Parts that families share: the basics of a configuration, parameters of blocks, and the way from parts to a shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from generator.shapes.formats import native_format
from generator.shapes.shape import AttentionLayers, Parameters, RecurrentLayers, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from generator.shapes.fields import Fields


@dataclass(frozen=True, slots=True)
class Mixture:
    """Routed experts of one layer: ``parameters`` of one of them, how many there are, how many a token reads.

    ``layers`` is the number of layers that have them; ``dense`` what every token reads beside them in such a layer
    (router, shared experts).
    """

    count: int
    used: int
    parameters: int
    layers: int
    dense: int


def mlp(hidden: int, width: int, matrices: int = 3) -> int:
    """Return the parameters of a feed-forward block without biases: gated ones have three matrices, others two."""
    return matrices * hidden * width


def attention(hidden: int, layer: AttentionLayers, *, qkv_bias: bool = False, output_bias: bool = False) -> int:
    """Return the parameters of the four projections of one layer of grouped-query attention."""
    query = layer.query_heads * layer.key_dim
    keys_and_values = layer.row_elements
    output = layer.query_heads * layer.value_dim
    weights = hidden * (query + keys_and_values + output)
    return weights + (query + keys_and_values if qkv_bias else 0) + (hidden if output_bias else 0)


def heads(fields: Fields, *, kv_default: bool = False) -> tuple[int, int]:
    """Return the numbers of query heads and of key and value heads, which divides the first.

    ``kv_default``: where the second is missing, it is the first, as the family's configuration class has it.
    """
    query = fields.count("num_attention_heads", most=2**20)
    kv = fields.count("num_key_value_heads", query if kv_default else None, most=2**20)
    if query % kv:
        raise fields.wrong("num_key_value_heads", f"{kv} does not divide num_attention_heads, {query}")
    return query, kv


def head_dim(fields: Fields, query_heads: int, default: int | None = None) -> int:
    """Return the elements of a head: said, the family's default, or the hidden size divided among the heads."""
    if fields.has("head_dim") or default is not None:
        return fields.count("head_dim", default)
    hidden = fields.count("hidden_size")
    if hidden % query_heads:
        raise fields.wrong("head_dim", f"is missing, and {query_heads} heads do not divide hidden_size, {hidden}")
    return hidden // query_heads


def experts(fields: Fields, count_key: str, used_key: str) -> tuple[int, int]:
    """Return the number of routed experts and how many of them a token reads."""
    count = fields.count(count_key, most=2**20)
    used = fields.count(used_key)
    if used > count:
        raise fields.wrong(used_key, f"{used} of {count} experts is more than there are")
    return count, used


def windows(fields: Fields, layers: int, pattern: int | None = None) -> list[int | None]:
    """Return for each layer the tokens that it looks back, None for all of them.

    ``layer_types`` decides; then a pattern, as a number (every n-th layer looks at all tokens) or as text ("LLLG");
    then ``pattern``, the family's own. Without any, a window is every layer's.
    """
    size = fields.optional_count("sliding_window") if fields.flag("use_sliding_window", default=True) else None
    if size is None:
        return [None] * layers
    types = fields.strings("layer_types")
    if types is not None:
        if len(types) != layers:
            raise fields.wrong("layer_types", f"has {len(types)} entries for {layers} layers")
        kinds = {"full_attention": None, "sliding_attention": size}
        if unknown := set(types) - set(kinds):
            raise fields.wrong("layer_types", f'"{min(unknown)}" is not known in this family', "see its modelling code")
        return [kinds[kind] for kind in types]
    said = fields.data.get("sliding_window_pattern")
    if isinstance(said, str):
        if not said or set(said) - set("LG"):
            raise fields.wrong("sliding_window_pattern", f'"{said[:40]}" is no text of L and G')
        return [None if said[layer % len(said)] == "G" else size for layer in range(layers)]
    every = fields.count("sliding_window_pattern", pattern or 0, least=0)
    return [None if every and not (layer + 1) % every else size for layer in range(layers)]


def gather(layers: Iterable[AttentionLayers]) -> tuple[AttentionLayers, ...]:
    """Return layers, one at a time, as groups of equal ones: those that look at all tokens first."""
    found: dict[AttentionLayers, int] = {}
    for layer in layers:
        found[layer] = found.get(layer, 0) + layer.layers
    groups = [replace(layer, layers=count) for layer, count in found.items()]
    return tuple(sorted(groups, key=lambda group: group.window or 0))


def build(  # noqa: PLR0913 - the parts of a shape
    fields: Fields,
    architecture: str,
    attention_layers: Sequence[AttentionLayers],
    dense: int,
    *,
    tied: bool,
    recurrent: tuple[RecurrentLayers, ...] = (),
    mixture: Mixture | None = None,
    layers: int | None = None,
) -> Shape:
    """Return the shape that parts make: ``dense`` are the parameters of all layers, without norms after them or head.

    ``tied`` is what the family does where ``tie_word_embeddings`` is not said.
    """
    hidden, vocabulary = fields.count("hidden_size"), fields.count("vocab_size")
    said = fields if fields.has("tie_word_embeddings") else fields.outer or fields
    table = vocabulary * hidden
    dense += hidden + table  # the last norm and the output head
    parameters = Parameters(dense, 0 if said.flag("tie_word_embeddings", default=tied) else table)
    if mixture is not None:
        every = mixture.layers * mixture.parameters
        dense += mixture.layers * mixture.dense
        parameters = replace(parameters, dense=dense, experts=every * mixture.count, active=every * mixture.used)
    return Shape(
        architecture=architecture,
        layers=fields.layers() if layers is None else layers,
        hidden_size=hidden,
        vocabulary=vocabulary,
        max_context=fields.optional_count("max_position_embeddings"),
        attention=gather(attention_layers),
        recurrent=recurrent,
        parameters=parameters,
        expert_count=mixture.count if mixture else 0,
        experts_per_token=mixture.used if mixture else 0,
        native_format=native_format(fields),
    )
