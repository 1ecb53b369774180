"""Safetensors: the index of a repository, and the headers of files, which give the exact bytes of every tensor.

A file begins with the length of its header (8 bytes, little-endian) and the header, a JSON object from names of tensors
to their type, shape and place (https://huggingface.co/docs/safetensors, format of 2022). No weight is read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from generator.shapes.config import load_json
from generator.shapes.fields import Fields, wrong
from generator.shapes.files import FileBytes, Measured, refuse_missing, without_copies
from generator.shapes.roles import Sums, safetensors_role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from generator.shapes.shape import Shape

INDEX = "model.safetensors.index.json"
_MOST_HEADER = 100_000_000  # bytes; the limit of the format's own library
_LENGTH = 8


def read_index(path: Path, shape: Shape | None = None) -> Measured:
    """Return the bytes and files that an index names: by tensor where the files are beside it, else only the total.

    Where any file of weights is beside the index, the weights are local, and then all of them must be there.
    ``shape`` tells how many experts a token reads. Raises ShapeError.
    """
    data = load_json(path)
    names = index_files(data, str(path))
    if any(path.parent.glob("*.safetensors")):
        refuse_missing(str(path), [name for name in names if not (path.parent / name).is_file()])
        return read_files([path.parent / name for name in names], shape)
    metadata = Fields(data, str(path)).section("metadata")
    if metadata is None:
        raise wrong(str(path), "metadata", "is missing, and the files are not here", "download the weights")
    return Measured(shape, FileBytes(metadata.count("total_size")), names)


def index_files(data: Any, file: str) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    """Return the names of the files in a parsed index, without copies; raises ShapeError."""
    weight_map = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise wrong(file, "weight_map", "is missing", f"give the {INDEX} of a model's repository")
    names = set(weight_map.values()) if all(isinstance(name, str) for name in weight_map.values()) else set()
    if not names or any(name.startswith("/") or ".." in name.split("/") for name in names):
        raise wrong(file, "weight_map", "holds something else than names of files", "download it again")
    return without_copies(names)


def read_files(paths: Iterable[Path], shape: Shape | None = None) -> Measured:
    """Return the exact bytes of safetensors files that are one model; raises ShapeError."""
    found = list(paths)
    tensors = [tensor for path in found for tensor in read_header(path)]
    return Measured(shape, split(tensors, shape), tuple(path.name for path in found))


def split(tensors: Iterable[tuple[str, int]], shape: Shape | None) -> FileBytes:
    """Return bytes by use from names and bytes of tensors."""
    sums = Sums()
    for name, size in tensors:
        sums.add(safetensors_role(name, shape.layers if shape else None), size)
    active = None
    if not sums.experts:
        active = 0
    elif shape is not None and shape.expert_count:
        active = sums.experts * shape.experts_per_token // shape.expert_count
    return FileBytes(sums.total, sums.dense, sums.embedding, sums.experts, active)


def read_header(path: Path) -> tuple[tuple[str, int], ...]:
    """Return the names and bytes of the tensors in a file; raises ShapeError where it is broken or truncated."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            text = file.read(length) if length <= min(_MOST_HEADER, size) else b""
    except OSError as error:
        raise wrong(str(path), "", f"cannot be read ({error.strerror})", "check the path") from error
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong(str(path), "", "is no safetensors file", "download it again") from error
    if not isinstance(header, dict):
        raise wrong(str(path), "", "is no safetensors file", "download it again")
    return tuple(_tensors(header, size - _LENGTH - length, path))


def _tensors(header: Mapping[str, Any], size: int, path: Path) -> Iterator[tuple[str, int]]:
    """Yield names and bytes; ``size`` is what the file holds behind its header."""
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        place = Fields(tensor, str(path), name).counts("data_offsets") if isinstance(tensor, dict) else None
        if place is None or len(place) != 2 or place[0] > place[1]:  # noqa: PLR2004 - begin and end
            raise wrong(str(path), name, "has no place in the file", "download it again")
        if place[1] > size:
            raise wrong(str(path), name, f"ends at byte {place[1]} of {size}: truncated", "download it again")
        yield name, place[1] - place[0]
