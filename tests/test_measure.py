"""A model from whatever of its files is given."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from generator.errors import ShapeError
from generator.shapes.files import FileBytes, Measured, parts, without_copies
from generator.shapes.measure import measure
from generator.shapes.safetensors import INDEX
from tests.configurations import llama
from tests.gguf_files import write as write_gguf
from tests.nix_program import ROOT
from tests.test_safetensors import write, write_index

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a configuration, an index and one file of weights."""
    (tmp_path / "config.json").write_text(json.dumps(llama(2, 8, (4, 2), 16, vocab_size=100)), encoding="utf-8")
    write(tmp_path / "model.safetensors", model__embed_tokens__weight=(100, 8), lm_head__weight=(100, 8))
    write_index(tmp_path, {"lm_head.weight": "model.safetensors"})
    return tmp_path


@pytest.mark.parametrize("name", ["", "config.json", INDEX, "model.safetensors"])
def test_a_folder_is_read_by_the_path_of_it_or_of_any_of_its_files(folder: Path, name: str) -> None:
    found = measure(folder / name)
    assert found.shape is not None
    assert found.shape.layers == 2
    assert found.bytes == FileBytes(3200, 1600, 1600, 0, 0)
    assert found.files == ("model.safetensors",)


def test_files_without_an_index_are_summed_without_copies(folder: Path) -> None:
    (folder / INDEX).unlink()
    write(folder / "consolidated.safetensors", output__weight=(100, 8))
    assert measure(folder).bytes.total == 3200


def test_a_configuration_alone_has_a_shape_and_no_bytes(folder: Path) -> None:
    for path in folder.glob("model*"):
        path.unlink()
    found = measure(folder / "config.json")
    assert found == Measured(found.shape, FileBytes())
    assert found.shape is not None


def test_weights_alone_have_bytes_and_no_shape(folder: Path) -> None:
    (folder / "config.json").unlink()
    found = measure(folder / INDEX)
    assert (found.shape, found.bytes.total) == (None, 3200)


def test_a_gguf_file_is_read_by_its_path_or_its_folder(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "mmproj-a.gguf", "clip")
    assert measure(path) == measure(tmp_path)


def test_a_folder_of_two_models_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"holds neither config\.json nor a GGUF file; give the path of one file"):
        measure(tmp_path)
    write_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "b.gguf")
    with pytest.raises(ShapeError, match="holds 2 GGUF models"):
        measure(tmp_path)


def test_a_path_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="cannot be read"):
        measure(tmp_path / "nothing")


def test_heavy_libraries_are_imported_only_when_a_file_needs_them() -> None:
    program = "import sys; from generator.shapes import hub, measure; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "gguf", "huggingface_hub"} & set(done.stdout.split())


def test_parts_of_a_split_file_are_named_as_llama_cpp_names_them() -> None:
    assert parts("x/a-00002-of-00003.gguf") == tuple(f"x/a-0000{number}-of-00003.gguf" for number in (1, 2, 3))
    assert parts("a-Q4_K_M.gguf") == ("a-Q4_K_M.gguf",)


def test_copies_are_told_by_their_place_or_name() -> None:
    own = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    copies = ("consolidated.safetensors", "consolidated-00001-of-00002.safetensors", "metal/model.safetensors")
    assert without_copies((*copies, *own)) == own
