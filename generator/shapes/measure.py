"""A model that the catalog does not have, from whatever of its files is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.shapes import config, safetensors
from generator.shapes.fields import wrong
from generator.shapes.files import FileBytes, Measured, parts, without_copies
from generator.shapes.gguf import read_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from generator.shapes.shape import Shape


def measure(path: Path) -> Measured:
    """Return what a path tells: a GGUF file, a config.json, an index, a safetensors file, or a folder of them.

    A configuration is read together with the weights beside it, and weights with the configuration beside them.
    No bytes are known where only a configuration is there. Raises ShapeError.
    """
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".gguf":
        return read_gguf(path)
    if path.name.endswith(".safetensors.index.json"):
        return safetensors.read_index(path, _beside(path))
    if path.suffix == ".safetensors":
        return safetensors.read_files([path], _beside(path))
    return _configured(path.parent, config.load_config(path))


def _folder(folder: Path) -> Measured:
    shape = _beside(folder / config.NAME)
    if shape is not None:
        return _configured(folder, shape)
    models = sorted({parts(path.name)[0] for path in folder.glob("*.gguf") if "mmproj" not in path.name})
    if len(models) == 1:
        return read_gguf(folder / models[0])
    what = f"holds {len(models)} GGUF models" if models else f"holds neither {config.NAME} nor a GGUF file"
    raise wrong(str(folder), "", what, "give the path of one file")


def _configured(folder: Path, shape: Shape) -> Measured:
    index = folder / safetensors.INDEX
    if index.is_file():
        return safetensors.read_index(index, shape)
    names = without_copies(path.name for path in folder.glob("*.safetensors"))
    if names:
        return safetensors.read_files([folder / name for name in names], shape)
    return Measured(shape, FileBytes())


def _beside(path: Path) -> Shape | None:
    beside = path.with_name(config.NAME)
    return config.load_config(beside) if beside.is_file() else None
