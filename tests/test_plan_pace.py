"""Which curve holds for a service, and what it says for one user, for many and for a first token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from generator.plan.pace import pace, slow_experts
from tests.planning import DISCRETE, GPT_OSS, GPT_OSS_GGUF, LLAMA, LLAMA_GGUF, PC, STRIX
from tests.planning import llama as ask_llama
from tests.planning import vllm as ask_vllm

if TYPE_CHECKING:
    from generator.plan.result import Speed


def of(asked: Any) -> Speed:  # noqa: ANN401
    found = pace(asked, asked.context or 0)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("machine", "flags", "curve"),
    [
        (STRIX, {}, "llamacpp.vulkan-radv"),
        (STRIX, {"backend": "rocm"}, "llamacpp.rocm"),
        (STRIX, {"backend": "cpu"}, None),
        (DISCRETE, {}, "llamacpp.cuda"),
        ({"hardware": "r9700"}, {}, None),  # Vulkan and ROCm were measured on gfx1151
        ({"hardware": "apple-m3-max-128"}, {"backend": "metal"}, "llamacpp.metal"),
        (PC, {}, None),
        ({"hardware": {"accelerator": "cuda", "target": "sm_86", "memory_mib": 24576}}, {}, None),  # no bandwidth
    ],
)
def test_a_curve_holds_where_it_was_measured(machine: Any, flags: dict[str, str], curve: str | None) -> None:  # noqa: ANN401
    found = of(ask_llama(machine=machine, used=LLAMA_GGUF, ctx_size=4096, **flags))
    assert found.curve == curve
    assert (found.decode is None) == (curve is None)


def test_vllm_has_its_own_curve_on_strix_halo_alone() -> None:
    assert of(ask_vllm()).curve == "vllm.rocm"
    assert of(ask_vllm(machine={"hardware": "mi300x"})).decode is None
    assert of(ask_vllm(machine={"hardware": "h100"})).decode is None


def test_gpt_oss_120b_decodes_as_it_was_measured_on_both_engines() -> None:
    """llama.cpp b9187 through RADV: 56.6 tokens a second; vLLM on the same machine: about 8 (2026)."""
    fast, slow = of(ask_llama(ctx_size=4096)).decode, of(ask_vllm(max_model_len=4096)).decode
    assert fast is not None
    assert slow is not None
    assert fast.low <= 56.6 <= fast.high
    assert slow.low <= 7.9 <= slow.high
    assert fast.value / slow.value > 5


def test_what_is_slow_in_vllm_is_mxfp4_on_gfx1151() -> None:
    assert slow_experts(ask_vllm())
    assert not slow_experts(ask_vllm(used=LLAMA))
    assert not slow_experts(ask_vllm(machine={"hardware": "mi300x"}))
    assert not slow_experts(ask_llama())


def test_the_band_of_slow_experts_reaches_to_kernels_as_good_as_the_rest() -> None:
    found = of(ask_vllm()).decode
    assert found is not None
    assert found.high > 2 * found.value


def test_a_deep_context_is_slower_than_an_empty_one() -> None:
    found = of(ask_llama(ctx_size=131072))
    assert found.depth == 131072
    assert found.decode is not None
    assert found.decode_deep is not None
    assert found.decode_deep.value < found.decode.value


def test_a_batch_is_faster_together_where_several_are_asked_for() -> None:
    alone, many = of(ask_llama(ctx_size=4096)), of(ask_llama(ctx_size=32768, parallel=8))
    assert alone.batch is None  # four slots that nobody asked for are no users
    assert many.batch is not None
    assert many.decode is not None
    assert many.decode.value < many.batch.value < 8 * many.decode.value


def test_a_first_token_is_the_prompt_and_one_token() -> None:
    found = of(ask_llama(ctx_size=4096, service={"expect": {"prompt_tokens": 1000}}))
    assert found.prompt == 1000
    assert found.prefill is not None
    assert found.decode is not None
    assert found.first_token is not None
    assert found.first_token.value == pytest.approx(1000 / found.prefill.value + 1 / found.decode.value)
    assert found.first_token.low < found.first_token.value < found.first_token.high


def test_a_prompt_is_no_longer_than_the_context() -> None:
    assert of(ask_llama(ctx_size=256, parallel=1)).prompt == 256


def test_vllm_has_no_first_token_because_nobody_measured_its_prompts() -> None:
    assert of(ask_vllm()).first_token is None


def test_a_mixture_on_apple_has_no_speed_because_its_curve_saw_dense_models_alone() -> None:
    machine = {"hardware": "apple-m2-ultra-192"}
    assert of(ask_llama(machine=machine, used=GPT_OSS_GGUF, ctx_size=4096, backend="metal")).decode is None


@pytest.mark.parametrize("arguments", [("-ncmoe", "12"), ("-ngl", "10"), ("-ot", "exps=CPU")])
def test_weights_that_are_not_all_loaded_have_no_speed(arguments: tuple[str, ...]) -> None:
    assert of(ask_llama(*arguments, ctx_size=4096)).decode is None


def test_several_gpus_have_no_speed_because_nothing_was_measured_of_them() -> None:
    assert of(ask_vllm(used=LLAMA, tensor_parallel_size=2)).decode is None


@pytest.mark.parametrize(
    "asked",
    [
        ask_vllm(used={"repository": "a/b", "format": "safetensors", "size_gib": 4}),
        ask_vllm(used={"repository": "a/b", "format": "safetensors", "shape": "Qwen/Qwen3-32B"}),
        ask_vllm(machine={"hardware": "no-such"}),
        ask_vllm(used=GPT_OSS, kv_cache_dtype="turboquant_4bit_nc"),
    ],
)
def test_without_shape_size_hardware_or_number_format_there_is_no_speed(asked: Any) -> None:  # noqa: ANN401
    assert pace(asked, 4096) is None
