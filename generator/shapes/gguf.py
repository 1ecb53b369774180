"""GGUF files: the header as a shape, and the exact bytes of every tensor, over all parts of a split file.

Keys and tensors are those of llama.cpp (gguf-py/gguf/constants.py, gguf 0.19.0). Numbers of parameters are counted from
the tensors, so they are those of the file; weights are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.shapes.fields import Fields, wrong
from generator.shapes.files import FileBytes, Measured, parts, refuse_missing
from generator.shapes.gguf_reader import bounded_reader
from generator.shapes.gguf_shape import shape_of
from generator.shapes.roles import Sums, gguf_role

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_WANTED = ("general.", "split.")
# What GGUFReader raises at bytes that are no GGUF file.
_BROKEN = (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError, AttributeError)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's name, number of elements, and bytes in the file."""

    name: str
    elements: int
    bytes: int
    rows: int  # elements of its outermost dimension


def read_gguf(path: Path) -> Measured:
    """Return the shape and the bytes of a GGUF file, or of all its parts by the name of any of them.

    Raises ShapeError for another kind of file, a truncated one, a big-endian one, missing parts, and an architecture
    that is not known.
    """
    names = parts(path.name)
    paths = [path.with_name(name) for name in names]
    if path.is_file():
        refuse_missing(str(path), [part.name for part in paths if not part.is_file()])
    read = [_read(part) for part in paths]
    metadata = read[0][0]
    tensors = [tensor for _, found in read for tensor in found]
    fields = Fields(metadata, str(path))
    if len(names) == 1 and fields.count("split.count", 1, least=0) > 1:
        raise fields.wrong("split.count", "says that this is one part of several", "keep the name that it came with")
    expected = fields.count("split.tensors.count", len(tensors), least=0)
    if expected != len(tensors):
        raise fields.wrong("split.tensors.count", f"says {expected}, and {len(tensors)} are there", "download it again")
    shape = shape_of(fields, tensors)
    sums = Sums()
    for tensor in tensors:
        sums.add(gguf_role(tensor.name, shape.layers), tensor.bytes)
    active = sums.experts * shape.experts_per_token // shape.expert_count if shape.expert_count else 0
    total = sum(part.stat().st_size for part in paths)
    return Measured(shape, FileBytes(total, sums.dense, sums.embedding, sums.experts, active), names)


def _read(path: Path) -> tuple[dict[str, Any], list[Tensor]]:
    """Return metadata (without the tokenizer) and tensors of one file."""
    _check_beginning(path)
    try:
        reader = bounded_reader()(path)
        architecture = (
            reader.fields["general.architecture"].contents() if "general.architecture" in reader.fields else ""
        )
        wanted = (*_WANTED, f"{architecture}.")
        metadata = {key: entry.contents() for key, entry in reader.fields.items() if key.startswith(wanted)}
        tensors = [
            Tensor(str(entry.name), int(entry.n_elements), int(entry.n_bytes), int(entry.shape[-1]))
            for entry in reader.tensors
        ]
    except _BROKEN as error:
        raise wrong(str(path), "", f"is a broken or truncated GGUF file ({error})", "download it again") from error
    return metadata, tensors


def _check_beginning(path: Path) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
    except OSError as error:
        raise wrong(str(path), "", f"cannot be read ({error.strerror})", "check the path") from error
    if beginning[:4] != _MAGIC:
        raise wrong(str(path), "", "is no GGUF file", "give a file that begins with GGUF")
    version = int.from_bytes(beginning[4:8], "little")
    if version in _VERSIONS:
        return
    if int.from_bytes(beginning[4:8], "big") in _VERSIONS:
        raise wrong(str(path), "", "is a big-endian GGUF file, which these machines cannot load", "download another")
    raise wrong(str(path), "", f"is a GGUF file of version {version}, not 2 or 3", "download a newer one")
