"""Paths into a spec's data, and texts of it, as messages show them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from generator.spec.positions import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.positions import DataPath

MAX_SHOWN = 60
"""The most characters of a key or value that a message shows."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def walk(data: object) -> Iterator[tuple[DataPath, Any]]:
    """Yield every value of nested data with its path, without recursion; nothing below ``MAX_DEPTH`` + 1."""
    todo: list[tuple[DataPath, Any]] = [((), data)]
    while todo:
        path, value = todo.pop()
        yield path, value
        if len(path) > MAX_DEPTH:
            continue
        if isinstance(value, dict):
            todo.extend(((*path, key), item) for key, item in value.items())
        elif isinstance(value, list):
            todo.extend(((*path, index), item) for index, item in enumerate(value))


def path_text(path: DataPath) -> str:
    """Return a path as people write it, ``services."my llm".args[0]``: on one line, and no key endlessly long."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            bare = len(step) <= MAX_SHOWN and _BARE_KEY.fullmatch(step)
            text += ("." if text else "") + (step if bare else quoted(step))
    return text


def quoted(text: str) -> str:
    """Return a text in quotes: on one line, and shortened to what a message shows."""
    plain = json.dumps(shortened(text), ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in plain)


def shortened(text: str) -> str:
    """Return a text, cut at the length that a message shows."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
