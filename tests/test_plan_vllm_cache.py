"""vLLM's allocator: pages, groups, and what one sequence holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.catalog import models
from generator.plan.vllm_cache import Layout, cache_element_bytes, layout
from generator.shapes.shape import AttentionLayers, Parameters, RecurrentLayers, Shape


def shape(*attention: AttentionLayers, recurrent: tuple[RecurrentLayers, ...] = ()) -> Shape:
    return Shape("A", 2, 64, 1000, None, attention, recurrent, Parameters(10**6, 10**5))


def full(layers: int, heads: int = 8, dim: int = 128) -> AttentionLayers:
    return AttentionLayers(layers, 4 * heads, heads, dim, dim)


def sliding(layers: int, window: int = 1024, heads: int = 8, dim: int = 128) -> AttentionLayers:
    return AttentionLayers(layers, 4 * heads, heads, dim, dim, window)


def counts(division: Layout) -> list[int]:
    return [count for _, count in division.groups]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("auto", 2),
        ("bfloat16", 2),
        ("float16", 2),
        ("fp8", 1),
        ("fp8_e4m3", 1),
        ("turboquant_3bit_nc", None),
        ("", None),
    ],
)
def test_number_formats_of_the_cache(name: str, size: int | None) -> None:
    assert cache_element_bytes(name) == size


def test_a_model_of_one_type_has_one_group_of_all_its_layers() -> None:
    division = layout(shape(full(32)), 2)
    assert counts(division) == [1]
    assert division.block_bytes == 32 * 16 * 8 * 256 * 2
    assert division.sequence_bytes(4096, 2048) == 4096 * 32 * 8 * 256 * 2


def test_the_smaller_type_gives_the_groups_size() -> None:
    assert counts(layout(shape(full(10), sliding(52)), 2)) == [1, 6]  # Gemma 3 27B: the sixth is padded


@pytest.mark.parametrize(("layers", "groups"), [(12, [1, 1]), (13, [1, 1]), (14, [1, 1]), (15, [1, 2]), (24, [1, 2])])
def test_types_of_almost_as_many_layers_are_one_group_each(layers: int, groups: list[int]) -> None:
    """Those are padded where the larger is less than a quarter larger (gpt-oss-20b with a draft model's layer)."""
    assert counts(layout(shape(sliding(12), full(layers)), 2)) == groups


def test_two_equal_groups_of_a_shape_are_both_counted() -> None:
    assert counts(layout(shape(full(16), full(16)), 2)) == [1, 1]


def test_a_window_holds_itself_and_one_batch_and_one_block() -> None:
    division = layout(shape(full(1), sliding(1)), 2)
    assert division.blocks_of_sequence(131072, 2048) == 131072 // 16 + math.ceil((1023 + 2048) / 16) + 1


def test_a_context_below_the_window_holds_the_context() -> None:
    division = layout(shape(sliding(1)), 2)
    assert division.blocks_of_sequence(100, 2048) == math.ceil(100 / 16) + 1


def test_heads_of_unlike_sizes_share_pages_of_one_size() -> None:
    """Gemma 4: global layers of 2 heads of 512, local ones of 8 heads of 256."""
    division = layout(shape(full(5, 2, 512), sliding(25, 1024, 8, 256)), 2)
    assert [kind.block_tokens for kind, _ in division.groups] == [32, 16]
    assert division.block_bytes == 5 * 16 * 8 * 512 * 2


def test_a_large_state_raises_the_block_of_attention() -> None:
    qwen = models.shape("Qwen/Qwen3.6-35B-A3B")
    assert qwen is not None
    assert [kind.block_tokens for kind, _ in layout(qwen, 2).groups] == [1056, 0]


def test_a_model_of_recurrent_layers_alone_takes_one_page_a_group_at_any_context() -> None:
    division = layout(shape(recurrent=(RecurrentLayers(4, 1000, 100),)), 2)
    assert division.block_bytes == 4 * (1000 * 4 + 100 * 2)
    assert division.blocks_of_sequence(1, 2048) == division.blocks_of_sequence(10**9, 2048) == 1
    assert division.logged_tokens(division.block_bytes * 3) == 48


@pytest.mark.parametrize(("parallel", "heads"), [(1, 8), (2, 4), (8, 1), (16, 1), (3, 2)])
def test_gpus_share_heads_and_each_has_one_at_least(parallel: int, heads: int) -> None:
    """Of 8 heads, 16 GPUs keep one each twice; 3 GPUs are refused by vLLM itself, and get no nonsense here."""
    assert layout(shape(full(1)), 2, parallel).block_bytes == 16 * heads * 256 * 2


def test_latent_rows_are_on_every_gpu() -> None:
    latent = AttentionLayers(27, 16, 1, 576, 0)
    assert layout(shape(latent), 2, 1) == layout(shape(latent), 2, 8)


def test_no_memory_holds_no_block() -> None:
    division = layout(shape(full(1)), 2)
    assert division.blocks(0) == 0
    assert division.blocks(-1) == 0
    assert division.concurrency(0, 4096, 2048) == 0


@given(
    st.sampled_from(models.shape_names()),
    st.integers(1, 1 << 20),
    st.integers(1, 1 << 20),
    st.integers(1, 1 << 16),
    st.sampled_from([1, 2]),
)
def test_more_context_never_takes_less(name: str, tokens: int, more: int, batched: int, element: int) -> None:
    known = models.shape(name)
    assert known is not None
    division = layout(known, element)
    assert division.sequence_bytes(tokens + more, batched) >= division.sequence_bytes(tokens, batched) > 0
    assert division.sequence_bytes(tokens, batched + more) >= division.sequence_bytes(tokens, batched)
