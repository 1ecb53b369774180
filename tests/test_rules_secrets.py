"""Keys in plain sight: found by name and by form, told without being shown."""

from __future__ import annotations

import pytest

from generator.spec.rules.secrets import check
from tests.rule_checks import ASPEN1, told

HUB_KEY = "hf_" + "a" * 30
API_KEY = "sk-" + "b" * 30


def service(line: str) -> str:
    return f'[services.a]\nengine = "ollama"\nmachines = ["aspen1"]\n{line}'


@pytest.mark.parametrize("name", ["HF_TOKEN", "VLLM_API_KEY", "OPENAI_APIKEY", "db_password", "SECRET", "x_PASSWD_y"])
def test_a_variable_that_is_named_like_a_key_is_refused(name: str) -> None:
    assert told(check, service(f'extra_env = {{ {name} = "x" }}'), ASPEN1) == [
        (
            f"4:15: services.a.extra_env.{name}: {name} is a key, "
            "and everybody could read it in the Nix store; leave it out"
        )
    ]


@pytest.mark.parametrize("value", [HUB_KEY, API_KEY, f"Bearer {API_KEY}"])
def test_a_variable_that_holds_a_key_is_refused_without_showing_it(value: str) -> None:
    found = told(check, service(f'extra_env = {{ A = "{value}" }}'), ASPEN1)
    assert found == [
        "4:15: services.a.extra_env.A: A is a key, and everybody could read it in the Nix store; leave it out"
    ]


def test_a_key_in_the_machines_environment_is_refused() -> None:
    text = '[machines.m]\nhardware = "strix-halo-128"\nrocm_environment = { HF_TOKEN = "x" }'
    assert told(check, text) == [
        (
            "3:22: machines.m.rocm_environment.HF_TOKEN: HF_TOKEN is a key, "
            "and everybody could read it in the Nix store; leave it out"
        )
    ]


def test_an_argument_that_holds_a_key_is_refused_without_showing_it() -> None:
    assert told(check, service(f'extra_args = ["--header", "X: {HUB_KEY}"]'), ASPEN1) == [
        (
            "4:27: services.a.extra_args[1]: this argument holds a key, and everybody could read it in the Nix store; "
            "leave it out"
        )
    ]


@pytest.mark.parametrize(
    "line",
    [
        'extra_env = { OLLAMA_KEEP_ALIVE = "1h", TOKENIZERS_PARALLELISM = "true", MAX_TOKENS = "9" }',
        'extra_args = ["--max-num-batched-tokens", "2048", "sk-short", "hf_short"]',
    ],
)
def test_what_only_sounds_like_a_key_is_right(line: str) -> None:
    assert told(check, service(line), ASPEN1) == []
