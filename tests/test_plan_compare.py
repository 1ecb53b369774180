"""One model on one machine by engine, format and context."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from generator.plan.ask import known_model
from generator.plan.compare import Option, compare
from tests.planning import DISCRETE, GPT_OSS, LLAMA, LLAMA_GGUF, PC, STRIX, deployment


def options(machine: Any, used: dict[str, Any], engine: str = "vllm", **service: Any) -> tuple[Option, ...]:  # noqa: ANN401
    built = deployment(machine, used, {"engine": engine, **service})
    return compare(built.services["s"], built.machines["m"], built.models["x"])


def test_gpt_oss_on_strix_halo_is_compared_by_engine_backend_and_context() -> None:
    found = options(STRIX, GPT_OSS, vllm={"max_model_len": 4096})
    assert {(option.engine, option.backend) for option in found} == {
        ("llamacpp", "vulkan"),
        ("llamacpp", "rocm"),
        ("vllm", "rocm"),
    }
    assert {option.context for option in found} == {4096, 8192, 32768, 131072}


def test_what_fits_comes_first_then_shorter_contexts_then_the_fastest() -> None:
    found = options(DISCRETE, LLAMA)
    fits = [option.plan.verdict.startswith("feasible") for option in found]
    assert fits == sorted(fits, reverse=True)
    first = [option for option in found if option.plan.verdict.startswith("feasible") and option.context == 8192]
    speeds = [
        (option.plan.speed.decode_deep or option.plan.speed.decode) if option.plan.speed else None for option in first
    ]
    values = [speed.value if speed else 0.0 for speed in speeds]
    assert values == sorted(values, reverse=True)


def test_what_the_spec_says_is_marked_once() -> None:
    asked = [option for option in options(STRIX, GPT_OSS, vllm={"max_model_len": 8192}) if option.asked]
    assert [(option.engine, option.context, option.repository) for option in asked] == [
        ("vllm", 8192, "openai/gpt-oss-120b")
    ]


@pytest.mark.parametrize(
    ("engine", "used", "name"),
    [
        ("vllm", LLAMA, "bf16"),
        ("llamacpp", LLAMA_GGUF, "q8_0"),
        (
            "llamacpp",
            {**LLAMA_GGUF, "repository": "a/b", "shape": "Qwen/Qwen3-14B", "quantisation": "q4_k_m"},
            "q4_k_m",
        ),
    ],
)
def test_what_the_spec_says_is_marked_in_a_repository_that_the_catalog_does_not_know(
    engine: str, used: dict[str, Any], name: str
) -> None:
    flags = {"max_model_len": 8192} if engine == "vllm" else {"ctx_size": 8192, "parallel": 1}
    asked = [option for option in options(DISCRETE, used, engine, **{engine: flags}) if option.asked]
    assert [(option.engine, option.format, option.context) for option in asked] == [(engine, name, 8192)]


def test_a_model_in_mxfp4_gains_nothing_by_other_small_formats() -> None:
    assert {option.format for option in options(STRIX, GPT_OSS)} == {"mxfp4", "bf16"}


def test_a_smaller_format_is_smaller_and_faster() -> None:
    found = {
        option.format: option.plan
        for option in options(DISCRETE, LLAMA)
        if option.engine == "llamacpp" and option.context == 8192
    }
    sizes = [found[name].disk or 0 for name in ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m")]
    assert sizes == sorted(sizes, reverse=True)
    speeds = [found[name].speed for name in ("q8_0", "q4_k_m")]
    values = [speed.decode.value for speed in speeds if speed is not None and speed.decode is not None]
    assert len(values) == 2
    assert values[0] < values[1]


def test_no_context_is_longer_than_the_model_knows() -> None:
    assert {option.context for option in options(STRIX, {"repository": "Qwen/Qwen3-8B", "format": "safetensors"})} == {
        8192,
        32768,
        40960,
    }


def test_a_machine_without_a_gpu_has_one_backend() -> None:
    assert {option.backend for option in options(PC, LLAMA)} == {"cpu"}


@pytest.mark.parametrize(
    ("machine", "used"),
    [({"hardware": "no-such"}, LLAMA), (STRIX, {"repository": "a/b", "format": "safetensors", "size_gib": 4})],
)
def test_what_is_not_known_has_no_ways(machine: Any, used: dict[str, Any]) -> None:  # noqa: ANN401
    assert options(machine, used) == ()


def test_a_model_that_was_read_from_files_is_compared_by_its_own_shape() -> None:
    built = deployment(DISCRETE, {"repository": "a/b", "format": "safetensors"}, {"engine": "vllm"})
    service, machine, used = built.services["s"], built.machines["m"], built.models["x"]
    read = known_model(deployment(DISCRETE, LLAMA, {"engine": "vllm"}).models["x"], "vllm")
    found = compare(service, machine, used, replace(read, repository=None))
    assert {option.engine for option in found} == {"vllm", "llamacpp"}
    assert all(option.plan.disk for option in found)
