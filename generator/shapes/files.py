"""What is known of a model's weights as files: bytes by use, beside the shape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from generator.shapes.fields import wrong

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.shapes.shape import Shape

# Copies of the same weights that no engine reads beside the model's own: Mistral's and Meta's formats, Apple's.
_COPIES = re.compile(r"(^|/)(consolidated[^/]*|(original|metal|onnx|coreml|openvino|gguf)/.*)$")
_SPLIT = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class FileBytes:
    """Bytes of weights by how a decoded token uses them, as Parameters has it; None where they are not known.

    ``total`` is more than the sum of the rest where there are vision towers or layers for speculation.
    """

    total: int | None = None
    dense: int | None = None
    embedding: int | None = None
    experts: int | None = None
    active: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A model as its files tell it; ``shape`` is None where they hold no configuration. ``files`` are the weights."""

    shape: Shape | None
    bytes: FileBytes
    files: tuple[str, ...] = field(default=())


def without_copies(names: Iterable[str]) -> tuple[str, ...]:
    """Return files of weights without second copies, or all of them where nothing else is there; sorted."""
    found = sorted(names)
    return tuple(name for name in found if not _COPIES.search(name)) or tuple(found)


def parts(name: str) -> tuple[str, ...]:
    """Return the names of all parts of a GGUF file that is split as llama.cpp does it, of a whole one only its own.

    >>> parts("a-00002-of-00002.gguf")
    ('a-00001-of-00002.gguf', 'a-00002-of-00002.gguf')
    """
    found = _SPLIT.match(name)
    if found is None:
        return (name,)
    count = int(found["count"])
    if not 1 <= int(found["number"]) <= count:
        raise wrong(name, "", "is named as a part that cannot be", "give the first part, …-00001-of-…")
    return tuple(f"{found['stem']}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1))


def refuse_missing(file: str, missing: Iterable[str]) -> None:
    """Raise ShapeError where parts of a model are not there; ``file`` is what names them."""
    names = sorted(missing)
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
        raise wrong(file, "", f"names files that are not there: {shown}", "download them")
