"""Fields and arguments as one, and the numbers that people write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.plan.arguments import flags_of, number, whole
from tests.planning import LLAMA_GGUF, STRIX, deployment


def flags(engine: str, *arguments: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    service = {"engine": engine, engine: fields, "extra_args": list(arguments)}
    return flags_of(deployment(STRIX, LLAMA_GGUF, service).services["s"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-model-len=4096",),
        ("--max-model-len", "4096"),
        ("--max_model_len=4096",),
        ("--max_model_len", "4096"),
        ("--max-model-len", "1", "--max-model-len", "4096"),  # the last holds, as for argparse
    ],
)
def test_an_argument_is_read_in_every_form_that_vllm_takes(arguments: tuple[str, ...]) -> None:
    assert flags("vllm", *arguments) == {"max_model_len": "4096"}


@pytest.mark.parametrize("arguments", [("-c", "4096"), ("--ctx-size", "4096"), ("-c=4096",)])
def test_short_names_are_the_long_ones(arguments: tuple[str, ...]) -> None:
    assert flags("llamacpp", *arguments) == {"ctx_size": "4096"}


def test_a_switch_is_true_and_its_negation_false() -> None:
    assert flags("vllm", "--enforce-eager", "--seed", "7") == {"enforce_eager": True, "seed": "7"}
    assert flags("llamacpp", "--no-mmap", "-kvu") == {"mmap": False, "kv_unified": True}


def test_a_negative_number_is_a_value() -> None:
    assert flags("llamacpp", "-ngl", "-1") == {"n_gpu_layers": "-1"}


def test_values_without_a_flag_are_nobodys() -> None:
    assert flags("vllm", "4096", "") == {}


def test_a_parameter_of_a_json_flag_stands_for_the_flag() -> None:
    assert "hf_overrides" in flags("vllm", "--hf-overrides.rope_parameters.factor", "4")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (4096, 4096),
        ("4096", 4096),
        ("32k", 32000),
        ("32K", 32768),
        ("25.6k", 25600),
        ("1M", 1048576),
        ("8G", 8 * 1024**3),
        (0.85, 0.85),
        ("0.85", 0.85),
        ("1e3", 1000),
        ("1.5K", None),  # vLLM refuses it too
        ("auto", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        (True, None),
        (None, None),
    ],
)
def test_numbers_as_they_are_written(written: Any, value: float | None) -> None:  # noqa: ANN401
    assert number(written) == value


@pytest.mark.parametrize(
    ("written", "value"), [(0, None), (-1, None), ("0.5", None), (1, 1), ("7.9", 7), (10**9, 10**9)]
)
def test_whole_numbers_are_one_or_more(written: Any, value: int | None) -> None:  # noqa: ANN401
    assert whole(written) == value


@given(st.lists(st.text(max_size=12) | st.sampled_from(["--max-model-len", "-c", "=", "--", "-", "--x=1", "-np"])))
def test_no_argument_is_too_strange(arguments: list[str]) -> None:
    for engine in ("vllm", "llamacpp", "ollama", "openai-compatible"):
        for value in flags(engine, *arguments).values():
            whole(value)
