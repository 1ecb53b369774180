"""llama.cpp's buffers: keys and values, recurrent state, and what computing needs; as its allocator computes them.

Reproduces every buffer of ``catalog/measurements/memory.csv`` whose model's shape is known: keys, values and states to
the byte (``bench/plan_accuracy.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
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
DEFAULT_BATCH, DEFAULT_UBATCH = 2048, 512
_GRAPH_BYTES = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Server:
    """What a llama-server was started with: ``context`` tokens for all ``sequences`` together, types of its cache.

    ``unified`` means that the sequences share one stream of cells; else each has its own, of an equal part of the
    context (llama.cpp, llama-context.cpp and llama-kv-cache-iswa.cpp at b10964, 2026-09).
    """

    context: int
    sequences: int = 1
    ubatch: int = DEFAULT_UBATCH
    key_type: str = "f16"
    value_type: str = "f16"
    unified: bool = False

    @property
    def batch(self) -> int:
        """Tokens of one micro-batch: never more than there is context for."""
        return min(self.ubatch, self.context)

    @property
    def streams(self) -> int:
        """How many parts the cache has."""
        return 1 if self.unified else self.sequences

    def cells(self, window: int | None) -> int:
        """Return the cells of one layer: one for each token of context, or what a window needs of them."""
        whole = _padded(_padded(self.context) // self.streams)
        if window is not None:
            sharing = self.sequences if self.unified else 1
            whole = _padded(min(whole, sharing * window + self.batch))
        return whole * self.streams


def kv_bytes(layers: AttentionLayers, server: Server) -> float:
    """Return the bytes of keys and values of one group of layers."""
    key, value = CACHE_TYPES[server.key_type], CACHE_TYPES[server.value_type]
    row = layers.kv_heads * (layers.key_dim * key + layers.value_dim * value)
    return server.cells(layers.window) * layers.layers * row


def cache_bytes(shape: Shape, server: Server) -> float:
    """Return the bytes of keys and values of all layers."""
    return sum(kv_bytes(layers, server) for layers in shape.attention)


def state_bytes(shape: Shape, server: Server) -> float:
    """Return the bytes of recurrent states: 32 bit, one a sequence."""
    return sum(4.0 * group.layers * (group.state + group.convolution) for group in shape.recurrent) * server.sequences


def compute_bytes(shape: Shape, server: Server) -> float:
    """Return an estimate of the compute buffers, the host's among them, in bytes; from above.

    The logits of one micro-batch, and its attention mask twice: on the GPU, and on the host for one stream.
    """
    logits = 4.0 * shape.vocabulary * server.batch
    mask = 4.0 * server.batch * server.context
    return logits + mask + mask / server.streams + 2 * _GRAPH_BYTES


def _padded(cells: int) -> int:
    return -(-cells // _PADDING) * _PADDING
