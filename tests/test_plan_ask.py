"""What a service asks: its model, its context and slots, its engine's backend, the memory that it may use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from generator.catalog import models
from generator.plan.ask import available_bytes, known_model
from generator.spec.pins import FilePin
from tests.planning import DISCRETE, GIB, GPT_OSS, GPT_OSS_GGUF, LLAMA, LLAMA_GGUF, MIB, PC, STRIX, deployment
from tests.planning import llama as ask_llama
from tests.planning import vllm as ask_vllm

if TYPE_CHECKING:
    from generator.spec.model import Model

NO_GPU = {"gpu": False}


def described(**entry: object) -> Model:
    return deployment(STRIX, {"format": "safetensors", **entry}, {"engine": "vllm"}).models["x"]


def test_a_repository_of_the_catalog_has_its_size_format_and_shape() -> None:
    known = known_model(described(**GPT_OSS), "vllm")
    assert known.shape is models.shape("openai/gpt-oss-120b") or known.shape == models.shape("openai/gpt-oss-120b")
    assert known.stored is not None
    assert known.stored.name == "mxfp4"
    assert known.weights is not None
    assert known.weights.total == 65248815744
    assert known.why == ""


def test_size_gib_overrides_the_catalogs_size() -> None:
    known = known_model(described(**GPT_OSS, size_gib=70.0), "vllm")
    assert known.weights is not None
    assert known.weights.total == 70 * GIB
    assert known.weights.measured


def test_another_quantisation_than_the_repositorys_has_not_its_size() -> None:
    model = described(repository="unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF", format="gguf", quantisation="q8_0")
    known = known_model(model, "llamacpp")
    assert known.weights is not None
    assert not known.weights.measured
    assert known.weights.total == pytest.approx(30.53e9 * 8.5 / 8, rel=0.01)


@pytest.mark.parametrize("written", ["mxfp4", "MXFP4"])
def test_a_quantisation_is_the_same_in_any_letters(written: str) -> None:
    known = known_model(replace(described(**GPT_OSS), quantisation=written), "vllm")
    assert known.weights is not None
    assert known.weights.total == 65248815744


def test_a_repository_may_allow_more_context_than_its_shape() -> None:
    model = described(repository="unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF", format="gguf")
    shape = known_model(model, "llamacpp").shape
    assert shape is not None
    assert shape.max_context == 262144


def test_a_model_of_the_catalog_without_a_repository_entry_has_its_native_format() -> None:
    known = known_model(described(**LLAMA), "vllm")
    assert known.stored is not None
    assert known.stored.name == "bf16"


def test_a_shape_without_size_or_format_is_told_to_lack_them() -> None:
    known = known_model(described(repository="a/b", shape="Qwen/Qwen3-32B"), "vllm")
    assert known.shape is not None
    assert known.weights is None
    assert known.why == 'neither the size nor the format "" of a/b is known'


def test_a_shape_with_a_format_that_nobody_knows_names_it() -> None:
    known = known_model(described(repository="a/b", shape="Qwen/Qwen3-32B", quantisation="q9_z"), "vllm")
    assert known.why == 'neither the size nor the format "q9_z" of a/b is known'


def test_an_unknown_model_is_said_to_be_unknown() -> None:
    known = known_model(described(repository="a/b"), "vllm")
    assert (known.shape, known.weights) == (None, None)
    assert known.why == 'the catalog has no model "a/b"'


def test_an_unknown_model_may_have_a_known_size() -> None:
    known = known_model(described(repository="a/b", size_gib=4.0), "vllm")
    assert known.shape is None
    assert known.weights is not None
    assert known.weights.total == 4 * GIB


def test_a_model_of_which_a_part_is_missing_says_which() -> None:
    why = known_model(described(repository="stepfun-ai/Step-3.7-Flash"), "vllm").why
    assert why.startswith("its numbers of parameters were not established (")


def test_what_was_read_from_files_is_taken_before_the_catalog() -> None:
    read = known_model(described(**LLAMA), "vllm")
    given = replace(read, why="a part of it")
    known = known_model(described(**GPT_OSS, size_gib=1.0), "vllm", given)
    assert known.why == "a part of it"
    assert known.shape is read.shape
    assert known.stored is not None
    assert known.stored.name == "mxfp4"  # a person's own word about the format


def test_a_context_that_is_not_set_is_the_models_largest() -> None:
    asked = ask_vllm()
    assert (asked.context, asked.context_asked) == (131072, False)
    assert (asked.sequences, asked.sequences_asked) == (256, False)


@pytest.mark.parametrize("ctx_size", [0, None])
def test_zero_is_the_models_own_context_for_llama_server(ctx_size: int | None) -> None:
    asked = ask_llama(**({} if ctx_size is None else {"ctx_size": ctx_size}))
    assert (asked.context, asked.context_asked) == (131072, False)


def test_slots_that_nobody_asked_for_share_one_context() -> None:
    asked = ask_llama(ctx_size=8192)
    assert (asked.context, asked.sequences, asked.shared_context, asked.server_context) == (8192, 4, True, 8192)


def test_slots_that_are_asked_for_divide_the_context() -> None:
    asked = ask_llama(ctx_size=8192, parallel=4)
    assert (asked.context, asked.sequences, asked.shared_context, asked.server_context) == (2048, 4, False, 8192)


def test_slots_divide_the_models_own_context_too() -> None:
    """llama.cpp: n_ctx is n_ctx_train where it is 0, and n_ctx_seq is n_ctx / n_seq_max."""
    asked = ask_llama(parallel=4)
    assert (asked.context, asked.server_context) == (32768, 131072)


@pytest.mark.parametrize("argument", ["--kv-unified", "-kvu"])
def test_slots_share_where_they_are_told_to(argument: str) -> None:
    asked = ask_llama(argument, ctx_size=8192, parallel=4)
    assert (asked.context, asked.shared_context, asked.server_context) == (8192, True, 8192)


def test_more_slots_than_tokens_have_one_each() -> None:
    assert ask_llama(ctx_size=4, parallel=1024).context == 1


@pytest.mark.parametrize(
    ("batch", "ubatch", "expected"), [(None, None, 512), (None, 4096, 2048), (256, None, 256), (8192, 4096, 4096)]
)
def test_a_micro_batch_is_never_larger_than_the_batch(batch: int | None, ubatch: int | None, expected: int) -> None:
    flags = {"batch_size": batch, "ubatch_size": ubatch}
    assert ask_llama(**{name: size for name, size in flags.items() if size is not None}).ubatch == expected


def test_arguments_count_as_fields_do() -> None:
    asked = ask_vllm("--max_model_len=32K", "--max-num-seqs", "8", "-tp", "2", "--kv-cache-dtype", "fp8")
    assert (asked.context, asked.sequences, asked.parallel, asked.element_bytes) == (32768, 8, 2, 1)


def test_an_unknown_number_format_of_the_cache_is_unknown() -> None:
    assert ask_vllm(kv_cache_dtype="turboquant_4bit_nc").element_bytes is None
    assert ask_llama("--cache-type-k", "turbo3").element_bytes is None


@pytest.mark.parametrize(
    ("machine", "flags", "service", "backend"),
    [
        (STRIX, {}, {}, "vulkan"),
        (STRIX, {"backend": "rocm"}, {}, "rocm"),
        (STRIX, {"backend": "cpu"}, {}, "cpu"),
        (STRIX, {}, NO_GPU, "cpu"),
        (DISCRETE, {}, {}, "cuda"),
        (PC, {}, {}, "cpu"),
    ],
)
def test_llama_cpp_computes_with(
    machine: dict[str, object], flags: dict[str, str], service: dict[str, object], backend: str
) -> None:
    assert ask_llama(machine=machine, used=LLAMA_GGUF, service=service, **flags).backend == backend


@pytest.mark.parametrize(
    ("machine", "mib"),
    [
        (STRIX, 117760),
        ({"hardware": "strix-halo-128"}, 128205 // 2),  # of what the system sees, as the kernel does
        ({"hardware": "strix-halo-64"}, 32768),
        (DISCRETE, 24576),
        ({"hardware": "dgx-spark"}, 124610),
        (PC, 65536),
    ],
)
def test_a_gpu_may_use(machine: dict[str, object], mib: int) -> None:
    built = deployment(machine, LLAMA, {"engine": "vllm"})
    assert available_bytes(built.machines["m"]) == mib * MIB


def test_an_unknown_machine_has_unknown_memory() -> None:
    assert available_bytes(deployment({"hardware": "x"}, LLAMA, {"engine": "vllm"}).machines["m"]) is None


@pytest.mark.parametrize(
    ("machine", "flags", "service", "mib"),
    [
        (STRIX, {}, {}, 117760),
        (STRIX, {}, NO_GPU, 128205),
        (STRIX, {"backend": "cpu"}, {}, 128205),
        (DISCRETE, {}, NO_GPU, None),  # 24 GiB are the GPU's, and its host is not in the catalog
        (DISCRETE, {"backend": "cpu"}, {}, None),
        (PC, {}, {}, 65536),
        (PC, {}, NO_GPU, 65536),
    ],
)
def test_a_service_beside_the_gpu_has_the_systems_memory(
    machine: dict[str, object], flags: dict[str, str], service: dict[str, object], mib: int | None
) -> None:
    available = ask_llama(machine=machine, used=LLAMA_GGUF, service=service, **flags).available
    assert available == (None if mib is None else mib * MIB)


def test_an_image_tells_the_release() -> None:
    assert ask_vllm(service={"version": "0.19.1"}).release == "0.19.1"
    assert ask_vllm(service={"version": "0.19.1"}).share == 0.9
    assert ask_vllm().release == "0.23.0"  # of the image that is known to work there


@pytest.mark.parametrize(
    ("context", "arguments", "too_long"),
    [(131072, (), False), (131073, (), True), (10**7, (), True), (262144, ("--hf-overrides", "{}"), False)],
)
def test_a_context_above_the_models_is_too_long_unless_it_is_stretched(
    context: int,
    arguments: tuple[str, ...],
    too_long: bool,  # noqa: FBT001
) -> None:
    assert ask_vllm(*arguments, max_model_len=context).too_long is too_long


def test_each_slot_of_a_divided_context_may_have_the_models_largest() -> None:
    assert not ask_llama(used=GPT_OSS_GGUF, ctx_size=4 * 131072, parallel=4).too_long
    assert ask_llama(used=GPT_OSS_GGUF, ctx_size=4 * 131072).too_long


def locked(*files: tuple[str, int]) -> float:
    """Return the bytes of gpt-oss-120b in three GGUF parts, with these files in the lock."""
    pins = tuple(FilePin(path, size, "0" * 64) for path, size in files)
    used = described(**{**GPT_OSS_GGUF, "file": "a-00001-of-00003.gguf"})
    known = known_model(replace(used, files=pins), "llamacpp")
    assert known.weights is not None
    return known.weights.total


def test_the_files_of_the_lock_give_the_size() -> None:
    parts = [(f"a-0000{part}-of-00003.gguf", 20 * GIB) for part in (1, 2, 3)]
    assert locked(*parts, ("README.md", 12), ("other.gguf", 7)) == 60 * GIB


def test_a_lock_that_lacks_a_part_gives_no_size() -> None:
    assert locked(("a-00001-of-00003.gguf", 20 * GIB)) == 63_387_346_464  # the catalog's
