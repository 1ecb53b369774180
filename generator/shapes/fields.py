"""Keys of a JSON object as what they must be: counts, flags, sections; errors name the file and the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.errors import Location, Problem, ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping

# No model comes near these; a file that says more is broken, and loops over layers must end.
MOST = 2**40
MOST_LAYERS = 10_000


def wrong(file: str, key: str, what: str, hint: str) -> ShapeError:
    """Return the error for one thing that is wrong in a file; ``key`` is "" for the whole file."""
    return ShapeError((Problem(Location(file), key, what, hint),))


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object of ``file``; ``path`` is where it stands in it ("text_config"), ``outer`` the object around it."""

    data: Mapping[str, Any]
    file: str
    path: str = ""
    outer: Fields | None = None

    def wrong(self, key: str, what: str, hint: str = "compare it with the model's own repository") -> ShapeError:
        """Return the error for a key of this object."""
        return wrong(self.file, f"{self.path}.{key}" if self.path else key, what, hint)

    def has(self, key: str) -> bool:
        """Return whether the key is there and not null."""
        return self.data.get(key) is not None

    def first(self, *keys: str) -> str:
        """Return the first of several names of one thing that is there, the first of all where none is."""
        return next((key for key in keys if self.has(key)), keys[0])

    def count(self, key: str, default: int | None = None, *, least: int = 1, most: int = MOST) -> int:
        """Return a whole number from ``least`` to ``most``; a missing one is an error unless there is a default."""
        value = self.data.get(key)
        if value is None:
            if default is None:
                raise self.wrong(key, "is missing", "without it the model's shape is not known")
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, f"{_shown(value)} is no whole number")
        if not least <= value <= most:
            raise self.wrong(key, f"{_shown(value)} is not between {least} and {most}")
        return value

    def optional_count(self, key: str) -> int | None:
        """Return a whole number of at least 1, None where the key is missing or null."""
        return self.count(key) if self.has(key) else None

    def layers(self, key: str = "num_hidden_layers", default: int | None = None) -> int:
        """Return a number of layers."""
        return self.count(key, default, most=MOST_LAYERS)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a boolean."""
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, f"{_shown(value)} is neither true nor false")
        return value

    def text(self, key: str) -> str | None:
        """Return a string, None where it is missing."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, f"{_shown(value)} is no text")
        return value

    def strings(self, key: str) -> tuple[str, ...] | None:
        """Return a list of strings, None where it is missing."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.wrong(key, "is no list of texts")
        return tuple(value)

    def counts(self, key: str) -> tuple[int, ...] | None:
        """Return a list of whole numbers from 0 on, None where it is missing."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(type(entry) is int and 0 <= entry <= MOST for entry in value):
            raise self.wrong(key, "is no list of whole numbers")
        return tuple(value)

    def section(self, key: str) -> Fields | None:
        """Return an object inside this one, None where it is missing."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, "is no object")
        return Fields(value, self.file, f"{self.path}.{key}" if self.path else key, self)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004 - one line of a terminal holds it
