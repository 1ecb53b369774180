"""The plan of one service: verdict, what must be accepted, what is not known, caveats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from generator.catalog import caveats
from tests.planning import DISCRETE, GIB, GPT_OSS, GPT_OSS_GGUF, LLAMA, LLAMA_GGUF, MIB, PC, STRIX, deployment, plan_of

if TYPE_CHECKING:
    from generator.plan.result import ServicePlan

SMALL = {"ctx_size": 4096, "parallel": 1}


def plan(engine: str, machine: Any, used: Any, flags: dict[str, Any] | None = None, **service: Any) -> ServicePlan:  # noqa: ANN401
    return plan_of(deployment(machine, used, {"engine": engine, engine: flags or {}, **service}))


def own(found: ServicePlan) -> list[str]:
    return [caveat.text for caveat in found.caveats if caveat.source == "this plan"]


@pytest.mark.parametrize(
    ("engine", "machine", "used", "flags", "verdict"),
    [
        ("llamacpp", DISCRETE, LLAMA_GGUF, SMALL, "feasible"),
        ("llamacpp", STRIX, GPT_OSS_GGUF, SMALL, "feasible with caveats"),
        ("llamacpp", DISCRETE, GPT_OSS_GGUF, SMALL, "not feasible"),
        ("llamacpp", DISCRETE, GPT_OSS_GGUF, {**SMALL, "n_gpu_layers": 10}, "unknown"),
        ("llamacpp", PC, GPT_OSS_GGUF, SMALL, "feasible with caveats"),
        ("vllm", STRIX, GPT_OSS, {"max_model_len": 4096}, "feasible with caveats"),
        ("vllm", STRIX, GPT_OSS, {"gpu_memory_utilization": 0.3}, "not feasible"),
        ("vllm", STRIX, GPT_OSS, {"gpu_memory_utilization": 0.01}, "not feasible"),
        ("vllm", STRIX, GPT_OSS, {"max_model_len": 200000}, "not feasible"),
        ("vllm", STRIX, GPT_OSS, {"kv_cache_memory_bytes": 64 * GIB}, "not feasible"),
        ("vllm", STRIX, GPT_OSS, {"kv_cache_memory_bytes": 1}, "not feasible"),
        (
            "vllm",
            STRIX,
            GPT_OSS,
            {"kv_cache_memory_bytes": 8 * GIB, "gpu_memory_utilization": 0.1},
            "feasible with caveats",
        ),
        ("vllm", STRIX, GPT_OSS, {"kv_cache_dtype": "turboquant_4bit_nc"}, "unknown"),
        ("vllm", {"hardware": "dgx-spark"}, LLAMA, {"kv_cache_memory_bytes": 20 * GIB}, "feasible with caveats"),
        ("vllm", {"hardware": "dgx-spark"}, LLAMA, {"kv_cache_memory_bytes": 120 * GIB}, "not feasible"),
        ("vllm", DISCRETE, {"repository": "a/b", "format": "safetensors"}, {}, "unknown"),
        ("vllm", DISCRETE, {"repository": "a/b", "format": "safetensors", "size_gib": 4}, {}, "unknown"),
        ("vllm", DISCRETE, {"repository": "a/b", "format": "safetensors", "size_gib": 40}, {}, "not feasible"),
        ("llamacpp", DISCRETE, {**LLAMA_GGUF, "repository": "a/b", "size_gib": 40}, SMALL, "not feasible"),
        ("llamacpp", DISCRETE, {**LLAMA_GGUF, "repository": "a/b", "size_gib": 4}, SMALL, "unknown"),
        ("vllm", DISCRETE, {"repository": "a/b", "format": "safetensors", "shape": "Qwen/Qwen3-32B"}, {}, "unknown"),
        ("vllm", {"hardware": "no-such"}, LLAMA, {}, "unknown"),
    ],
)
def test_the_verdict(engine: str, machine: Any, used: Any, flags: dict[str, Any], verdict: str) -> None:  # noqa: ANN401
    assert plan(engine, machine, used, flags).verdict == verdict


def test_a_service_beside_a_gpu_of_its_own_memory_is_not_judged_by_that_memory() -> None:
    found = plan("llamacpp", DISCRETE, GPT_OSS_GGUF, SMALL, gpu=False)
    assert found.verdict == "unknown"
    assert found.unknown[0] == "the memory of m beside its GPU's"


def test_a_service_beside_a_shared_gpu_has_the_systems_memory() -> None:
    assert plan("llamacpp", {"hardware": "strix-halo-128"}, GPT_OSS_GGUF, SMALL, gpu=False).verdict.startswith("feas")
    assert (
        plan("llamacpp", {"hardware": "strix-halo-128", "gtt_mib": 512}, GPT_OSS_GGUF, SMALL).verdict == "not feasible"
    )


@pytest.mark.parametrize(
    ("engine", "machine", "used", "flags", "service", "needs"),
    [
        ("llamacpp", STRIX, GPT_OSS_GGUF, SMALL, {}, ()),
        ("llamacpp", STRIX, GPT_OSS_GGUF, SMALL, {"expect": {"decode_tokens_s": 1000}}, ("slow",)),
        ("llamacpp", STRIX, GPT_OSS_GGUF, SMALL, {"expect": {"first_token_s": 0.01}}, ("slow",)),
        ("vllm", STRIX, GPT_OSS, {}, {"version": "0.23.0"}, ("slow", "unproven")),
        ("vllm", STRIX, GPT_OSS, {}, {"version": "0.17.0"}, ("slow",)),
        ("vllm", STRIX, GPT_OSS, {}, {"version": "0.17.0", "expect": {"decode_tokens_s": 5}}, ()),
        ("vllm", {"hardware": "h100"}, LLAMA, {}, {}, ("unproven",)),
        ("llamacpp", PC, LLAMA_GGUF, SMALL, {}, ("unproven",)),
    ],
)
def test_what_must_be_accepted(
    engine: str,
    machine: dict[str, Any],
    used: dict[str, Any],
    flags: dict[str, Any],
    *,
    service: dict[str, Any],
    needs: tuple[str, ...],
) -> None:
    assert plan(engine, machine, used, flags, **service).needs == needs


@pytest.mark.parametrize(
    ("engine", "machine", "used", "flags", "unknown"),
    [
        (
            "vllm",
            DISCRETE,
            {"repository": "a/b", "format": "safetensors"},
            {},
            'the model: the catalog has no model "a/b"',
        ),
        (
            "vllm",
            {"hardware": "dgx-spark"},
            LLAMA,
            {"kv_cache_memory_bytes": GIB},
            "what it takes beside weights and cache: nothing was measured of this engine on such a GPU",
        ),
        (
            "llamacpp",
            DISCRETE,
            LLAMA_GGUF,
            {"n_gpu_layers": 2},
            "what this GPU holds: n_gpu_layers changes what is loaded onto it, and no rule says by how much",
        ),
        (
            "vllm",
            STRIX,
            GPT_OSS,
            {"kv_cache_dtype": "turboquant_4bit_nc"},
            "the KV cache: no element of its number format has a size here",
        ),
        (
            "llamacpp",
            STRIX,
            {"repository": "mistralai/Devstral-Small-2507", "format": "gguf", "quantisation": "q8_0"},
            {},
            "the KV cache: no context is set, and the model's largest is not known",
        ),
        (
            "vllm",
            {"hardware": "h100"},
            LLAMA,
            {},
            "speed: no published measurement covers this engine and model on this hardware",
        ),
        (
            "vllm",
            STRIX,
            GPT_OSS,
            {},
            "the first token's delay: no published measurement of prompts covers this engine on this hardware",
        ),
    ],
)
def test_what_is_not_known_and_why(engine: str, machine: Any, used: Any, flags: dict[str, Any], unknown: str) -> None:  # noqa: ANN401
    assert plan(engine, machine, used, flags).unknown[0] == unknown


def test_a_number_format_that_llama_cpp_does_not_have_is_named() -> None:
    found = plan("llamacpp", STRIX, LLAMA_GGUF, SMALL, extra_args=["-ctv", "turbo3"])
    assert found.unknown[0] == "the KV cache: no element of f16 and turbo3 has a size here"


@pytest.mark.parametrize(
    ("engine", "service", "why"),
    [
        (
            "ollama",
            {"models": ["gpt-oss:120b"]},
            "the model: Ollama brings its models by itself, and the catalog has none of its tags",
        ),
        (
            "openai-compatible",
            {"container": {"image": "a@sha256:" + "0" * 64}},
            "the model: the container's arguments say what it serves, and llmflake does not read them",
        ),
    ],
)
def test_engines_that_bring_their_own_models_are_unknown(engine: str, service: dict[str, Any], why: str) -> None:
    built = deployment(STRIX, LLAMA, {"engine": engine, "model": None, **service})
    found = plan_of(built)
    assert (found.verdict, found.unknown[0], found.limits, found.disk) == ("unknown", why, None, None)


def test_loading_takes_the_weights_once_from_the_disk() -> None:
    machine = {**STRIX, "disk": {"read_mib_s": 6000}}
    found = plan("llamacpp", machine, GPT_OSS_GGUF, SMALL)
    assert found.disk == 63387346464
    assert found.load == 63387346464 / (6000 * MIB)
    assert plan("llamacpp", STRIX, GPT_OSS_GGUF, SMALL).load is None


def test_a_context_that_is_not_set_is_a_caveat() -> None:
    assert own(plan("vllm", STRIX, GPT_OSS)) == [
        "no max_model_len is set: vLLM wants the model's largest context, 131072 tokens"
    ]
    assert own(plan("llamacpp", STRIX, GPT_OSS_GGUF)) == [
        (
            "no ctx_size is set: llama-server takes the model's own, 131072 tokens a slot, and quietly less where "
            "it finds less memory free"
        )
    ]


def test_what_is_loaded_beside_the_model_is_a_caveat() -> None:
    found = plan("llamacpp", DISCRETE, LLAMA_GGUF, SMALL, extra_args=["--mmproj", "b.gguf"])
    assert own(found) == ["mmproj loads something beside the model, which is not counted here"]


def test_sequences_that_must_wait_are_a_caveat() -> None:
    found = plan("vllm", STRIX, GPT_OSS, {"max_model_len": 131072, "max_num_seqs": 64})
    assert found.limits is not None
    assert own(found) == [
        f"{found.limits.largest_concurrency} of 64 sequences of the full context fit into the cache; the rest wait"
    ]


def test_a_full_gpu_is_a_caveat() -> None:
    roomy = {"hardware": "strix-halo-128", "gtt_mib": 65536}
    assert own(plan("llamacpp", roomy, GPT_OSS_GGUF, {"ctx_size": 1024, "parallel": 1})) == []
    tight = {"hardware": "strix-halo-128", "gtt_mib": 61100}
    assert own(plan("llamacpp", tight, GPT_OSS_GGUF, {"ctx_size": 1024, "parallel": 1})) == [
        "less than 3 % of the GPU's memory is left"
    ]


def test_a_cache_that_may_be_too_small_is_a_caveat() -> None:
    flags = {"max_model_len": 131072, "gpu_memory_utilization": 0.66}
    assert own(plan("vllm", STRIX, GPT_OSS, flags)) == [
        "the KV cache may be too small for one sequence of this context, by the median of what vLLM takes beside"
    ]


# Every caveat of the catalog by its place there, with a service that it is for and one that it is not for.
_Case = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]
VLLM: _Case = ("vllm", STRIX, GPT_OSS, {})
LCPP: _Case = ("llamacpp", STRIX, GPT_OSS_GGUF, SMALL)
OTHER: _Case = ("vllm", {"hardware": "h100"}, LLAMA, {})
NEW_KERNEL = {**STRIX, "kernel": {"minimum": "6.18.4"}}
DERESTRICTED = {**GPT_OSS, "repository": "justinjja/gpt-oss-120b-Derestricted-MXFP4"}
BF16 = {"repository": "Qwen/Qwen3-30B-A3B", "format": "gguf", "quantisation": "bf16", "file": "a.gguf"}
DENSE_BF16 = {**LLAMA_GGUF, "quantisation": "bf16"}
SPARK = {"hardware": "dgx-spark"}
CASES: list[tuple[str, _Case, _Case]] = [
    ("no kernel of 6.18.4", VLLM, ("vllm", NEW_KERNEL, GPT_OSS, {})),
    ("linux-firmware 20251125", LCPP, OTHER),
    ("GTT is not charged", LCPP, ("llamacpp", {"hardware": "strix-halo-128"}, GPT_OSS_GGUF, SMALL)),
    ("no gtt_mib is set", ("llamacpp", {"hardware": "strix-halo-128"}, GPT_OSS_GGUF, SMALL), LCPP),
    ("sysfs may show", VLLM, LCPP),
    ("amdgpu.gttsize is deprecated", ("vllm", {**STRIX, "gttsize_parameter": True}, GPT_OSS, {}), VLLM),
    ("amd_iommu=off reads", ("vllm", {**STRIX, "iommu": "off"}, GPT_OSS, {}), VLLM),
    ("vLLM decodes for one user", VLLM, ("vllm", STRIX, LLAMA, {})),
    ("vLLM must log", VLLM, OTHER),
    ("vLLM's profiler counts", VLLM, OTHER),
    ("a share above 0.90", VLLM, ("vllm", STRIX, GPT_OSS, {"gpu_memory_utilization": 0.9})),
    ("a share above 0.85", ("vllm", SPARK, LLAMA, {}), ("vllm", SPARK, LLAMA, {"gpu_memory_utilization": 0.85})),
    ("what enforce_eager costs", ("vllm", STRIX, GPT_OSS, {"enforce_eager": True}), VLLM),
    ("loading more than 20 GB", LCPP, ("llamacpp", STRIX, LLAMA_GGUF, SMALL)),
    ("the plan's repository", ("vllm", STRIX, DERESTRICTED, {}), VLLM),
    ("the model's safety training", ("vllm", STRIX, DERESTRICTED, {}), VLLM),
    ("several services share", ("vllm", STRIX, GPT_OSS, {"two": True}), VLLM),
    ("mixtures of experts in BF16", ("llamacpp", STRIX, BF16, SMALL), ("llamacpp", STRIX, DENSE_BF16, SMALL)),
]


def shown(engine: str, machine: Any, used: Any, flags: dict[str, Any]) -> list[str]:  # noqa: ANN401
    both = flags.get("two")
    service = {"engine": engine, engine: {name: value for name, value in flags.items() if name != "two"}}
    built = deployment(machine, used, service)
    if both:
        built.services["t"] = deployment(machine, used, {**service, "port": 8001}).services["s"]
    return [caveat.text for caveat in plan_of(built).caveats]


@pytest.mark.parametrize(("start", "holds", "not_here"), CASES)
def test_a_caveat_is_shown_where_it_holds_and_not_where_it_does_not(start: str, holds: Any, not_here: Any) -> None:  # noqa: ANN401
    assert any(text.startswith(start) for text in shown(*holds))
    assert not any(text.startswith(start) for text in shown(*not_here))


def test_a_model_that_the_catalog_does_not_know_is_derestricted_by_its_name() -> None:
    named = {**GPT_OSS, "repository": "x/gpt-oss-120b-abliterated"}
    assert any(text.startswith("the model's safety training") for text in shown("vllm", STRIX, named, {}))


def test_every_caveat_of_the_catalog_is_in_the_table_above() -> None:
    texts = [entry.text for entry in caveats.caveats()]
    assert [next((start for start, *_ in CASES if text.startswith(start)), text) for text in texts] == [
        start for start, *_ in CASES
    ]


def test_a_caveat_has_its_source_and_date() -> None:
    found = plan(*VLLM)
    assert all(caveat.source == "this plan" or ", 20" in caveat.source for caveat in found.caveats)
