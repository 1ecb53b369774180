"""Published measurements beside an estimate: which, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from generator.plan.published import published
from tests.planning import DISCRETE, GPT_OSS, GPT_OSS_GGUF, STRIX
from tests.planning import llama as ask_llama
from tests.planning import vllm as ask_vllm


def test_the_same_engine_comes_first_and_decoding_before_prompts() -> None:
    rows = published(ask_vllm())
    same = [row.same_engine for row in rows]
    assert same == sorted(same, reverse=True)
    assert rows[0].engine.startswith("vLLM")
    assert rows[0].what == "decode"


@pytest.mark.parametrize(("backend", "word"), [("vulkan", "Vulkan"), ("rocm", "ROCm")])
def test_the_same_backend_comes_first(backend: str, word: str) -> None:
    first = published(ask_llama(ctx_size=4096, backend=backend))[0]
    assert first.what == "decode"
    assert word in first.engine
    assert "AMDVLK" not in first.engine


def test_the_measurement_that_everybody_quotes_is_there() -> None:
    values = {(row.what, row.value) for row in published(ask_llama(ctx_size=4096))}
    assert any(what == "decode" and 50 < value < 60 for what, value in values)


def test_each_kind_is_shown_a_few_times_and_nothing_twice() -> None:
    rows = published(ask_llama(ctx_size=4096))
    counts = Counter(row.kind for row in rows)
    assert {"decode", "deep", "prompt"} <= counts.keys()
    assert max(counts.values()) <= 5
    assert len({(row.what, row.engine, row.format) for row in rows}) == len(rows)


def test_every_measurement_has_its_source_and_date() -> None:
    assert all(row.source and row.date and row.value > 0 for row in published(ask_llama(ctx_size=4096)))


def test_speculative_decoding_is_another_thing() -> None:
    used = {"repository": "Qwen/Qwen3.6-27B", "format": "gguf", "quantisation": "q4_k_xl", "file": "a.gguf"}
    assert not any("speculative" in row.what for row in published(ask_llama(used=used, ctx_size=4096)))


@pytest.mark.parametrize(
    ("machine", "used"),
    [
        (STRIX, {"repository": "a/b", "format": "safetensors"}),
        ({"hardware": "no-such"}, GPT_OSS),
        ({"hardware": "cpu-desktop"}, GPT_OSS),
        ({"hardware": {"accelerator": "cuda", "target": "sm_86", "memory_mib": 24576}}, GPT_OSS),
    ],
)
def test_what_nobody_measured_has_none(machine: Any, used: Any) -> None:  # noqa: ANN401
    assert published(ask_vllm(machine=machine, used=used)) == ()


def test_other_hardware_has_its_own() -> None:
    here, there = published(ask_llama(ctx_size=4096)), published(ask_llama(machine=DISCRETE, used=GPT_OSS_GGUF))
    assert not set(here) & set(there)
