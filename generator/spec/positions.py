"""Where each key and value of a TOML or JSON text stands: the parsers that give the data do not tell.

Everything here is pure and total: a text that is broken yields the positions of what could be read. Lines and columns
count from 1, columns in characters. Syntax trees give columns in bytes, which is why positions come from here only.
"""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tree_sitter import Node

DataPath = tuple[str | int, ...]

MAX_DEPTH = 64
"""The longest path that data may have; nothing below is read, which bounds the work on hostile texts."""


class Position(NamedTuple):
    """A place in a text; both count from 1."""

    line: int
    column: int


class Span(NamedTuple):
    """Where a value is named and where it stands; an item of an array has no name, there both are the same.

    A table made by a header stands at the header's bracket, one made by a dotted key at its part of that key.
    """

    key: Position
    value: Position


_START = Span(Position(1, 1), Position(1, 1))


class Redefinition(NamedTuple):
    """A key that is defined twice."""

    path: DataPath
    first: Position
    again: Position


class _Entry(NamedTuple):
    """One step of a definition, in the order of the text; ``kind`` is one of the keys of ``_CLASHES``."""

    path: DataPath
    kind: str
    key: Position
    value: Position
    node: Node


_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|NaN|-?Infinity', re.DOTALL)

# What an entry of a kind may not follow at the same path (TOML 1.0: a table is defined once, values never change).
_CLASHES = {
    "value": {"value", "table", "list", "implied", "dotted"},
    "table": {"value", "table", "list", "dotted"},  # [a]
    "list": {"value", "table", "implied", "dotted"},  # [[a]]
    "implied": {"value"},  # a in [a.b]
    "dotted": {"value", "table", "list"},  # a in a.b = 1
}


def toml_positions(text: str) -> Mapping[DataPath, Span]:
    """Map the path of every table, key and item of a TOML text to its place; the whole text is path ()."""
    spans: dict[DataPath, Span] = {(): _START}
    for entry in _toml_entries(text):
        if entry.kind in {"value", "table"} or entry.path not in spans:
            spans[entry.path] = Span(entry.key, entry.value)
    return spans


def json_positions(text: str) -> Mapping[DataPath, Span]:
    """Map the path of every key and item of a JSON text to its place; the whole text is path ()."""
    return {(): _START} | {entry.path: Span(entry.key, entry.value) for entry in _json_entries(text)}


def toml_redefinition(text: str) -> Redefinition | None:
    """Find the first key or table that a TOML text defines a second time."""
    seen: dict[tuple[DataPath, str], Position] = {}
    for entry in _toml_entries(text):
        clashes = [seen[entry.path, kind] for kind in _CLASHES[entry.kind] if (entry.path, kind) in seen]
        if clashes:
            return Redefinition(entry.path, min(clashes), entry.key)
        seen.setdefault((entry.path, entry.kind), entry.key)
    return None


def json_redefinitions(text: str) -> list[Redefinition]:
    """Find every key that a JSON object holds more than once; not what stands below such a key."""
    seen: dict[DataPath, Position] = {}
    found: list[Redefinition] = []
    repeated: set[DataPath] = set()
    for entry in _json_entries(text):
        if any(entry.path[:end] in repeated for end in range(1, len(entry.path))):
            continue
        if entry.path in seen:
            repeated.add(entry.path)
            found.append(Redefinition(entry.path, seen[entry.path], entry.key))
        else:
            seen[entry.path] = entry.key
    return found


def toml_integer_longer_than(digits: int, text: str) -> tuple[DataPath, Position] | None:
    """Find the first integer of a TOML text that is written with more than so many characters."""
    for entry in _toml_entries(text):
        if entry.node.type == "integer" and entry.node.end_byte - entry.node.start_byte > digits:
            return entry.path, entry.value
    return None


def first_too_deep(text: str, *, is_json: bool) -> tuple[DataPath, Position] | None:
    """Find the first place of a text that is more than ``MAX_DEPTH`` deep."""
    for entry in _json_entries(text) if is_json else _toml_entries(text):
        if len(entry.path) > MAX_DEPTH:
            return entry.path, entry.value
    return None


def _toml_entries(text: str) -> Iterator[_Entry]:
    import tree_sitter_toml  # only a wrong spec needs positions

    tree = _Tree(text, tree_sitter_toml.language())
    sizes: dict[DataPath, int] = {}  # of arrays of tables: a header means their last table
    for statement in tree.root.named_children:
        if statement.type == "pair":
            yield from _walk((), statement, tree)
            continue
        children = _children(statement)
        parts = _parts(children)
        if statement.type not in {"table", "table_array_element"} or not parts:
            continue
        path: DataPath = ()
        start = tree.at(statement)
        for part in parts[:-1]:
            path = (*path, tree.name(part))
            if path in sizes:
                path = (*path, sizes[path] - 1)
            else:
                yield _Entry(path, "implied", tree.at(part), start, statement)
        path = (*path, tree.name(parts[-1]))
        key = tree.at(parts[-1])
        if statement.type == "table_array_element":
            yield _Entry(path, "list", key, start, statement)
            sizes[path] = sizes.get(path, 0) + 1
            path = (*path, sizes[path] - 1)
        yield _Entry(path, "table", key, start, statement)
        for pair in children[1:]:
            yield from _walk(path, pair, tree)


def _json_entries(text: str) -> Iterator[_Entry]:
    import tree_sitter_json  # only a wrong spec needs positions

    # Python reads NaN and Infinity, the grammar does not: numbers of the same length keep all places.
    numbers = _JSON_TOKEN.sub(lambda token: token[0] if token[0][0] == '"' else "1" * len(token[0]), text)
    tree = _Tree(numbers, tree_sitter_json.language())
    for top in _children(tree.root)[:1]:
        yield from _walk((), top, tree)


def _walk(base: DataPath, top: Node, tree: _Tree) -> Iterator[_Entry]:
    """Yield the entries of a pair or a value of either language, in the order of the text, without recursion."""
    todo: list[tuple[DataPath, Position | None, Node]] = [(base, None, top)]
    while todo:
        path, key, node = todo.pop()
        kind = node.type
        if kind == "pair":
            children = _children(node)
            parts = _parts(children)
            for part in parts[:-1]:
                path = (*path, tree.name(part))
                yield _Entry(path, "dotted", tree.at(part), tree.at(part), node)
            if parts and children[1:]:
                todo.append(((*path, tree.name(parts[-1])), tree.at(parts[-1]), children[1]))
            continue
        place = tree.at(node)
        yield _Entry(path, "value", key or place, place, node)
        if len(path) > MAX_DEPTH:
            continue
        if kind in {"inline_table", "object"}:
            todo.extend((path, None, pair) for pair in reversed(_children(node)))
        elif kind == "array":
            todo.extend(((*path, index), None, item) for index, item in reversed(list(enumerate(_children(node)))))


class _Tree:
    """A syntax tree, and what its nodes, which know bytes only, say in characters."""

    def __init__(self, text: str, language: object) -> None:
        from tree_sitter import Language, Parser  # only a wrong spec needs positions

        self._data = text.encode()
        starts = ((byte & 0xC0) != 0x80 for byte in self._data)  # noqa: PLR2004 - UTF-8: others continue a character
        self._characters = None if text.isascii() else list(itertools.accumulate(starts, initial=0))
        self.root = Parser(Language(language)).parse(self._data).root_node

    def at(self, node: Node) -> Position:
        """Return where a node begins."""
        row, column = node.start_point
        if self._characters is not None:
            byte = node.start_byte
            column = self._characters[byte] - self._characters[byte - column]
        return Position(row + 1, column + 1)

    def name(self, key: Node) -> str:
        """Return the key that a node spells, the text as it stands where it spells none."""
        text = self._data[key.start_byte : key.end_byte].decode()
        try:
            if key.type == "quoted_key":
                return str(tomllib.loads(f"key = {text}")["key"])
            return str(json.loads(text)) if key.type == "string" else text
        except ValueError:
            return text


def _children(node: Node) -> list[Node]:
    """Return the children that are neither punctuation nor comments nor broken."""
    return [child for child in node.named_children if child.type not in {"comment", "ERROR"}]


def _parts(children: list[Node]) -> list[Node]:
    """Return the parts of the key that a pair or a table header begins with; a dotted key is a tree that leans left."""
    todo = children[:1]
    parts: list[Node] = []
    while todo:
        node = todo.pop()
        if node.type == "dotted_key":
            todo.extend(_children(node))
        elif node.type in {"bare_key", "quoted_key", "string"}:
            parts.append(node)
    return parts[::-1][: MAX_DEPTH + 1]
