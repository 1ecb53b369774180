"""What would fit instead: other repositories, a smaller context, fewer slots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from generator.plan.instead import smaller_models, smaller_sizes
from generator.plan.memory import limits
from tests.planning import DISCRETE, GEMMA_GGUF, GPT_OSS, GPT_OSS_GGUF, LLAMA, LLAMA_GGUF, STRIX, deployment
from tests.planning import llama as ask_llama
from tests.planning import vllm as ask_vllm

if TYPE_CHECKING:
    from generator.spec.model import Model


def model(used: dict[str, Any]) -> Model:
    return deployment(STRIX, used, {"engine": "vllm"}).models["x"]


def models_for(asked: Any, used: dict[str, Any]) -> list[str]:  # noqa: ANN401
    return list(smaller_models(asked, model(used), asked.available))


def sizes_for(asked: Any) -> list[str]:  # noqa: ANN401
    bounds = limits(asked, asked.available)
    assert bounds is not None
    return list(smaller_sizes(asked, bounds))


SEED = {"repository": "ArliAI/gpt-oss-120b-Derestricted", "format": "safetensors", "quantisation": "bf16"}


def test_the_seeds_repository_has_the_conversion_then_the_original_the_small_one_and_the_gguf() -> None:
    assert models_for(ask_vllm(used=SEED), SEED) == [
        "justinjja/gpt-oss-120b-Derestricted-MXFP4 (60.8 GiB)",
        "openai/gpt-oss-120b (60.8 GiB)",
        "openai/gpt-oss-20b (12.8 GiB)",
        "ggml-org/gpt-oss-120b-GGUF with llamacpp (59.0 GiB)",
    ]


def test_on_a_smaller_gpu_only_what_fits_there_is_named() -> None:
    assert models_for(ask_vllm(machine=DISCRETE, used=SEED), SEED) == ["openai/gpt-oss-20b (12.8 GiB)"]


def test_a_gguf_has_its_family() -> None:
    assert models_for(ask_llama(machine=DISCRETE), GPT_OSS_GGUF) == ["ggml-org/gpt-oss-20b-GGUF (11.3 GiB)"]


def test_the_same_context_must_fit() -> None:
    asked = ask_vllm(machine=DISCRETE, used=SEED, max_model_len=4096, gpu_memory_utilization=0.1)
    assert models_for(asked, SEED) == []


def test_a_repository_that_the_catalog_does_not_know_has_those_of_its_shape() -> None:
    used = {"repository": "a/b", "format": "safetensors", "shape": "openai/gpt-oss-120b", "quantisation": "bf16"}
    assert models_for(ask_vllm(used=used), used)[0] == "openai/gpt-oss-120b (60.8 GiB)"


def test_a_model_of_which_nothing_smaller_is_known_has_none() -> None:
    assert models_for(ask_llama(machine=DISCRETE, used=LLAMA_GGUF), LLAMA_GGUF) == []


def test_a_shared_context_is_named_as_a_whole() -> None:
    assert sizes_for(ask_llama(machine=DISCRETE, used=LLAMA_GGUF, ctx_size=131072)) == [
        "set ctx_size to 125440 at most"
    ]


def test_a_divided_context_is_named_for_all_slots_and_for_fewer() -> None:
    assert sizes_for(ask_llama(machine=DISCRETE, used=LLAMA_GGUF, ctx_size=262144, parallel=4)) == [
        "set ctx_size to 125952 at most",
        "set parallel to 1 and ctx_size to 65536 at most",
    ]


def test_vllm_is_told_its_own_field() -> None:
    assert sizes_for(ask_vllm(machine=DISCRETE, used=LLAMA, max_model_len=131072))[0].startswith(
        "set max_model_len to "
    )


def test_a_context_that_helps_nobody_is_not_named() -> None:
    machine = {"hardware": {"accelerator": "cuda", "target": "sm_89", "memory_mib": 7640}}
    used = {**GEMMA_GGUF, "size_gib": 7.0}
    assert sizes_for(ask_llama(machine=machine, used=used, ctx_size=131072)) == []


@pytest.mark.parametrize("size", [64, 1024])
def test_unless_it_is_what_was_asked_for(size: int) -> None:
    asked = ask_llama(machine=DISCRETE, used=LLAMA_GGUF, ctx_size=size)
    bounds = limits(asked, asked.available or 0.0)
    assert bounds is not None
    assert list(smaller_sizes(asked, replace(bounds, largest_context=size))) == [f"set ctx_size to {size} at most"]


def test_nothing_fits_is_said_by_saying_nothing() -> None:
    asked = ask_vllm(used=GPT_OSS, gpu_memory_utilization=0.01)
    assert sizes_for(asked) == []
