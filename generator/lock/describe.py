"""What a lock says, and how two differ, as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.spec.pins import ImagePin, ModelPin, Pins, SourcePin

_GIB = 1 << 30
_SHORT = 12


def changes(old: Pins, new: Pins) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each entry that differs: its path, what it was and what it is, None where it was or is not there."""
    for table, before, after, text in (
        ("models", old.models, new.models, model_text),
        ("images", old.images, new.images, image_text),
        ("sources", old.sources, new.sources, source_text),
        ("inputs", old.inputs, new.inputs, input_text),
    ):
        yield from _table(table, before, after, text)


def _table(
    table: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    text: Any,  # noqa: ANN401 - a function of an entry
) -> Iterator[tuple[str, str | None, str | None]]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield (
                f"{table}.{name}",
                text(before[name]) if name in before else None,
                text(after[name]) if name in after else None,
            )


def model_text(pin: ModelPin) -> str:
    """Return a model's pin as text: commit, number of files, size in GiB."""
    if pin.files is None:
        return f"{pin.revision[:_SHORT]}, files to be resolved"
    size = sum(file.size for file in pin.files)
    return f"{pin.revision[:_SHORT]}, {len(pin.files)} files, {size / _GIB:.1f} GiB"


def image_text(pin: ImagePin) -> str:
    """Return an image's pin as text."""
    return ", ".join([pin.digest[: len("sha256:") + _SHORT], *(f"{name} {pin.hashes[name]}" for name in pin.hashes)])


def source_text(pin: SourcePin) -> str:
    """Return a source's pin as text."""
    return f"{pin.revision[:_SHORT]}, {pin.hash}" if pin.revision else pin.hash


def input_text(node: Mapping[str, Any]) -> str:
    """Return a flake input's pin as text: its commit, or its hash."""
    locked = node["locked"]
    return str(locked.get("rev", locked.get("narHash", "")))[:_SHORT]
