"""Bytes of weights: from files, from formats, and by how a decoded token uses them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.catalog import models
from generator.plan.weights import loaded_bytes, weight_bytes
from generator.shapes.shape import Parameters, Shape
from tests.planning import GIB


def known(name: str) -> Shape:
    shape = models.shape(name)
    assert shape is not None
    return shape


DENSE, MIXTURE = known("meta-llama/Llama-3.1-8B-Instruct"), known("openai/gpt-oss-120b")


def test_neither_size_nor_format_is_unknown() -> None:
    assert weight_bytes(DENSE, None, None) is None


def test_a_files_size_is_the_total_to_the_byte_and_measured() -> None:
    weights = weight_bytes(MIXTURE, models.weight_format("mxfp4", "gguf"), 63387346464.0)
    assert weights is not None
    assert weights.measured
    assert weights.total == 63387346464.0


def test_a_format_gives_parameters_times_bits() -> None:
    weights = weight_bytes(DENSE, models.weight_format("bf16", "safetensors"), None)
    assert weights is not None
    assert not weights.measured
    assert weights.total == 2.0 * DENSE.parameters.total
    assert weights.dense == 2.0 * DENSE.parameters.dense


def test_the_size_of_gpt_oss_by_its_format_is_that_of_its_files_within_two_percent() -> None:
    weights = weight_bytes(MIXTURE, models.weight_format("mxfp4", "safetensors"), None)
    assert weights is not None
    assert weights.total == pytest.approx(models.repositories()["openai/gpt-oss-120b"].weight_bytes, rel=0.02)


def test_one_token_reads_the_experts_that_it_chooses() -> None:
    weights = weight_bytes(MIXTURE, models.weight_format("mxfp4", "safetensors"), None)
    assert weights is not None
    assert weights.active / weights.experts == pytest.approx(4 / 128)
    # 4.97 GB a token of the safetensors, by the published ceiling of 51.5 tokens a second at 256 GB/s.
    assert weights.read == pytest.approx(4.97e9, rel=0.02)


def test_mixed_gguf_files_hold_what_every_token_reads_at_eight_bits() -> None:
    shape = known("Qwen/Qwen3-30B-A3B")
    weights = weight_bytes(shape, models.weight_format("q4_k_m", "gguf"), 18556686752.0)
    assert weights is not None
    assert weights.dense * 8 / shape.parameters.dense == pytest.approx(8.5)


def test_a_mixture_with_one_expert_is_read_as_a_whole() -> None:
    shape = replace(DENSE, parameters=Parameters(10**9, 0, 10**9, 10**9), expert_count=1, experts_per_token=1)
    weights = weight_bytes(shape, models.weight_format("bf16", "safetensors"), None)
    assert weights is not None
    assert weights.read == weights.total == 4e9


@given(
    st.floats(1e-6, 16384), st.sampled_from([None, "q4_k_m", "mxfp4", "bf16"]), st.sampled_from(models.shape_names())
)
def test_whatever_size_a_person_gives_no_part_is_negative_nor_more_than_all(
    size: float, name: str | None, shape: str
) -> None:
    weights = weight_bytes(known(shape), models.weight_format(name, "gguf"), size * GIB)
    assert weights is not None
    parts = (weights.dense, weights.experts, weights.active)
    assert all(0 <= part <= weights.total * (1 + 1e-9) for part in parts)
    assert weights.active <= weights.experts


@pytest.mark.parametrize(("accelerator", "factor"), [("rocm", 1.1378), ("cuda", 1.09), ("cpu", 1.0), ("", 1.0)])
def test_mxfp4_experts_are_padded_in_memory_by_accelerator(accelerator: str, factor: float) -> None:
    stored = models.weight_format("mxfp4", "safetensors")
    weights = weight_bytes(MIXTURE, stored, None)
    assert weights is not None
    loaded = loaded_bytes(weights, stored, accelerator)
    assert loaded - weights.total == pytest.approx(weights.experts * (factor - 1))
