"""The published measurements as rows, with the model's shape and weights where the catalog knows them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generator.catalog import models
from generator.plan.llama_cache import CACHE_TYPES
from generator.plan.weights import weight_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.plan.weights import WeightBytes
    from generator.shapes.shape import Shape

_FOLDER = Path(models.__file__).resolve().parent / "measurements"
_GIB = 1024**3
# Rows name the model of this file, not its shape's repository.
_ALSO = {"NVIDIA-Nemotron-3-Super-120B-A12B-UD-Q4_K_XL": "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8"}


@dataclass(frozen=True, slots=True)
class Run:
    """One measured speed. ``bandwidth`` is nominal, in bytes a second; ``value`` in tokens a second."""

    model: str
    shape: Shape
    weights: WeightBytes
    engine: str
    driver: str
    hardware: str
    kind: str
    prompt: int
    depth: int
    users: int
    element_bytes: float
    bandwidth: float
    value: float
    date: str


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of ``speed.csv`` or ``memory.csv``."""
    with (_FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def runs() -> Iterator[Run]:
    """Yield every measured speed whose model has a known shape and a known or computable size."""
    for row in rows("speed.csv"):
        model = row["hf_id"] or _ALSO.get(row["model"], "")
        shape = models.shape(model)
        if shape is None or not row["batch"].isdigit() or not row["value_tps"]:
            continue
        kind = "gguf" if row["engine"] == "llama.cpp" else "safetensors"
        size = float(row["file_size_gib"]) * _GIB if row["file_size_gib"] and kind == "gguf" else None
        stored = models.weight_format(_format(row["quant"], kind), kind)
        weights = weight_bytes(shape, stored, size)
        if weights is None:
            continue
        yield Run(
            model=model,
            shape=shape,
            weights=weights,
            engine=row["engine"],
            driver=_driver(row),
            hardware=row["hardware"],
            kind=row["kind"],
            prompt=int(row["n_prompt"] or 0),
            depth=int(row["context_depth"] or 0),
            users=int(row["batch"]),
            element_bytes=CACHE_TYPES.get(row["kv_dtype"], 2.0),
            bandwidth=float(row["mem_bw_gbs_nominal"] or 0) * 1e9,
            value=float(row["value_tps"]),
            date=row["date"],
        )


def _driver(row: dict[str, str]) -> str:
    if row["backend"] == "Vulkan":
        return "vulkan-amdvlk" if "AMDVLK" in row["driver_env"].upper() else "vulkan-radv"
    return row["backend"].lower()


def _format(quant: str, kind: str) -> str | None:
    if kind == "gguf":
        return quant
    for start, name in (("AWQ", "awq-4bit"), ("FP16", "fp16"), ("BF16", "bf16"), ("mxfp4", "mxfp4")):
        if quant.startswith(start):
            return name
    return None
