"""llama.cpp's buffers: cells by stream and window, bytes by number format, states, and the published buffers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.plan.llama_cache import CACHE_TYPES, Server, cache_bytes, compute_bytes, kv_bytes, state_bytes
from generator.shapes.shape import AttentionLayers, Parameters, RecurrentLayers, Shape
from tests.planning import MIB

LAYERS = AttentionLayers(layers=2, query_heads=8, kv_heads=2, key_dim=64, value_dim=64)


def shape(*attention: AttentionLayers, recurrent: tuple[RecurrentLayers, ...] = ()) -> Shape:
    return Shape("A", 2, 64, 1000, None, attention, recurrent, Parameters(10**6, 10**5))


@pytest.mark.parametrize(("context", "cells"), [(1, 256), (256, 256), (257, 512), (131072, 131072)])
def test_cells_come_in_multiples_of_256(context: int, cells: int) -> None:
    assert Server(context).cells(None) == cells


@pytest.mark.parametrize(
    ("server", "cells"),
    [
        # The first two are logged by llama.cpp (measurements/memory.csv: id57750453327, id67663730134).
        (Server(8192, 4, unified=True), 4 * 1024 + 512),
        (Server(8192, 4, 2048, unified=True), 4 * 1024 + 2048),
        # Slots with a context of their own keep a window each: min(8192/4, 1024 + 512) cells.
        (Server(8192, 4), 4 * 1536),
        (Server(4096, 4), 4 * 1024),
        (Server(131072, 1), 1536),
        (Server(512, 1), 512),  # the context is smaller than the window
    ],
)
def test_a_window_keeps_its_tokens_and_one_micro_batch_a_stream(server: Server, cells: int) -> None:
    assert server.cells(1024) == cells


def test_slots_of_their_own_round_their_part_of_the_context_up() -> None:
    assert Server(10000, 3).cells(None) == 3 * 3584
    assert Server(10000, 3, unified=True).cells(None) == 10240


def test_a_micro_batch_is_not_larger_than_the_context() -> None:
    assert Server(128, 1, 2048).cells(1024) == 256
    assert compute_bytes(shape(LAYERS), Server(128, 1, 2048)) == compute_bytes(shape(LAYERS), Server(128, 1, 128))


@pytest.mark.parametrize(
    ("name", "bits"), [("f32", 32), ("f16", 16), ("bf16", 16), ("q8_0", 8.5), ("q5_1", 6), ("q4_0", 4.5), ("q4_1", 5)]
)
def test_bytes_are_cells_times_heads_times_bits(name: str, bits: float) -> None:
    server = Server(512, key_type=name, value_type=name)
    assert kv_bytes(LAYERS, server) == 512 * 2 * 2 * (64 + 64) * bits / 8


def test_keys_and_values_may_have_their_own_formats() -> None:
    assert kv_bytes(LAYERS, Server(256, key_type="f32", value_type="q8_0")) == 256 * 2 * 2 * (64 * 4 + 64 * 34 / 32)


def test_latent_attention_has_no_values() -> None:
    latent = AttentionLayers(layers=61, query_heads=128, kv_heads=1, key_dim=576, value_dim=0)
    assert kv_bytes(latent, Server(32768)) == 2196 * MIB  # logged for DeepSeek-V3 (llama.cpp#11446)


def test_a_state_is_32_bit_and_one_a_sequence() -> None:
    recurrent = (RecurrentLayers(layers=3, state=100, convolution=10, state_float32=False),)
    assert state_bytes(shape(recurrent=recurrent), Server(4096, 5)) == 5 * 3 * 110 * 4


def test_a_model_of_recurrent_layers_alone_has_no_keys_and_values() -> None:
    alone = shape(recurrent=(RecurrentLayers(2, 100, 10),))
    assert cache_bytes(alone, Server(10**9)) == 0
    assert state_bytes(alone, Server(10**9)) == 880


servers = st.builds(
    Server,
    context=st.integers(1, 1 << 24),
    sequences=st.integers(1, 1024),
    ubatch=st.integers(1, 4096),
    key_type=st.sampled_from(sorted(CACHE_TYPES)),
    value_type=st.sampled_from(sorted(CACHE_TYPES)),
    unified=st.booleans(),
)


@given(servers, st.integers(1, 1 << 20), st.sampled_from([None, 128, 1024]))
def test_more_context_never_takes_less(server: Server, more: int, window: int | None) -> None:
    larger = Server(
        server.context + more, server.sequences, server.ubatch, server.key_type, server.value_type, server.unified
    )
    assert larger.cells(window) >= server.cells(window)
    assert compute_bytes(shape(LAYERS), larger) >= compute_bytes(shape(LAYERS), server)


@given(servers)
def test_a_window_never_takes_more_than_the_whole_context(server: Server) -> None:
    assert server.cells(128) <= server.cells(None)
