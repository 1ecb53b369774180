"""The memory of a service part by part, and the largest context and concurrency that fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.catalog import curves
from generator.plan.memory import limits, limits_within, memory, one_sequence_fits, sequence_bytes
from tests.planning import DISCRETE, GEMMA_GGUF, GIB, GPT_OSS_GGUF, LLAMA, LLAMA_GGUF, PC, STRIX
from tests.planning import llama as ask_llama
from tests.planning import vllm as ask_vllm

if TYPE_CHECKING:
    from generator.plan.ask import Ask
    from generator.plan.result import Limits, Memory

GGUFS = [GPT_OSS_GGUF, LLAMA_GGUF, GEMMA_GGUF]


def of(asked: Ask) -> Memory:
    return memory(asked, asked.available or 0.0)


def bounds(asked: Ask) -> Limits:
    found = limits(asked, asked.available or 0.0)
    assert found is not None
    return found


def parts(taken: Memory) -> dict[str, float]:
    return {part.name: part.bytes for part in taken.parts}


def test_llama_server_takes_weights_cache_and_buffers_and_their_sum() -> None:
    taken = of(ask_llama(ctx_size=4096, parallel=1))
    assert parts(taken).keys() == {"weights", "KV cache", "compute buffers"}
    assert taken.claim == sum(parts(taken).values())
    assert taken.headroom == taken.available - (taken.claim or 0)
    assert parts(taken)["weights"] == 63387346464
    assert parts(taken)["KV cache"] == (4096 + 768) * 18 * 8 * 128 * 2


def test_a_hybrid_has_a_state_too() -> None:
    used = {"repository": "Qwen/Qwen3.6-35B-A3B", "format": "gguf", "quantisation": "q4_k_m", "file": "a.gguf"}
    taken = of(ask_llama(used=used, ctx_size=4096, parallel=2))
    assert parts(taken)["recurrent state"] == 2 * 30 * (524288 + 24576) * 4


def test_files_are_exact_and_formats_are_not() -> None:
    exact, estimated = of(ask_llama(ctx_size=1)).parts[0], of(ask_llama(used=LLAMA_GGUF, ctx_size=1)).parts[0]
    assert exact.exact
    assert (estimated.low, estimated.high) == (estimated.bytes * 0.9, estimated.bytes * 1.1)


def test_vllm_takes_its_share_whatever_the_model() -> None:
    taken = of(ask_vllm(gpu_memory_utilization=0.85))
    assert taken.claim == 0.85 * taken.available
    assert parts(taken).keys() == {"weights", "KV cache", "activations and graphs"}
    assert sum(parts(taken).values()) == pytest.approx(taken.claim)
    assert taken.cache_available == parts(taken)["KV cache"]


def test_vllm_with_a_cache_of_fixed_size_takes_the_sum() -> None:
    taken = of(ask_vllm(kv_cache_memory_bytes=8 * GIB, gpu_memory_utilization=0.1))
    assert parts(taken)["KV cache"] == taken.cache_available == 8 * GIB
    assert taken.claim == pytest.approx(sum(parts(taken).values()))


def test_what_vllm_takes_beside_is_the_range_that_was_seen() -> None:
    seen = curves.overhead("vllm", "rocm", unified=True)
    assert seen is not None
    rest = of(ask_vllm()).parts[-1]
    assert (rest.low, rest.bytes, rest.high) == (seen.low, seen.median, seen.high)


def test_where_nothing_was_seen_the_cache_is_not_known() -> None:
    taken = of(ask_vllm(machine={"hardware": "dgx-spark"}, used=LLAMA))
    assert taken.cache_available is None
    assert taken.claim == 0.92 * taken.available


def test_a_fixed_cache_where_nothing_was_seen_leaves_the_sum_unknown() -> None:
    taken = of(ask_vllm(machine={"hardware": "dgx-spark"}, used=LLAMA, kv_cache_memory_bytes=GIB))
    assert taken.claim is None


def test_gpus_share_the_weights() -> None:
    machine = {"hardware": "h100"}
    one, two = (of(ask_vllm(machine=machine, used=LLAMA, tensor_parallel_size=size)) for size in (1, 2))
    assert parts(one)["weights"] == 2 * parts(two)["weights"]


@pytest.mark.parametrize("flags", [{"n_gpu_layers": 4}, {"n_gpu_layers": 0}])
def test_of_weights_that_are_not_all_loaded_the_sum_is_not_known(flags: dict[str, Any]) -> None:
    asked = ask_llama(machine=DISCRETE, ctx_size=4096, **flags)
    assert of(asked).claim is None
    assert bounds(asked).largest_context is None


def test_vllms_share_is_taken_whatever_is_loaded() -> None:
    taken = of(ask_vllm("--cpu-offload-gb", "20", gpu_memory_utilization=0.5))
    assert (taken.claim, taken.cache_available) == (0.5 * taken.available, None)
    assert of(ask_vllm("--cpu-offload-gb", "20", kv_cache_memory_bytes=GIB)).claim is None


def test_a_cache_of_an_unknown_number_format_leaves_the_sum_unknown() -> None:
    taken = of(ask_llama("--cache-type-v", "turbo3", ctx_size=4096))
    assert taken.claim is None
    assert "KV cache" not in parts(taken)


def test_a_model_whose_context_nobody_knows_has_no_sum() -> None:
    used = {"repository": "mistralai/Devstral-Small-2507", "format": "gguf", "quantisation": "q8_0", "file": "a.gguf"}
    asked = ask_llama(used=used)
    assert of(asked).claim is None
    assert limits(asked, asked.available or 0.0) is None
    assert of(ask_llama(used=used, ctx_size=4096)).claim is not None


@given(
    st.sampled_from(GGUFS),
    st.integers(1, 200_000),
    st.integers(1, 200_000),
    st.integers(1, 64),
    st.booleans(),
)
def test_more_context_never_takes_less_memory(
    used: dict[str, str],
    context: int,
    more: int,
    sequences: int,
    shared: bool,  # noqa: FBT001
) -> None:
    asked = ask_llama(used=used).with_size(context, sequences, shared=shared)
    assert (of(asked.with_size(context + more, sequences, shared=shared)).claim or 0) >= (of(asked).claim or 0) > 0


@given(st.sampled_from(GGUFS), st.integers(1, 200_000), st.integers(1, 64), st.integers(1, 64))
def test_more_sequences_never_take_less_memory(used: dict[str, str], context: int, sequences: int, more: int) -> None:
    asked = ask_llama(used=used).with_size(context, sequences)
    assert (of(asked.with_size(context, sequences + more)).claim or 0) >= (of(asked).claim or 0)


@given(
    st.sampled_from(GGUFS),
    st.sampled_from([STRIX, DISCRETE, PC, {"hardware": "rtx-5090"}, {"hardware": "strix-halo-64"}]),
    st.integers(1, 131072),
    st.none() | st.integers(1, 64),
)
def test_the_largest_context_and_concurrency_of_llama_server_fit_and_one_more_does_not(
    used: dict[str, str], machine: dict[str, Any], context: int, slots: int | None
) -> None:
    asked = ask_llama(machine=machine, used=used, ctx_size=context, **({} if slots is None else {"parallel": slots}))
    found = bounds(asked)
    largest, count = found.largest_context or 0, found.largest_concurrency or 0

    def fits(changed: Ask) -> bool:
        return (of(changed).claim or 0) <= (asked.available or 0)

    def sized(size: int) -> Ask:
        return asked.with_size(size, asked.sequences, shared=asked.shared_context)

    most = asked.known.shape.max_context if asked.known.shape is not None else None
    assert largest == 0 or fits(sized(largest))
    assert largest == most or not fits(sized(largest + 1))
    alike = asked.shared_context and count == asked.sequences
    assert count == 0 or fits(asked.with_size(asked.context or 1, count, shared=alike))
    assert count == 1 << 16 or not fits(asked.with_size(asked.context or 1, count + 1))
    assert (largest >= (asked.context or 1)) == fits(asked) == (count >= asked.sequences)


@given(
    st.sampled_from([STRIX, {"hardware": "h100"}, {"hardware": "mi300x"}]),
    st.integers(1, 131072),
    st.floats(0.6, 1.0),
    st.integers(256, 16384),
)
def test_the_largest_context_and_concurrency_of_vllm_fit_and_one_more_does_not(
    machine: dict[str, Any], context: int, share: float, batched: int
) -> None:
    flags = {"max_model_len": context, "gpu_memory_utilization": share, "max_num_batched_tokens": batched}
    asked = ask_vllm(machine=machine, **flags)
    cache = of(asked).cache_available
    found = bounds(asked)
    assert cache is not None
    largest, count = found.largest_context or 0, found.largest_concurrency or 0

    def needs(size: int) -> float:
        return sequence_bytes(replace(asked, context=size))

    assert largest == 0 or needs(largest) <= cache
    assert largest == 131072 or needs(largest + 1) > cache
    assert count * needs(context) <= cache
    assert count == 1 << 16 or (count + 1) * needs(context) > cache
    assert one_sequence_fits(asked, of(asked)) == (count >= 1) == (largest >= context)


def test_a_stretched_model_has_no_largest_context_but_memory() -> None:
    asked = ask_vllm("--hf-overrides", "{}", max_model_len=262144)
    assert (bounds(asked).largest_context or 0) > 262144


def test_slots_that_share_a_context_need_not_have_one_each() -> None:
    asked = ask_llama(used=LLAMA_GGUF, machine=DISCRETE, ctx_size=98304)
    found = bounds(asked)
    assert (of(asked).claim or 0) <= (asked.available or 0)
    assert (of(asked.with_size(98304, 2)).claim or 0) > (asked.available or 0)
    assert found.largest_concurrency == found.concurrency == 4


def test_absurd_sizes_have_answers() -> None:
    assert bounds(ask_llama(used=LLAMA_GGUF, ctx_size=10**9)).largest_concurrency == 0
    assert bounds(ask_vllm(max_model_len=10**9)).largest_concurrency == 0
    tiny = ask_vllm(gpu_memory_utilization=0.01)
    assert (bounds(tiny).largest_context, bounds(tiny).largest_concurrency) == (0, 0)
    assert parts(of(tiny))["KV cache"] == 0


def test_a_cache_of_unknown_elements_has_unknown_limits() -> None:
    asked = ask_vllm(kv_cache_dtype="turboquant_4bit_nc", max_model_len=4096)
    found = bounds(asked)
    assert (found.largest_context, found.largest_concurrency) == (None, None)
    assert one_sequence_fits(asked, of(asked)) is None
    assert limits_within(asked, GIB).largest_context is None


def test_without_a_model_there_is_nothing_to_limit() -> None:
    asked = ask_vllm(used={"repository": "a/b", "format": "safetensors"})
    assert limits(asked, 1e12) is None
    assert sequence_bytes(asked) == 0
