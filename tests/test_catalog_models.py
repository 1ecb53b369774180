"""What the catalog knows of models: everything resolves, adds up, and has its source and date."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from generator.catalog import load, models
from generator.plan.weights import weight_bytes

FOLDER = Path(models.__file__).resolve().parent
SHAPES = [path.relative_to(FOLDER).as_posix() for path in sorted((FOLDER / "shapes").glob("*.toml"))]
DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?|undated \(stored version of the file\)")


def entries(name: str) -> dict[str, dict[str, Any]]:
    data = tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))
    found = {key: entry for key, entry in data.items() if key != "incomplete"}
    return {**found, **data.get("incomplete", {})}


SOURCED = [
    pytest.param(entry, id=f"{file}:{name}")
    for file in (*SHAPES, "formats.toml", "models.toml", "hardware.toml")
    for name, entry in entries(file).items()
]


@pytest.mark.parametrize("entry", SOURCED)
def test_every_entry_has_its_source_and_date(entry: dict[str, Any]) -> None:
    assert len(entry["source"]) > 10
    assert DATE.fullmatch(entry["date"])


@pytest.mark.parametrize("name", models.shape_names())
def test_a_shape_adds_up(name: str) -> None:
    shape = models.shape(name)
    assert shape is not None
    counts = shape.parameters
    keeping = sum(group.layers for group in shape.attention) + sum(group.layers for group in shape.recurrent)
    assert 0 < keeping <= shape.layers
    assert shape.attention or shape.recurrent
    for group in shape.attention:
        assert min(group.layers, group.kv_heads, group.key_dim) > 0
        assert group.query_heads % group.kv_heads == 0
        assert group.window is None or group.window > 0
    assert counts.dense >= counts.embedding >= 0
    assert counts.embedding in {0, shape.vocabulary * shape.hidden_size}
    assert shape.mixture == (shape.expert_count > 0) == (shape.experts_per_token > 0)
    if shape.mixture:
        share = shape.experts_per_token / shape.expert_count
        assert counts.active / counts.experts == pytest.approx(share, rel=1e-6)
    assert shape.max_context is None or 4096 <= shape.max_context <= 1 << 24


@pytest.mark.parametrize("name", models.shape_names())
def test_a_shapes_own_format_is_known(name: str) -> None:
    shape = models.shape(name)
    assert shape is not None
    assert models.weight_format(shape.native_format, "safetensors") is not None


# Parameters as their names and makers say them, in 10^9.
@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("openai/gpt-oss-20b", 20.9),
        ("openai/gpt-oss-120b", 116.8),
        ("Qwen/Qwen3-8B", 8.19),
        ("Qwen/Qwen3-30B-A3B", 30.5),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", 79.7),
        ("meta-llama/Llama-3.1-8B-Instruct", 8.03),
        ("meta-llama/Llama-3.3-70B-Instruct", 70.6),
        ("google/gemma-3-12b-it", 11.8),
        ("zai-org/GLM-4.5-Air", 106.9),
        ("deepseek-ai/DeepSeek-V3", 671.0),
        ("mistralai/Mixtral-8x7B-v0.1", 46.7),
    ],
)
def test_a_shape_has_the_parameters_that_its_maker_counts(name: str, total: float) -> None:
    shape = models.shape(name)
    assert shape is not None
    assert shape.parameters.total / 1e9 == pytest.approx(total, rel=0.005)


@pytest.mark.parametrize("name", models.repositories())
def test_a_repositorys_shape_and_format_resolve_and_its_size_is_theirs(name: str) -> None:
    entry = models.repositories()[name]
    shape = models.shape(entry.shape)
    stored = models.weight_format(entry.format, "gguf" if "gguf" in name.lower() else "safetensors")
    assert shape is not None
    assert stored is not None
    expected = weight_bytes(shape, stored, None)
    assert expected is not None
    assert entry.weight_bytes == pytest.approx(expected.total, rel=0.03)
    assert entry.revision is None or re.fullmatch("[0-9a-f]{40}", entry.revision)


def test_every_repository_that_is_named_instead_exists_and_is_smaller() -> None:
    known = models.repositories()
    for name, entry in known.items():
        for other in entry.instead:
            assert known[other].weight_bytes < entry.weight_bytes, name


def test_a_model_of_which_a_part_is_missing_has_no_shape_and_a_reason() -> None:
    parts = [tomllib.loads((FOLDER / file).read_text(encoding="utf-8")).get("incomplete", {}) for file in SHAPES]
    names = [name for part in parts for name in part]
    assert names
    for name in names:
        assert models.shape(name) is None
        assert models.incomplete(name)
        assert name not in models.shape_names()


def test_an_unknown_model_has_neither_shape_nor_reason() -> None:
    assert models.shape("a/b") is None
    assert models.incomplete("a/b") is None
    assert models.shape("incomplete") is None


@pytest.mark.parametrize(
    ("written", "kind", "name"),
    [
        ("bf16", "safetensors", "bf16"),
        ("bf16", "gguf", "bf16-gguf"),
        ("BF16", "gguf", "bf16-gguf"),
        ("mxfp4", "gguf", "mxfp4-gguf"),
        ("Q4_K_M", "gguf", "q4_k_m"),
        ("UD-Q4_K_XL", "gguf", "q4_k_xl"),
        ("awq-4bit", "safetensors", "awq-4bit"),
        ("awq_4bit", "safetensors", "awq-4bit"),
        ("awq", "safetensors", "awq-4bit"),
        ("gptq", "safetensors", "gptq-4bit"),
        ("q4_k_m", "safetensors", None),
        ("fp8", "gguf", None),
        ("q9_z", "gguf", None),
        (None, "gguf", None),
    ],
)
def test_a_format_by_the_names_that_it_has(written: str | None, kind: str, name: str | None) -> None:
    found = models.weight_format(written, kind)
    assert (found.name if found else None) == name


@pytest.mark.parametrize("name", entries("formats.toml"))
def test_a_formats_bits_are_bits(name: str) -> None:
    stored = models.weight_format(name, entries("formats.toml")[name]["kind"])
    assert stored is not None
    assert stored.name == name
    for bits in (stored.dense, stored.experts, stored.embedding, stored.dense_only):
        assert 1.5 < bits <= 16.001
    assert all(1 <= factor < 1.2 for factor in stored.loaded.values())


@pytest.mark.parametrize("name", load.hardware())
def test_hardware_is_whole(name: str) -> None:
    entry = load.hardware()[name]
    assert entry.accelerator in {"rocm", "cuda", "cpu", "metal"}
    assert (entry.target is None) == (entry.accelerator == "cpu")
    assert entry.bandwidth_gbs is not None
    assert entry.visible_mib is None or (entry.unified and 0.9 < entry.visible_mib / entry.memory_mib < 1)
    assert load.hardware_descriptions()[name]
