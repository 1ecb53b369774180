"""What engines do where the spec is silent: by release, by GPU, by argument."""

from __future__ import annotations

from typing import Any

import pytest

from generator.plan import defaults
from tests.planning import DISCRETE, LLAMA, PC, STRIX, deployment
from tests.planning import vllm as ask_vllm


@pytest.mark.parametrize(
    ("machine", "gpu", "expected"),
    [
        ({"hardware": "h100"}, True, (8192, 1024)),
        ({"hardware": "mi300x"}, True, (8192, 1024)),
        (DISCRETE, True, (2048, 256)),
        (STRIX, True, (2048, 256)),
        ({"hardware": "dgx-spark"}, True, (2048, 256)),
        (PC, True, (2048, 128)),
        ({"hardware": "h100"}, False, (2048, 128)),
        ({"hardware": "no-such"}, True, (2048, 128)),
    ],
)
def test_vllm_computes_more_at_once_on_a_large_gpu_of_its_own(
    machine: Any,  # noqa: ANN401
    gpu: bool,  # noqa: FBT001
    expected: tuple[int, int],
) -> None:
    built = deployment(machine, LLAMA, {"engine": "vllm", "gpu": gpu})
    assert defaults.batch(built.services["s"], built.machines["m"]) == expected


@pytest.mark.parametrize(("release", "share"), [("0.19.1", 0.9), ("0.20.0", 0.92), ("0.33.0", 0.92), (None, 0.92)])
def test_vllms_own_share_grew_with_a_release(release: str | None, share: float) -> None:
    assert defaults.share({}, release) == share
    assert defaults.share({"gpu_memory_utilization": 0.5}, release) == 0.5


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        ({}, 2),
        ({"kv_cache_dtype": "fp8"}, 1),
        ({"dtype": "float32"}, 4),
        ({"dtype": "float32", "kv_cache_dtype": "fp8"}, 1),
        ({"dtype": "bfloat16"}, 2),
        ({"kv_cache_dtype": "turboquant_4bit_nc"}, None),
    ],
)
def test_vllms_cache_has_the_number_format_of_activations_unless_told(flags: dict[str, str], size: int | None) -> None:
    assert defaults.vllm_element(flags) == size


@pytest.mark.parametrize(
    "name", ["hf_overrides", "rope_scaling", "rope_scale", "rope_freq_scale", "yarn_orig_ctx", "override_kv"]
)
def test_arguments_that_stretch_the_context(name: str) -> None:
    service = deployment(STRIX, LLAMA, {"engine": "vllm"}).services["s"]
    assert defaults.stretched(service, {name: "1"})
    assert not defaults.stretched(service, {})


def test_vllm_may_be_told_by_its_environment() -> None:
    entry = {"engine": "vllm", "extra_env": {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}}
    assert defaults.stretched(deployment(STRIX, LLAMA, entry).services["s"], {})


@pytest.mark.parametrize(
    ("engine", "flags", "name"),
    [
        ("llamacpp", {"n_gpu_layers": 0}, "n_gpu_layers"),
        ("llamacpp", {"n_gpu_layers": 31}, "n_gpu_layers"),
        ("llamacpp", {"n_gpu_layers": 32}, None),
        ("llamacpp", {"n_gpu_layers": "-1"}, None),
        ("llamacpp", {"n_gpu_layers": "all"}, None),
        ("llamacpp", {"n_cpu_moe": "10"}, "n_cpu_moe"),
        ("llamacpp", {"cpu_moe": True}, "cpu_moe"),
        ("llamacpp", {"n_cpu_moe": "0"}, None),
        ("vllm", {"cpu_offload_gb": "20"}, "cpu_offload_gb"),
        ("vllm", {"pipeline_parallel_size": "2"}, "pipeline_parallel_size"),
        ("vllm", {"pipeline_parallel_size": "1"}, None),
        ("vllm", {"n_gpu_layers": 0}, None),
        ("vllm", {"dtype": "float32"}, "dtype"),
        ("vllm", {"dtype": "bfloat16"}, None),
        ("vllm", {"quantization": "fp8"}, "quantization"),  # of BF16 weights, while they are loaded
        ("ollama", {}, None),
    ],
)
def test_arguments_that_change_what_the_gpu_holds(engine: str, flags: dict[str, Any], name: str | None) -> None:
    assert defaults.loading(engine, flags, ask_vllm(used=LLAMA).known) == name


def test_a_quantisation_that_the_weights_have_already_changes_nothing() -> None:
    assert defaults.loading("vllm", {"quantization": "mxfp4"}, ask_vllm().known) is None


def test_without_a_shape_only_no_layer_at_all_is_certain() -> None:
    known = ask_vllm(used={"repository": "a/b", "format": "gguf"}).known
    assert defaults.loading("llamacpp", {"n_gpu_layers": 0}, known) == "n_gpu_layers"
    assert defaults.loading("llamacpp", {"n_gpu_layers": 20}, known) is None


@pytest.mark.parametrize(
    ("engine", "flags", "names"),
    [
        ("vllm", {"speculative_config": "{}", "enable_lora": True}, ("speculative_config", "enable_lora")),
        ("llamacpp", {"mmproj": "a.gguf", "model_draft": "b.gguf"}, ("mmproj", "model_draft")),
        ("llamacpp", {"mmap": False}, ()),
        ("ollama", {}, ()),
    ],
)
def test_arguments_that_load_something_beside_the_model(
    engine: str, flags: dict[str, Any], names: tuple[str, ...]
) -> None:
    assert defaults.adding(engine, flags) == names
