"""The committed curves are what the fit computes, and what they promise of the measurements holds."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

WHY = "numpy and scipy are not installed: pip install '.[dev]'"
pytest.importorskip("numpy", reason=WHY)
pytest.importorskip("scipy", reason=WHY)

from bench import fit, plan_accuracy  # noqa: E402 - only where they can be imported
from bench.measurements import rows as measurements  # noqa: E402
from bench.measurements import runs  # noqa: E402
from generator.catalog import models  # noqa: E402

TABLES, SKIPPED = plan_accuracy.memory_tables()


def flat(data: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        yield from flat(value, f"{path}/{name}") if isinstance(value, dict) else [(f"{path}/{name}", value)]


def test_the_committed_curves_are_what_the_fit_computes() -> None:
    text = fit.OUTPUT.read_text(encoding="utf-8")
    committed, computed = (dict(flat(tomllib.loads(entry))) for entry in (text, fit.fitted()))
    assert committed.keys() == computed.keys(), "run python -m bench.fit"
    for name, value in committed.items():
        expected = pytest.approx(computed[name], rel=1e-3) if isinstance(value, float) else computed[name]
        assert value == expected, f"{name}: run python -m bench.fit"
    assert text.splitlines()[0].startswith("# Managed by `python -m bench.fit`")


def rows(title: str) -> list[Any]:
    table = TABLES[title]
    return [pytest.param(ratio, id=name) for name, ratio in zip(table.names, table.ours, strict=True)]


@pytest.mark.parametrize("ratio", rows("llama.cpp, KV buffer"))
def test_llama_cpps_cache_is_exact(ratio: float) -> None:
    assert round(ratio, 3) == 1.0


@pytest.mark.parametrize("ratio", rows("llama.cpp, recurrent state"))
def test_llama_cpps_recurrent_state_is_exact(ratio: float) -> None:
    assert round(ratio, 3) == 1.0


@pytest.mark.parametrize("ratio", rows("llama.cpp, weights in memory"))
def test_llama_cpps_weights_are_within_three_percent(ratio: float) -> None:
    assert abs(ratio - 1) <= 0.03


@pytest.mark.parametrize("ratio", rows("llama.cpp, compute buffers"))
def test_llama_cpps_compute_buffers_are_within_the_bounds_that_plans_print(ratio: float) -> None:
    assert 1 / 1.03 <= ratio <= 1.35


@pytest.mark.parametrize("ratio", rows("vLLM, KV tokens"))
def test_vllms_tokens_are_within_two_percent(ratio: float) -> None:
    assert abs(ratio - 1) <= 0.02


@pytest.mark.parametrize("ratio", rows("vLLM, maximum concurrency"))
def test_vllms_concurrency_is_within_eight_percent(ratio: float) -> None:
    assert abs(ratio - 1) <= 0.08


@pytest.mark.parametrize("ratio", rows("vLLM, weights in memory"))
def test_vllms_weights_are_within_ten_percent(ratio: float) -> None:
    assert abs(ratio - 1) <= 0.1


def test_no_run_of_a_known_shape_is_left_out_without_a_reason() -> None:
    """Every run that prints what the rules speak of is in a table, or says why it is not."""
    told = {name for table in TABLES.values() for name in table.names} | {line.split(": ")[1] for line in SKIPPED}
    spoken = {"kv_buffer", "available_kv_cache_memory", "model_loading_took", "recurrent_state_buffer"}
    for row in measurements("memory.csv"):
        if row["metric"] in spoken and models.shape(row["hf_id"]) and row["engine"] in {"vLLM", "llama.cpp"}:
            assert row["run_id"] in told, row["run_id"]


def test_the_tables_are_not_empty() -> None:
    counts = {title: len(table.ours) for title, table in TABLES.items()}
    assert counts["llama.cpp, KV buffer"] >= 17
    assert counts["vLLM, KV tokens"] >= 22
    assert min(counts.values()) >= 12


STRIX = [
    entry for entry in fit.FITS if entry.name in {"llamacpp.vulkan-radv", "llamacpp.vulkan-amdvlk", "llamacpp.rocm"}
]


def test_decoding_on_strix_halo_is_within_twelve_percent_of_models_that_the_fit_has_not_seen() -> None:
    ratios = [ratio for entry in STRIX for ratio in unseen(entry)]
    assert len(ratios) >= 390
    assert sum(abs(1 / ratio - 1) for ratio in ratios) / len(ratios) <= 0.12


@pytest.mark.parametrize("entry", fit.FITS, ids=[entry.name for entry in fit.FITS])
def test_the_band_holds_four_fifths_of_what_was_measured(entry: fit.Fit) -> None:
    ratios = unseen(entry)
    low, high = fit.band(ratios, len({entry.group(run) for run in runs() if entry.wanted(run)}))
    assert sum(low <= ratio <= high for ratio in ratios) / len(ratios) >= 0.78


def unseen(entry: fit.Fit) -> list[float]:
    known = [(entry.group(run), fit.terms(run, entry.kind), run.value) for run in runs() if entry.wanted(run)]
    return fit.left_out(known, entry)
