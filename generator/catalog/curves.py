"""Fitted curves of speed and what engines take beside weights and cache: written by ``bench/fit.py``, read here."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Curve:
    """Fitted coefficients of one engine on one kind of hardware, and how well they held.

    ``low`` and ``high`` bound 80 % of measured over estimated speed where each model was left out of its own fit;
    ``error`` is the mean absolute relative error there, over ``rows`` measurements of ``models`` models, of which the
    smallest reads ``smallest`` bytes a token.
    """

    name: str
    coefficients: Mapping[str, float]
    low: float
    high: float
    error: float
    rows: int
    models: int
    smallest: float
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Overhead:
    """Bytes that an engine takes beside weights and cache (activations, graphs, its runtime), over ``runs`` runs."""

    low: float
    median: float
    high: float
    runs: int
    source: str
    date: str


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((_HERE / "speed.toml").read_text(encoding="utf-8"))


@cache
def curve(name: str) -> Curve | None:
    """Return a curve by its name, "llamacpp.vulkan-radv" or "llamacpp.rocm.prefill"; None where nothing was fitted."""
    entry = _data()["curve"].get(name)
    return None if entry is None else Curve(name=name, **entry)


@cache
def overhead(engine: str, accelerator: str, *, unified: bool) -> Overhead | None:
    """Return what an engine takes beside weights and cache on a kind of accelerator; None where no run shows it."""
    entry = _data()["overhead"].get(f"{engine}.{accelerator}{'-unified' if unified else ''}")
    return None if entry is None else Overhead(**entry)
