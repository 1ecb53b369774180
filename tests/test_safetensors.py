"""Safetensors: headers of real small files, indexes, and what is broken about either."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from generator.errors import ShapeError
from generator.shapes.config import read_config
from generator.shapes.files import FileBytes
from generator.shapes.safetensors import INDEX, read_files, read_header, read_index
from tests.configurations import CONFIGURATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from generator.shapes.shape import Shape


def write(path: Path, **shapes: tuple[int, ...]) -> Path:
    """Write float16 tensors; double underscores in names stand for dots."""
    save_file({name.replace("__", "."): np.zeros(shape, np.float16) for name, shape in shapes.items()}, path)
    return path


def write_index(folder: Path, weight_map: dict[str, str], total: object = 1000) -> Path:
    path = folder / INDEX
    path.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}), encoding="utf-8")
    return path


@pytest.fixture
def mixture() -> Shape:
    """Return a shape with 8 experts, of which a token reads 2, and 2 layers."""
    data = CONFIGURATIONS["mistralai/Mixtral-8x7B-v0.1"] | {"num_hidden_layers": 2}
    return read_config(data)


def test_a_files_header_gives_the_bytes_of_every_tensor(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", a=(2, 3), b=(4,))
    assert dict(read_header(path)) == {"a": 12, "b": 8}


def test_bytes_are_split_by_what_a_token_reads(tmp_path: Path, mixture: Shape) -> None:
    path = write(
        tmp_path / "model.safetensors",
        model__embed_tokens__weight=(100, 4),
        lm_head__weight=(100, 4),
        model__norm__weight=(4,),
        model__layers__0__block_sparse_moe__gate__weight=(8, 4),
        model__layers__0__block_sparse_moe__experts__7__w1__weight=(16, 4),
        model__layers__1__mlp__shared_experts__up_proj__weight=(3, 4),
        model__layers__2__eh_proj__weight=(5, 4),
        mtp__layers__0__fc__weight=(6, 4),
        vision_tower__encoder__layers__0__mlp__weight=(7, 4),
    )
    dense = 2 * (100 * 4 + 4 + 8 * 4 + 3 * 4)
    aside = 2 * (5 + 6 + 7) * 4
    expected = FileBytes(dense + 800 + 128 + aside, dense, 800, 128, 128 * 2 // 8)
    assert read_files([path], mixture).bytes == expected


def test_without_an_output_head_the_embedding_is_read_for_every_token(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", model__embed_tokens__weight=(100, 4), model__norm__weight=(4,))
    assert read_files([path]).bytes == FileBytes(808, 808, 0, 0, 0)


def test_without_a_shape_nobody_knows_how_many_experts_a_token_reads(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", model__layers__0__mlp__experts__down_proj=(8, 4))
    assert read_files([path]).bytes.active is None


def test_an_index_alone_gives_the_total_and_the_files(tmp_path: Path) -> None:
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    found = read_index(write_index(tmp_path, names, 61064245248))
    assert found.bytes == FileBytes(61064245248)
    assert found.files == tuple(names.values())


def test_an_index_with_its_files_gives_the_bytes_of_the_files_whatever_it_says_itself(tmp_path: Path) -> None:
    write(tmp_path / "one.safetensors", a=(2, 3))
    write(tmp_path / "two.safetensors", b=(4,))
    found = read_index(write_index(tmp_path, {"a": "one.safetensors", "b": "two.safetensors"}, 5))
    assert found.bytes.total == 20


def test_an_index_that_names_missing_files_among_others_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "one.safetensors", a=(2, 3))
    path = write_index(tmp_path, {key: f"{key}.safetensors" for key in ("one", "two", "three", "four", "five")})
    with pytest.raises(ShapeError) as caught:
        read_index(path)
    missing = "five.safetensors, four.safetensors, three.safetensors and 1 more"
    assert str(caught.value) == f"{path}: names files that are not there: {missing}; download them"


def test_second_copies_of_the_weights_are_not_counted(tmp_path: Path) -> None:
    names = {"a": "model.safetensors", "b": "consolidated.safetensors", "c": "original/model.safetensors"}
    assert read_index(write_index(tmp_path, names)).files == ("model.safetensors",)


def test_copies_alone_are_the_model(tmp_path: Path) -> None:
    assert read_index(write_index(tmp_path, {"a": "consolidated.safetensors"})).files == ("consolidated.safetensors",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "weight_map: is missing"),
        ("[]", "weight_map: is missing"),
        ('{"weight_map": {}}', "weight_map: is missing"),
        ('{"weight_map": {"a": 1}}', "weight_map: holds something else than names of files"),
        ('{"weight_map": {"a": "../b.safetensors"}}', "weight_map: holds something else than names of files"),
        ('{"weight_map": {"a": "b.safetensors"}}', "metadata: is missing, and the files are not here"),
        ('{"weight_map": {"a": "b"}, "metadata": {"total_size": -1}}', "metadata.total_size: -1 is not between 1"),
        ("{", "is no JSON"),
    ],
)
def test_a_broken_index_is_refused_by_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / INDEX
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ShapeError) as caught:
        read_index(path)
    assert f"{path}: {message}" in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", a=(2, 3), b=(4,))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ShapeError, match="ends at byte 20 of 15: truncated; download it again"):
        read_header(path)


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{",
        b'{"a": 1}',
        b'{"a": {"data_offsets": [0]}}',
        b'{"a": {"data_offsets": [8, 0]}}',
        b'{"a": {"data_offsets": [-1, 0]}}',
    ],
)
def test_a_header_of_another_form_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(ShapeError, match=r"download it again|is no list of whole numbers"):
        read_header(path)


def test_a_header_longer_than_its_file_is_refused_without_reading_that_much(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ShapeError, match="is no safetensors file"):
        read_header(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="cannot be read"):
        read_header(tmp_path / "model.safetensors")


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: len(data).to_bytes(8, "little") + data))
def test_any_bytes_give_tensors_or_our_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "model.safetensors"
    path.write_bytes(data)
    with suppress(ShapeError):
        assert all(size >= 0 for _, size in read_header(path))
