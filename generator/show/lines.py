"""Lines of marked text: what a mark looks like, the command line decides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONG = 24  # characters of a word that may be broken at a slash or a colon
_PIECE = re.compile(r"[^/:]+[/:]*|[/:]+")


class Span(NamedTuple):
    """Text and its mark: "" is plain; "title", "label", "faint", "good", "warn", "bad", or a part of the memory bar."""

    text: str
    mark: str = ""


Line = tuple[Span, ...]


def plain(lines: Iterable[Line]) -> str:
    """Return the lines without marks, each with its line break."""
    return "".join("".join(span.text for span in line) + "\n" for line in lines)


def trimmed(line: Line) -> Line:
    """Return the line without blanks at its end."""
    spans = list(line)
    while spans:
        last = spans.pop()
        if text := last.text.rstrip():
            return (*spans, Span(text, last.mark))
    return ()


def wrap(text: str, width: int) -> list[str]:
    """Return text in lines of at most ``width`` characters; a path breaks after its slashes, if it must.

    >>> wrap("see kyuz0/amd-strix-halo-toolboxes/results.log", 24)
    ['see kyuz0/', 'amd-strix-halo-toolboxes', '/results.log']
    """
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, width):
        fits = len(line) + len(piece.rstrip()) <= width
        if line and not fits:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()] if line.strip() else lines


def hang(first: Line, text: str, width: int, mark: str = "") -> Iterator[Line]:
    """Yield ``first`` with wrapped text after it; further lines are indented as far."""
    indent = sum(len(span.text) for span in first)
    for index, line in enumerate(wrap(text, max(width - indent, 1)) or [""]):
        yield (*(first if index == 0 else (Span(" " * indent),)), Span(line, mark))


def _pieces(text: str, width: int) -> Iterator[str]:
    """Yield what a line may end after, words with the blank that follows them; nothing is longer than a line."""
    for word in text.split():
        pieces = _PIECE.findall(word) if len(word) > _LONG else [word]
        for index, piece in enumerate(pieces):
            cut = [piece[at : at + width] for at in range(0, len(piece), width)]
            yield from cut[:-1]
            yield cut[-1] + (" " if index == len(pieces) - 1 else "")
