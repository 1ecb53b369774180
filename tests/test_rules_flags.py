"""Arguments that a person adds by hand: each flag once, and only flags that the engine's release has."""

from __future__ import annotations

import json

import pytest

from generator import resources
from generator.catalog.load import vllm_flag_lists
from generator.spec.rules.flags import check, flag_of_argument, flag_of_field
from tests.rule_checks import ASPEN1, MODELS, told

UNKNOWN = "if your release has it, set allow_unknown_flags = true"


def vllm(arguments: str, *lines: str, version: str = "0.32.0") -> list[str]:
    """Return the problems of a vLLM service with these arguments, whose list begins at 5:14."""
    text = "\n".join(
        [
            "[services.a]",
            'engine = "vllm"',
            'machines = ["aspen1"]',
            f'model = "weights"\nextra_args = {arguments}',
            f'version = "{version}"' if version else "",
            *lines,
        ]
    )
    return told(check, text, ASPEN1, MODELS)


def llamacpp(arguments: str, *lines: str) -> list[str]:
    text = '[services.a]\nengine = "llamacpp"\nmachines = ["aspen1"]\nmodel = "gguf"\nextra_args = '
    return told(check, "\n".join([text + arguments, *lines]), ASPEN1, MODELS)


@pytest.mark.parametrize(
    "arguments",
    [
        "[]",
        '["--seed", "7"]',
        '["--seed=7", "--no-enable-log-requests"]',
        '["--seed", "-1"]',
        '["--hf_overrides", "{}"]',  # vLLM takes underscores for dashes
        '["--compilation-config.level", "3"]',  # and a dot for what lies inside
        '["--dtype", "float16"]',
        '["-tp", "1"]',
        '["--seed", "two words", "a value"]',
    ],
)
def test_flags_that_the_release_has_are_right(arguments: str) -> None:
    assert vllm(arguments) == []


# Twice


@pytest.mark.parametrize(
    ("argument", "flag", "field", "value"),
    [
        ("--max-model-len", "--max-model-len", "max_model_len", "4096"),
        ("--max_model_len", "--max-model-len", "max_model_len", "4096"),
        ("--max-model-len=1", "--max-model-len", "max_model_len", "4096"),
        ("-tp", "--tensor-parallel-size", "tensor_parallel_size", "1"),
        ("--no-enforce-eager", "--no-enforce-eager", "enforce_eager", "true"),
    ],
)
def test_a_flag_that_is_a_field_too_is_refused(argument: str, flag: str, field: str, value: str) -> None:
    found = vllm(f'["{argument}", "1"]', f"vllm = {{ {field} = {value} }}")
    assert found == [
        f"5:15: services.a.extra_args[0]: {flag} is given twice: by the field {field} and here; keep one of them"
    ]


@pytest.mark.parametrize(
    ("argument", "flag", "field", "value"),
    [
        ("-c", "--ctx-size", "ctx_size", "4096"),
        ("-ngl", "--n-gpu-layers", "n_gpu_layers", "9"),
        ("--no-mmap", "--mmap", "mmap", "false"),
        ("--no-jinja", "--no-jinja", "jinja", "true"),
    ],
)
def test_llama_cpps_other_names_are_the_same_flag(argument: str, flag: str, field: str, value: str) -> None:
    found = llamacpp(f'["--seed", "1", "{argument}"]', f"llamacpp = {{ {field} = {value} }}")
    assert found == [
        f"5:30: services.a.extra_args[2]: {flag} is given twice: by the field {field} and here; keep one of them"
    ]


@pytest.mark.parametrize(
    ("flag", "field"),
    [
        ("--host", "host"),
        ("--port", "port"),
        ("--model", "model"),
        ("--served-model-name", "served_name of the model"),
    ],
)
def test_what_the_service_sets_by_itself_is_refused(flag: str, field: str) -> None:
    assert vllm(f'["{flag}", "1"]') == [f"5:15: services.a.extra_args[0]: {flag} is set by {field}; leave it out here"]


def test_llama_cpps_alias_is_the_served_name() -> None:
    assert llamacpp('["-a", "name"]') == [
        "5:15: services.a.extra_args[0]: --alias is set by served_name of the model; leave it out here"
    ]


@pytest.mark.parametrize("argument", ["--api-key", "--api-key=x", "--hf-token"])
def test_a_key_on_the_command_line_is_refused(argument: str) -> None:
    flag = argument.partition("=")[0]
    assert vllm(f'["{argument}", "x"]') == [
        f"5:15: services.a.extra_args[0]: {flag} would show the key to everybody on the machine; leave it out"
    ]


def test_ollama_takes_no_arguments() -> None:
    text = '[services.a]\nengine = "ollama"\nmachines = ["aspen1"]\nextra_args = ["--x"]'
    assert told(check, text, ASPEN1) == ["4:1: services.a.extra_args: ollama serve takes no arguments; use extra_env"]


def test_an_openai_compatible_container_may_be_given_anything() -> None:
    text = '[services.a]\nengine = "openai-compatible"\nmachines = ["aspen1"]\nextra_args = ["--port", "80", "--zzz"]'
    assert told(check, text, ASPEN1) == []


# Flags that the release does not have


def test_a_misspelt_flag_is_told_with_the_nearest() -> None:
    assert vllm('["--seed", "1", "--gpu-memory-utilisation", "0.9"]') == [
        (
            "5:30: services.a.extra_args[2]: vLLM 0.32.0 has no --gpu-memory-utilisation; "
            f'did you mean "--gpu-memory-utilization"?; {UNKNOWN}'
        )
    ]


def test_a_flag_like_no_other_is_told_to_go() -> None:
    assert vllm('["--swap-space", "4"]') == [
        f"5:15: services.a.extra_args[0]: vLLM 0.32.0 has no --swap-space; leave it out; {UNKNOWN}"
    ]


def test_a_release_without_a_list_is_held_against_the_nearest_and_that_is_said() -> None:
    assert vllm('["--swap-space", "4"]', version="0.33.0") == [
        (
            "5:15: services.a.extra_args[0]: vLLM 0.33.0 (by the list of 0.32.0) has no --swap-space; "
            f"leave it out; {UNKNOWN}"
        )
    ]


def test_the_release_of_the_known_image_counts_where_the_spec_says_none() -> None:
    assert vllm('["--swap-space", "4"]', version="") == [
        (
            "5:15: services.a.extra_args[0]: vLLM 0.23.0 (by the list of 0.32.0) has no --swap-space; "
            f"leave it out; {UNKNOWN}"
        )
    ]


def test_a_person_who_knows_better_may_say_so() -> None:
    assert vllm('["--swap-space", "4"]', "allow_unknown_flags = true") == []


def test_a_field_that_the_release_lacks_is_told_at_the_field() -> None:
    assert vllm("[]", "vllm = { max_num_queued_reqs = 4 }", version="0.28.0") == [
        (
            "7:32: services.a.vllm.max_num_queued_reqs: vLLM 0.28.0 has no --max-num-queued-reqs: "
            "it is in 0.32.0 and later; leave it out, or use a later release"
        )
    ]
    assert vllm("[]", "vllm = { max_num_queued_reqs = 4 }") == []


# Values


def test_a_flag_without_its_value_is_told() -> None:
    for arguments in ('["--seed"]', '["--seed", "--dtype", "auto"]'):
        assert vllm(arguments) == [
            "5:15: services.a.extra_args[0]: --seed needs a value; put the value behind it, as the next argument"
        ]


def test_a_switch_with_a_value_is_told() -> None:
    assert vllm('["--enforce-eager=true"]') == [
        '5:15: services.a.extra_args[0]: --enforce-eager takes no value; write "--enforce-eager" alone'
    ]


@pytest.mark.parametrize("arguments", ['["--dtype", "bfloat-16"]', '["--dtype=bfloat-16"]'])
def test_a_value_that_the_flag_does_not_take_is_told_with_the_nearest(arguments: str) -> None:
    assert vllm(arguments) == [
        '5:15: services.a.extra_args[0]: --dtype does not take "bfloat-16"; did you mean "bfloat16"?'
    ]


# Names


@pytest.mark.parametrize(
    ("argument", "flag"),
    [
        ("--a-b", "--a-b"),
        ("--a_b=c", "--a-b"),
        ("--a.b.c", "--a"),
        ("-x", "-x"),
        ("-1", None),
        ("value", None),
        ("", None),
        ("--", None),
        ("a --b", None),
        ("--a b", None),
        ("--a=multi\nline", "--a"),
    ],
)
def test_an_argument_names_a_flag_or_is_a_value(argument: str, flag: str | None) -> None:
    assert flag_of_argument(argument, "vllm") == flag


def test_every_field_of_vllms_table_is_a_flag_of_the_newest_list() -> None:
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))
    service = schema["properties"]["services"]["additionalProperties"]["properties"]
    known = vllm_flag_lists()[-1].flags
    assert [name for name in service["vllm"]["properties"] if flag_of_field(name) not in known] == []
