"""vLLM's KV cache: how its allocator divides memory into pages, and what fits into them.

Layers of one type form groups of equal size; every group has pages of the same bytes, so the tokens a page of the
smaller type are raised; a sliding window needs its window and one batch, a recurrent state one page. Read in vLLM 0.11
to 0.33 and held against every run of ``catalog/measurements/memory.csv`` that prints its available memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.shapes.shape import Shape

BLOCK_TOKENS = 16
_STATE_BYTES = 4  # of a state that the configuration wants in 32 bit
# Groups have the size of the smallest type, unless the largest is not much larger (vLLM, kv_cache_utils.py, 2026-09).
_NOT_MUCH_LARGER = 1.25
_CACHE_BYTES = {"auto": 2, "bfloat16": 2, "float16": 2, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1, "fp8_inc": 1}


def cache_element_bytes(kv_cache_dtype: str) -> int | None:
    """Return the bytes of one element by the value of ``--kv-cache-dtype``, None for one that is not known."""
    return _CACHE_BYTES.get(kv_cache_dtype)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Layers that share a type: bytes a layer of one block, tokens of a block (0 for a state), window (None is all)."""

    layers: int
    block_tokens: int
    window: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cache is divided: bytes of one block over a whole group, and the groups' kinds with their numbers."""

    block_bytes: float
    groups: tuple[tuple[_Kind, int], ...]

    def blocks(self, available: float) -> int:
        """Return how many blocks fit into so many bytes."""
        return max(int(available // self.block_bytes), 0)

    def blocks_of_sequence(self, tokens: int, batched_tokens: int) -> int:
        """Return the blocks that one sequence of so many tokens holds at most."""
        return sum(count * _blocks(kind, tokens, batched_tokens) for kind, count in self.groups)

    def concurrency(self, available: float, tokens: int, batched_tokens: int) -> float:
        """Return how many sequences of so many tokens fit at once; vLLM logs it as maximum concurrency."""
        return self.blocks(available) / self.blocks_of_sequence(tokens, batched_tokens)

    def logged_tokens(self, available: float) -> int:
        """Return what vLLM up to 0.19 logs as "GPU KV cache size", in tokens; with several groups it misleads."""
        block = min((kind.block_tokens for kind, _ in self.groups if kind.block_tokens), default=BLOCK_TOKENS)
        return self.blocks(available) // sum(count for _, count in self.groups) * block

    def sequence_bytes(self, tokens: int, batched_tokens: int) -> float:
        """Return the bytes of one sequence of so many tokens."""
        return self.blocks_of_sequence(tokens, batched_tokens) * self.block_bytes


def layout(shape: Shape, element_bytes: int, parallel: int = 1) -> Layout:
    """Return how vLLM divides the cache of a model; ``parallel`` GPUs share its heads (tensor parallel)."""
    rows = [
        (group, max(group.kv_heads // parallel, 1) * (group.key_dim + group.value_dim) * element_bytes)
        for group in shape.attention
    ]
    states = [
        (group, (group.state * (_STATE_BYTES if group.state_float32 else 2) + group.convolution * 2) / parallel)
        for group in shape.recurrent
    ]
    page = float(max((row * BLOCK_TOKENS for _, row in rows), default=0))
    state = max((size for _, size in states), default=0.0)
    if rows and state > page:
        # The state's page is the larger: the attention block is raised to hold it, in whole sixteens.
        row = max(row for _, row in rows)
        page = float(math.ceil(state / row / BLOCK_TOKENS) * BLOCK_TOKENS * row)
    page = max(page, state)
    kinds = [_Kind(group.layers, int(page // row), group.window) for group, row in rows]
    kinds += [_Kind(group.layers, 0, None) for group, _ in states]
    size, most = min(kind.layers for kind in kinds), max(kind.layers for kind in kinds)
    if most < size * _NOT_MUCH_LARGER:
        size = most
    return Layout(page * size, tuple((kind, -(-kind.layers // size)) for kind in kinds))


def _blocks(kind: _Kind, tokens: int, batched_tokens: int) -> int:
    if kind.block_tokens == 0:
        return 1
    if kind.window is None:
        return -(-tokens // kind.block_tokens)
    held = min(kind.window - 1 + batched_tokens, tokens)
    return -(-held // kind.block_tokens) + 1
