"""Whole deployments: machines, services that share a GPU or take turns, and specs of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.plan.findings import check
from generator.plan.planner import most_together, plan_machine
from generator.spec import model
from generator.spec.rules.finding import Context
from tests.planning import (
    DISCRETE,
    GIB,
    GPT_OSS_GGUF,
    LLAMA,
    LLAMA_GGUF,
    MIB,
    PC,
    STRIX,
    data,
    deployment,
    found,
    whole_plan,
)

SMALL = {"ctx_size": 4096, "parallel": 1}


def several(machine: Any, *services: dict[str, Any]) -> model.Deployment:  # noqa: ANN401
    """Return a machine with services a, b, c … of one model."""
    spec = data(machine, LLAMA_GGUF, {})
    spec["services"] = {
        name: {"machines": ["m"], "model": "x", "port": 8000 + index, "unit": name, **service}
        for index, (name, service) in enumerate(zip("abcdefghijklmnopqrstuvwxyz", services, strict=False))
    }
    return model.build(spec)


def server(**entry: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"engine": "llamacpp", "llamacpp": SMALL, **entry}


def together(built: model.Deployment) -> list[str]:
    services = model.place(built).services_on["m"]
    planned = plan_machine(built, built.machines["m"], services, None)
    return [asked.service.name for asked, _ in most_together(planned)]


def test_a_machine_says_what_its_gpu_and_its_system_have() -> None:
    plan = whole_plan(deployment(STRIX, GPT_OSS_GGUF, {"engine": "llamacpp"})).machines[0]
    assert plan.available == 117760 * MIB
    assert plan.system == (128205 - 117760) * MIB
    assert plan.total == 131072 * MIB
    assert plan.hardware == "strix-halo-128"


def test_a_gpu_with_memory_of_its_own_leaves_the_system_alone() -> None:
    plan = whole_plan(deployment(DISCRETE, LLAMA_GGUF, server())).machines[0]
    assert (plan.available, plan.system) == (24576 * MIB, None)


def test_a_machine_without_services_is_planned() -> None:
    spec = data(STRIX, LLAMA, {"engine": "vllm"})
    spec["machines"]["idle"] = {"hardware": "rtx-4090"}
    plan = whole_plan(model.build(spec))
    assert [(entry.machine, entry.together, entry.services) for entry in plan.machines if entry.machine == "idle"] == [
        ("idle", None, ())
    ]


def test_services_add_up() -> None:
    built = several(STRIX, server(), server())
    plan = whole_plan(built).machines[0]
    assert plan.together == sum(service.memory.claim or 0 for service in plan.services)


def test_services_that_take_turns_count_once_by_the_largest() -> None:
    larger = server(llamacpp={"ctx_size": 65536, "parallel": 1}, conflicts=["a"])
    assert together(several(STRIX, server(), larger)) == ["b"]


def test_of_three_the_pair_that_may_meet_counts() -> None:
    assert together(several(STRIX, server(), server(conflicts=["a"]), server())) in (["a", "c"], ["b", "c"])


def test_a_chain_of_turns_leaves_the_ends_together() -> None:
    assert together(several(STRIX, server(), server(conflicts=["a", "c"]), server())) == ["a", "c"]


def test_services_beside_the_gpu_do_not_count() -> None:
    beside = server(gpu=False)
    on_cpu = server(llamacpp={**SMALL, "backend": "cpu"})
    assert together(several(STRIX, server(), beside, on_cpu)) == ["a"]


def test_on_a_machine_without_a_gpu_all_services_share_its_memory() -> None:
    assert together(several(PC, server(), server(gpu=False))) == ["a", "b"]


def test_more_services_than_are_searched_are_added_up() -> None:
    assert len(together(several(STRIX, *[server(conflicts=["a"]) for _ in range(17)]))) == 17


def neighbours(built: model.Deployment) -> list[bool]:
    services = whole_plan(built).machines[0].services
    return [any(note.text.startswith("several services share") for note in service.caveats) for service in services]


def test_only_services_that_run_at_the_same_time_are_neighbours() -> None:
    assert neighbours(several(STRIX, server(), server())) == [True, True]
    assert neighbours(several(STRIX, server(), server(conflicts=["a"]))) == [False, False]
    assert neighbours(several(STRIX, server(), server(gpu=False))) == [False, False]


hardware = st.sampled_from(
    [
        STRIX,
        {"hardware": "strix-halo-128"},
        {"hardware": "strix-halo-64", "gtt_mib": 512},
        DISCRETE,
        PC,
        {"hardware": "h100"},
        {"hardware": "dgx-spark"},
        {"hardware": "apple-m1-max-64"},
        {"hardware": "no-such"},
        {"hardware": {"accelerator": "cuda", "target": "sm_70", "memory_mib": 256}},
        {"hardware": {"accelerator": "cpu", "memory_mib": 16777216, "bandwidth_gbs": 1e-9}},
        {"hardware": {"accelerator": "rocm", "target": "gfx1151", "memory_mib": 256, "unified": True}},
        {**STRIX, "disk": {"read_mib_s": 1, "free_gib": 1e-9}},
    ]
)
repositories = st.sampled_from(
    [
        "openai/gpt-oss-120b",
        "ggml-org/gpt-oss-20b-GGUF",
        "ArliAI/gpt-oss-120b-Derestricted",
        "meta-llama/Llama-3.1-8B-Instruct",
        "google/gemma-3-12b-it",
        "Qwen/Qwen3.6-35B-A3B",
        "deepseek-ai/DeepSeek-V3",
        "mistralai/Devstral-Small-2507",
        "stepfun-ai/Step-3.7-Flash",
        "a/b",
    ]
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


models = st.builds(
    lambda repository, entry: {"repository": repository, **entry},
    repositories,
    st.builds(
        lambda kind, rest: {"format": kind, **rest},
        st.sampled_from(["gguf", "safetensors"]),
        optional(
            quantisation=st.sampled_from(["mxfp4", "q4_k_m", "bf16", "awq_4bit", "q9_z"]),
            size_gib=st.floats(0, 16384, exclude_min=True),
            shape=st.sampled_from(["Qwen/Qwen3-32B", "Qwen/Qwen3-Next-80B-A3B-Instruct", "no/such"]),
        ),
    ),
)
vllm = optional(
    max_model_len=st.integers(1, 1 << 24),
    gpu_memory_utilization=st.floats(0.01, 1.0),
    kv_cache_memory_bytes=st.integers(1, 1 << 44),
    max_num_seqs=st.integers(1, 65536),
    max_num_batched_tokens=st.integers(1, 1 << 24),
    tensor_parallel_size=st.integers(1, 1024),
    enforce_eager=st.booleans(),
    dtype=st.sampled_from(["auto", "float32", "half"]),
    kv_cache_dtype=st.sampled_from(["auto", "fp8", "nvfp4", "x"]),
    quantization=st.sampled_from(["fp8", "mxfp4"]),
)
types = st.sampled_from(["f32", "f16", "q8_0", "iq4_nl"])
llamacpp = optional(
    backend=st.sampled_from(["vulkan", "rocm", "cuda", "cpu"]),
    ctx_size=st.integers(0, 1 << 24),
    n_gpu_layers=st.integers(0, 9999),
    parallel=st.integers(1, 1024),
    batch_size=st.integers(1, 1 << 20),
    ubatch_size=st.integers(1, 1 << 20),
    mmap=st.booleans(),
    cache_type_k=types,
    cache_type_v=types,
)
arguments = st.lists(
    st.sampled_from(
        [
            "--max-model-len=32k",
            "--max_model_len",
            "-c",
            "4096",
            "999999999999",
            "--no-mmap",
            "-np",
            "-ngl",
            "0",
            "-1",
            "--gpu-memory-utilization",
            "1.5",
            "nan",
            "--kv-cache-memory-bytes=8G",
            "--cpu-offload-gb",
            "--cache-type-k",
            "turbo3",
            "--hf-overrides",
            "{}",
            "-kvu",
            "--cpu-moe",
            "-tp",
            "3",
            "--kv-cache-dtype",
            "int4_per_token_head",
        ]
    ),
    max_size=4,
)
services = st.one_of(
    *(
        st.builds(
            lambda engine, flags, rest: {"engine": engine, engine: flags, **rest},
            st.just(engine),
            flags,
            optional(
                gpu=st.booleans(),
                extra_args=arguments,
                version=st.sampled_from(["0.11.0", "0.33.0", "b10964"]),
                expect=optional(prompt_tokens=st.integers(1, 1 << 24), decode_tokens_s=st.floats(1e-6, 1e5)),
                accept=st.just(["slow", "unproven"]),
            ),
        )
        for engine, flags in (("vllm", vllm), ("llamacpp", llamacpp), ("ollama", st.just({})))
    )
)
_UNFITTING = ("GiB", "more than the", "is more than all of")


@settings(max_examples=400, deadline=None)
@given(hardware, models, services)
def test_every_spec_has_a_plan_and_is_refused_exactly_where_it_does_not_fit(
    machine: dict[str, Any], used: dict[str, Any], service: dict[str, Any]
) -> None:
    built = deployment(machine, used, service)
    plan = whole_plan(built).machines[0].services[0]
    problems = [entry for entry in found(built) if entry.path[0] == "services" and "the plan on m is" not in entry.what]
    if built.machines["m"].hardware is not None:  # that there is no such hardware, another rule says
        assert bool(problems) == (plan.verdict == "not feasible")
    assert all(any(words in entry.what for words in _UNFITTING) for entry in problems)
    assert all(entry.hint and not entry.hint.endswith(".") for entry in problems)
    assert not plan.unknown or plan.verdict != "feasible" or plan.needs or plan.speed is not None
    for part in plan.memory.parts:
        assert 0 <= part.low <= part.bytes <= part.high


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(hardware, services), min_size=2, max_size=5))
def test_services_of_every_kind_live_together(entries: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    spec = data(entries[0][0], LLAMA, {})
    spec["services"] = {
        f"s{index}": {"tags": ["all"], "model": "x", "port": 8000 + index, **service}
        for index, (_, service) in enumerate(entries)
    }
    spec["machines"] = {f"m{index}": machine for index, (machine, _) in enumerate(entries)}
    built = model.build(spec)
    assert len(whole_plan(built).machines) == len(entries)
    names = (frozenset(table) for table in (built.machines, built.models, built.services))
    list(check(Context(built, model.place(built), *names)))


@pytest.mark.parametrize("ctx_size", [1, 4096, 131072])
def test_together_is_never_more_than_the_sum_nor_less_than_the_largest(ctx_size: int) -> None:
    flags = {"ctx_size": ctx_size, "parallel": 1}
    plan = whole_plan(several(STRIX, server(), server(llamacpp=flags), server(conflicts=["a"]))).machines[0]
    claims = [service.memory.claim or 0 for service in plan.services]
    assert max(claims) <= (plan.together or 0) <= sum(claims) <= 3 * 64 * GIB
