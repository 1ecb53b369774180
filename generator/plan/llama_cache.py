"""llama.cpp's buffers: keys and values, recurrent state, and what computing needs; as its allocator computes them.

Reproduces every buffer of ``catalog/measurements/memory.csv`` whose model's shape is known, to the byte for keys, values
and states (``bench/plan_accuracy.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.shapes.shape import AttentionLayers, Shape

# Bytes of one element by the name that --cache-type-k takes: blocks of 32 values with a 16-bit scale (and minimum).
CACHE_TYPES = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
_PADDING = 256  # cells are allocated in multiples of it
DEFAULT_UBATCH = 512
_GRAPH_BYTES = 8 * 1024**2


def cells(context: int, window: int | None, sequences: int, ubatch: int) -> int:
    """Return the cells of one layer: ``context`` tokens for all sequences together, or what a window needs of them."""
    whole = -(-context // _PADDING) * _PADDING
    if window is None:
        return whole
    wanted = sequences * window + ubatch
    return min(whole, -(-wanted // _PADDING) * _PADDING)


def kv_bytes(
    layers: AttentionLayers, context: int, sequences: int, ubatch: int, key_type: str = "f16", value_type: str = "f16"
) -> float:
    """Return the bytes of keys and values of one group of layers. ``context`` is the server's: all sequences share it."""
    count = cells(context, layers.window, sequences, ubatch) * layers.layers * layers.kv_heads
    return count * (layers.key_dim * CACHE_TYPES[key_type] + layers.value_dim * CACHE_TYPES[value_type])


def cache_bytes(
    shape: Shape, context: int, sequences: int, ubatch: int, key_type: str = "f16", value_type: str = "f16"
) -> float:
    """Return the bytes of keys and values of all layers."""
    return sum(kv_bytes(layers, context, sequences, ubatch, key_type, value_type) for layers in shape.attention)


def state_bytes(shape: Shape, sequences: int) -> float:
    """Return the bytes of recurrent states: 32 bit, one a sequence."""
    return sum(4.0 * group.layers * (group.state + group.convolution) for group in shape.recurrent) * sequences


def compute_bytes(shape: Shape, context: int, sequences: int, ubatch: int) -> float:
    """Return an estimate of the compute buffers, the host's among them, in bytes; from above.

    The logits of one micro-batch, and its attention mask twice: on the GPU and on the host, where it is for one sequence.
    """
    logits = 4.0 * shape.vocabulary * ubatch
    mask = 4.0 * ubatch * context
    return logits + mask + mask / max(sequences, 1) + 2 * _GRAPH_BYTES
