"""What the catalog knows of models: shapes, formats of weights, repositories; records of TOML, read when asked for."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from generator.shapes.shape import AttentionLayers, Parameters, RecurrentLayers, Shape

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Format:
    """How weights are stored, in bits a parameter: ``dense``, ``experts`` and ``embedding`` by use.

    ``uniform`` means that one average holds for all of them. ``loaded`` multiplies the experts' bytes once an engine
    has them in memory, by accelerator.
    """

    name: str
    kind: str  # safetensors or gguf
    uniform: bool
    dense: float
    experts: float
    embedding: float
    dense_only: float  # of a model without experts
    loaded: dict[str, float]


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on the hub: the bytes that an engine loads of it, the shape (a name in shapes/), the format.

    ``instead`` names what to serve where this does not fit; ``file`` and ``revision`` are set where they are known.
    """

    name: str
    weight_bytes: int
    format: str
    shape: str
    file: str | None
    revision: str | None
    max_context: int | None  # where it is not its shape's
    derestricted: bool
    instead: tuple[str, ...]
    source: str
    date: str


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / name).read_text(encoding="utf-8"))


@cache
def _owners() -> tuple[str, ...]:
    """Return the owners of repositories that have a file of shapes, one each: 46 shapes are slow to read for one."""
    return tuple(sorted(path.stem for path in (_HERE / "shapes").glob("*.toml")))


@cache
def _shapes(owner: str) -> dict[str, Any]:
    return _toml(f"shapes/{owner}.toml") if owner in _owners() else {}


@cache
def shape(name: str) -> Shape | None:
    """Return the shape of a model by its repository, None where the catalog has none."""
    entry = _shapes(name.partition("/")[0]).get(name)
    if entry is None:
        return None
    return Shape(
        architecture=entry["architecture"],
        layers=entry["layers"],
        hidden_size=entry["hidden_size"],
        vocabulary=entry["vocabulary"],
        max_context=entry.get("max_context"),
        attention=tuple(AttentionLayers(**layers) for layers in entry["attention"]),
        recurrent=tuple(RecurrentLayers(**layers) for layers in entry.get("recurrent", ())),
        parameters=Parameters(**entry["parameters"]),
        expert_count=entry.get("expert_count", 0),
        experts_per_token=entry.get("experts_per_token", 0),
        native_format=entry.get("native_format"),
        extra_parameters=entry.get("extra_parameters", 0),
    )


def shape_names() -> tuple[str, ...]:
    """Return the names of all models whose shape is known."""
    return tuple(name for owner in _owners() for name in _shapes(owner) if name != "incomplete")


def incomplete(name: str) -> str | None:
    """Return why a model's shape is not known, for one of which a part is."""
    entry = _shapes(name.partition("/")[0]).get("incomplete", {}).get(name)
    return None if entry is None else f"{entry['reason']} ({entry['source']}, {entry['date']})"


@cache
def _formats() -> dict[str, Format]:
    return {name: _format(name, entry) for name, entry in _toml("formats.toml").items()}


def _format(name: str, entry: dict[str, Any]) -> Format:
    dense = entry.get("bits", entry.get("dense", 0.0))
    return Format(
        name=name,
        kind=entry["kind"],
        uniform="bits" in entry,
        dense=dense,
        experts=entry.get("experts", dense),
        embedding=entry.get("embedding", dense),
        dense_only=entry.get("dense_only", dense),
        loaded=entry.get("loaded", {}),
    )


def format_names(kind: str) -> tuple[str, ...]:
    """Return the names of all formats of a kind, "safetensors" or "gguf"."""
    return tuple(name.removesuffix(f"-{kind}") for name, entry in _formats().items() if entry.kind == kind)


def weight_format(name: str | None, kind: str) -> Format | None:
    """Return a format by the name that a spec or a file gives it ("Q4_K_M", "UD-Q4_K_XL", "bf16"), None if unknown.

    A spec has no dashes there: "awq_4bit" and "awq" are the catalog's "awq-4bit".
    """
    if name is None:
        return None
    key = name.lower().removeprefix("ud-")
    names = (key, key.replace("_", "-"), f"{key}-4bit", f"{key}-{kind}")
    found = (_formats().get(name) for name in names)
    return next((entry for entry in found if entry is not None and entry.kind == kind), None)


@cache
def repositories() -> dict[str, Repository]:
    """Return known repositories by ``owner/name``."""
    return {
        name: Repository(
            name=name,
            weight_bytes=entry["weight_bytes"],
            format=entry["format"],
            shape=entry["shape"],
            file=entry.get("file"),
            revision=entry.get("revision"),
            max_context=entry.get("max_context"),
            derestricted=entry.get("derestricted", False),
            instead=tuple(entry.get("instead", ())),
            source=entry["source"],
            date=entry["date"],
        )
        for name, entry in _toml("models.toml").items()
    }


def derestricted(name: str) -> bool:
    """Return whether a model's safety training was removed: as the catalog knows, else as its name says."""
    known = repositories().get(name)
    return known.derestricted if known is not None else any(word in name.lower() for word in _DERESTRICTED)


_DERESTRICTED = ("derestricted", "abliterated", "uncensored")
