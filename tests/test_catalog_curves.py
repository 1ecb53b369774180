"""The fitted curves and overheads, as they are read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from generator.catalog import curves

DATA = tomllib.loads((Path(curves.__file__).resolve().parent / "speed.toml").read_text(encoding="utf-8"))
# Terms of generator/plan/speed.py that a curve may have a coefficient of.
DECODE = {
    "dense",
    "experts",
    "slow_experts",
    "cache_shared",
    "cache_few",
    "cache_odd",
    "layers",
    "recurrent_layers",
    "mixture_16_bit_layers",
    "users",
}
PREFILL = {"dense", "experts", "mixture_16_bit", "attention", "reads", "recurrent_layers", "layers"}


@pytest.mark.parametrize("name", DATA["curve"])
def test_a_curve_is_whole(name: str) -> None:
    curve = curves.curve(name)
    assert curve is not None
    assert curve.name == name
    assert curve.low <= 1 <= curve.high
    assert 0 < curve.error < 1
    assert curve.rows >= curve.models >= 1
    assert re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", curve.date)
    assert curve.source.startswith("measurements/speed.csv")


@pytest.mark.parametrize("name", DATA["curve"])
def test_a_curve_has_only_coefficients_of_terms_and_none_below_zero(name: str) -> None:
    curve = curves.curve(name)
    assert curve is not None
    assert curve.coefficients.keys() <= (PREFILL if name.endswith(".prefill") else DECODE)
    assert all(value > 0 for value in curve.coefficients.values())
    assert "dense" in curve.coefficients


def test_decoding_never_reads_faster_than_the_nominal_bandwidth_on_strix_halo() -> None:
    for name in ("llamacpp.vulkan-radv", "llamacpp.vulkan-amdvlk", "llamacpp.rocm", "vllm.rocm"):
        curve = curves.curve(name)
        assert curve is not None
        assert curve.coefficients["dense"] > 1
        assert curve.coefficients["experts"] > 1


def test_an_unknown_curve_is_none() -> None:
    assert curves.curve("llamacpp.cpu") is None


@pytest.mark.parametrize("name", DATA["overhead"])
def test_an_overhead_is_a_range_over_runs(name: str) -> None:
    engine, kind = name.split(".")
    found = curves.overhead(engine, kind.removesuffix("-unified"), unified=kind.endswith("-unified"))
    assert found is not None
    assert 0 <= found.low <= found.median <= found.high
    assert found.runs >= 3


def test_an_unknown_overhead_is_none() -> None:
    assert curves.overhead("vllm", "cuda", unified=True) is None
    assert curves.overhead("llamacpp", "cuda", unified=False) is None
