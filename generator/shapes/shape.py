"""The shape of a model: all that memory and speed follow from. Counts are of parameters or elements, never of bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttentionLayers:
    """Layers that keep rows of keys and values, all alike.

    ``key_dim`` and ``value_dim`` are elements a head. Multi-head latent attention has one head whose key is the latent
    row with its rotary part, and no value (``value_dim`` 0): the row serves as both. ``window`` is the number of tokens
    that a layer looks back, None where it looks at all of them.
    """

    layers: int
    query_heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    window: int | None = None

    @property
    def row_elements(self) -> int:
        """Elements that one token adds to one layer."""
        return self.kv_heads * (self.key_dim + self.value_dim)


@dataclass(frozen=True, slots=True)
class RecurrentLayers:
    """Layers that keep a state of fixed size a sequence (Mamba, gated DeltaNet), all alike.

    ``state`` and ``convolution`` are elements a layer; ``state_float32`` tells whether the model's configuration asks
    for a 32-bit state, which vLLM heeds and llama.cpp has always.
    """

    layers: int
    state: int
    convolution: int
    state_float32: bool = True


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by how a decoded token uses them.

    ``dense`` are read for every token, the output head among them; ``embedding`` is the input embedding where it is not
    the output head too: one row of it is read, which is nothing; ``experts`` are all routed experts, ``active`` those
    that one token reads.
    """

    dense: int
    embedding: int
    experts: int = 0
    active: int = 0

    @property
    def total(self) -> int:
        """All parameters of the text model, without vision towers and layers for speculative decoding."""
        return self.dense + self.embedding + self.experts


@dataclass(frozen=True, slots=True)
class Shape:
    """A model without its numbers' format. ``expert_count`` and ``experts_per_token`` are 0 for a dense model."""

    architecture: str
    layers: int
    hidden_size: int
    vocabulary: int
    max_context: int | None  # tokens; None where its configuration does not say
    attention: tuple[AttentionLayers, ...]
    recurrent: tuple[RecurrentLayers, ...]
    parameters: Parameters
    expert_count: int = 0
    experts_per_token: int = 0
    native_format: str | None = None  # a name of catalog/formats.toml: what the model's own repository holds
    extra_parameters: int = 0  # vision tower and the like: loaded, not read to decode a token

    @property
    def mixture(self) -> bool:
        """Whether a token reads only some of the parameters."""
        return self.parameters.experts > 0
