"""A spec that cannot be read: what is said of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from generator.errors import SpecError
from generator.spec.source import read_source

if TYPE_CHECKING:
    import pathlib


def refused(folder: pathlib.Path, content: str | bytes, name: str = "spec.toml") -> list[str]:
    """Return the problems with a file of this content, without the folder's name."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpecError) as caught:
        read_source(path)
    return [str(problem).removeprefix(f"{folder}{os.sep}") for problem in caught.value.problems]
