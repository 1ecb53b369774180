"""``python -m bench.fit`` fits the speed curves to the published measurements and writes ``catalog/speed.toml``.

Coefficients are not negative and minimise the mean absolute relative error of speed (iteratively reweighted least
squares). The band and the error are those of models that were left out of the fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from bench.measurements import Run, rows, runs
from generator.catalog import models
from generator.plan import speed
from generator.plan.vllm_cache import layout
from generator.plan.weights import loaded_bytes, weight_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Terms = dict[str, float]

OUTPUT = Path(models.__file__).resolve().parent / "speed.toml"
_HEAD = """# Managed by `python -m bench.fit`: fitted to measurements/speed.csv, which names the source of every row.
# Coefficients: see generator/plan/speed.py. "low" and "high" bound 80 % of measured over estimated speed, "error" is
# the mean absolute relative error, both with each model left out of its own fit; of few models, all of them.
"""
_GIB = 1024**3
_STRIX = "Strix Halo"
# The GTT of the machine behind the runs named maxctx: amdgpu.gttsize=126976 in its own documentation, 2026-08.
_STRIX_GIB = 124.0
_MANY = 8
_BASE = ("dense", "experts", "layers", "recurrent_layers")
_CACHE = ("cache_shared", "cache_few", "cache_odd")


@dataclass(frozen=True, slots=True)
class Fit:
    """What to fit: rows by ``wanted``, the terms that may matter, and by what rows are left out together.

    ``same`` names terms that have one coefficient, because the rows are too few to tell them apart.
    """

    name: str
    wanted: Callable[[Run], bool]
    terms: tuple[str, ...]
    kind: str = "decode"
    same: dict[str, str] | None = None
    group: Callable[[Run], str] = lambda run: run.model


def _strix(driver: str, kind: str = "decode") -> Callable[[Run], bool]:
    return lambda run: (
        run.engine == "llama.cpp"
        and run.driver == driver
        and run.hardware.startswith(_STRIX)
        and run.kind == kind
        and run.users == 1
        and run.date.startswith("2026")
    )


def _single(engine: str, driver: str, hardware: str = "", kind: str = "decode") -> Callable[[Run], bool]:
    return lambda run: (
        run.engine == engine
        and run.driver == driver
        and run.hardware.startswith(hardware)
        and run.kind == kind
        and run.users == 1
        and run.bandwidth > 0
    )


_PREFILL = ("dense", "experts", "mixture_16_bit", "attention", "reads", "recurrent_layers", "layers")
FITS = (
    Fit(
        "llamacpp.vulkan-radv",
        _strix("vulkan-radv"),
        (*_BASE, *_CACHE, "mixture_16_bit_layers"),
        same={"cache_odd": "cache_shared"},
    ),
    Fit(
        "llamacpp.vulkan-amdvlk",
        _strix("vulkan-amdvlk"),
        (*_BASE, *_CACHE, "mixture_16_bit_layers"),
        same={"cache_odd": "cache_shared", "cache_few": "cache_shared"},
    ),
    Fit("llamacpp.rocm", _strix("rocm"), (*_BASE, *_CACHE)),
    Fit(
        "llamacpp.cuda",
        _single("llama.cpp", "cuda"),
        ("dense", "experts", "layers", *_CACHE),
        same={"cache_odd": "cache_shared", "cache_few": "cache_shared"},
    ),
    Fit("llamacpp.metal", _single("llama.cpp", "metal"), ("dense", "layers"), group=lambda run: run.hardware),
    Fit("vllm.rocm", _single("vLLM", "rocm", _STRIX), ("dense", "experts", "slow_experts"), same={"experts": "dense"}),
    Fit("llamacpp.vulkan-radv.prefill", _strix("vulkan-radv", "prefill"), _PREFILL, "prefill"),
    Fit("llamacpp.rocm.prefill", _strix("rocm", "prefill"), _PREFILL, "prefill"),
)


def terms(run: Run, kind: str) -> Terms:
    """Return the terms of a run: seconds at its hardware's nominal bandwidth, or operations."""
    stored = speed.Stored(run.shape, run.weights, run.bandwidth)
    if kind == "prefill":
        return speed.prefill_terms(stored, run.prompt, run.depth)
    slow = run.engine == "vLLM" and run.shape.native_format == "mxfp4"
    return speed.decode_terms(stored, run.depth, run.element_bytes, slow_experts=slow)


def coefficients(known: Sequence[tuple[Terms, float]], fit: Fit) -> dict[str, float]:
    """Return the coefficients that explain rows of (terms, tokens a second) best."""
    same = fit.same or {}
    columns = [name for name in fit.terms if name not in same]
    names = {name: [name, *(other for other, to in same.items() if to == name)] for name in columns}
    matrix = np.array([[sum(term[n] for n in names[name]) * value for name in columns] for term, value in known])
    weight = np.ones(len(known))
    found = np.zeros(len(columns))
    for _ in range(60):
        found, _norm = nnls(matrix * weight[:, None], weight)
        relative = matrix @ found  # estimated over measured time
        error = np.abs(1 / np.maximum(relative, 1e-6) - 1)
        weight = np.sqrt(np.maximum(error, 1e-3)) / np.maximum(np.abs(relative - 1), 0.02)
    return {n: float(x) for name, x in zip(columns, found, strict=True) if x > 0 for n in names[name]}


def left_out(known: Sequence[tuple[str, Terms, float]], fit: Fit) -> list[float]:
    """Return measured over estimated speed of every row, by a fit that has not seen its group."""
    ratios = []
    for group in sorted({group for group, _, _ in known}):
        found = coefficients([(term, value) for other, term, value in known if other != group], fit)
        for other, term, value in known:
            if other == group:
                time = sum(found.get(name, 0.0) * amount for name, amount in term.items())
                ratios.append(value * time if time > 0 else float("nan"))
    return ratios


def band(ratios: Sequence[float], groups: int) -> tuple[float, float]:
    """Return what holds 80 % of measured over estimated speeds; of few models all: a quantile would claim too much."""
    low, high = np.quantile(ratios, (0.1, 0.9) if groups >= _MANY else (0.0, 1.0))
    return float(low), float(high)


def _batch(fit: Fit, found: dict[str, float]) -> float | None:
    """Return what every further user costs a layer, in seconds, from rows of several users; None without any."""
    costs = []
    for run in runs():
        engine, _, driver = fit.name.partition(".")
        same = {"llamacpp": "llama.cpp", "vllm": "vLLM"}[engine] == run.engine and run.driver == driver
        if same and run.kind == "decode" and run.users > 1 and run.bandwidth > 0:
            step = speed.batch_terms(terms(run, "decode"), run.shape, run.users)
            rest = run.users / run.value - sum(found.get(name, 0.0) * step[name] for name in step if name != "users")
            costs.append(rest / step["users"])
    return max(float(np.median(costs)), 0.0) if costs else None


def table(fit: Fit) -> list[str]:
    """Return the lines of one curve."""
    found_rows = [(fit.group(run), terms(run, fit.kind), run.value) for run in runs() if fit.wanted(run)]
    found = coefficients([(term, value) for _, term, value in found_rows], fit)
    ratios = np.array(left_out(found_rows, fit))
    ratios = ratios[np.isfinite(ratios)]
    groups = len({group for group, _, _ in found_rows})
    low, high = band(ratios, groups)
    users = _batch(fit, found) if fit.kind == "decode" else None
    if users is not None:
        found["users"] = users
    dates = sorted({run.date.removeprefix("<=").split(" ")[0] for run in runs() if fit.wanted(run)})
    return [
        f'[curve."{fit.name}"]',
        f"low = {min(low, 1.0):.4f}",
        f"high = {max(high, 1.0):.4f}",
        f"error = {np.mean(np.abs(1 / ratios - 1)):.4f}",
        f"rows = {len(found_rows)}",
        f"smallest = {min(run.weights.read for run in runs() if fit.wanted(run)):.0f}",
        f"models = {groups}",
        f'source = "measurements/speed.csv, {dates[0]} to {dates[-1]}"',
        f'date = "{dates[-1]}"',
        *(f"coefficients.{name} = {value:.6g}" for name, value in found.items()),
        "",
    ]


def overheads() -> list[str]:
    """Return the lines of what vLLM takes beside weights and cache: its share of nominal memory less both."""
    found: dict[str, list[tuple[float, str]]] = {}
    by_run: dict[str, list[dict[str, str]]] = {}
    for row in rows("memory.csv"):
        by_run.setdefault(row["run_id"], []).append(row)
    for group in by_run.values():
        row = group[0]
        values = {entry["metric"]: float(entry["value"]) for entry in group}
        shape = models.shape(row["hf_id"])
        strix = row["hardware"].startswith(_STRIX)
        nominal = _STRIX_GIB if strix else float((re.search(r"(\d+)GB", row["hardware"]) or [0, 0])[1])
        if row["engine"] != "vLLM" or shape is None or not row["gpu_memory_utilization"] or not nominal:
            continue
        cache, weights = values.get("available_kv_cache_memory"), values.get("model_loading_took")
        if strix and row["run_id"].startswith("maxctx"):
            division = layout(shape, 2)
            block = min(kind.block_tokens for kind, _ in division.groups if kind.block_tokens)
            blocks = values["gpu_kv_cache_size"] / block * sum(count for _, count in division.groups)
            stored = models.weight_format("awq-4bit" if "AWQ" in row["model"] else shape.native_format, "safetensors")
            sizes = weight_bytes(shape, stored, None)
            if sizes is None:
                continue
            cache, weights = blocks * division.block_bytes / _GIB, loaded_bytes(sizes, stored, "rocm") / _GIB
        if cache is None or weights is None:
            continue
        kind = "rocm-unified" if strix else "cuda" if row["hardware"].startswith("RTX") else "rocm"
        rest = float(row["gpu_memory_utilization"]) * nominal - cache - weights
        found.setdefault(kind, []).append((rest, row["date"]))
    lines = []
    for kind, values_ in sorted(found.items()):
        sizes_ = np.array([size for size, _ in values_]) * _GIB
        lines += [
            f'[overhead."vllm.{kind}"]',
            f"low = {max(float(sizes_.min()), 0):.0f}",
            f"median = {float(np.median(sizes_)):.0f}",
            f"high = {float(sizes_.max()):.0f}",
            f"runs = {len(values_)}",
            'source = "measurements/memory.csv: share of the nominal memory less weights and cache"',
            f'date = "{max(date for _, date in values_)}"',
            "",
        ]
    return lines


def fitted() -> str:
    """Fit all curves and return them as TOML."""
    return "\n".join([_HEAD, *(line for fit in FITS for line in table(fit)), *overheads()])


def main() -> None:
    """Write the fitted curves."""
    OUTPUT.write_text(fitted(), encoding="utf-8")
    print(OUTPUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
