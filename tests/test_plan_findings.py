"""What the planner refuses, at its place in the spec file and with what would fit, in whole messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.spec import model
from tests.planning import (
    DISCRETE,
    GEMMA_GGUF,
    GIB,
    GPT_OSS,
    GPT_OSS_GGUF,
    LLAMA,
    LLAMA_GGUF,
    PC,
    REVISION,
    STRIX,
    data,
    deployment,
    found,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from generator.spec.model import Deployment

    Write = Callable[..., Path]

# Further lines of the machine, the model and the service stand where their tables end.
SPEC = """[clan]
name = "c"
[machines.m]
hardware = "{hardware}"
{machine}

[models.x]
repository = "{repository}"
revision = "{revision}"
format = "{format}"
{model}

[services.s]
engine = "{engine}"
machines = ["m"]
model = "x"
runtime = "native"
accept = ["slow", "unproven"]
{service}
"""


def spec(engine: str, **entries: str) -> str:
    safetensors = engine == "vllm"
    known = {
        "hardware": "strix-halo-128",
        "machine": "gtt_mib = 117760",
        "repository": "openai/gpt-oss-120b" if safetensors else "ggml-org/gpt-oss-120b-GGUF",
        "revision": REVISION,
        "format": "safetensors" if safetensors else "gguf",
        "model": "" if safetensors else 'file = "a.gguf"',
        "engine": engine,
        "service": "",
        **entries,
    }
    return SPEC.format(**known)


def flags(engine: str, *lines: str) -> str:
    return "\n".join([f"[services.s.{engine}]", *lines])


CASES = {
    "the seed's own repository": (
        spec("vllm", repository="ArliAI/gpt-oss-120b-Derestricted"),
        (
            "16:9: services.s.model: ArliAI/gpt-oss-120b-Derestricted has 217.6 GiB of weights, and m's "
            "GPU has 115.0 GiB; serve justinjja/gpt-oss-120b-Derestricted-MXFP4 (60.8 GiB), or "
            "openai/gpt-oss-120b (60.8 GiB), or openai/gpt-oss-20b (12.8 GiB), or "
            "ggml-org/gpt-oss-120b-GGUF with llamacpp (59.0 GiB)"
        ),
    ),
    "an absurd size": (
        spec("vllm", repository="a/b", model="size_gib = 16384"),
        (
            "16:9: services.s.model: a/b has 16384.0 GiB of weights, and m's GPU has 115.0 GiB; choose a "
            "smaller model or a smaller quantisation"
        ),
    ),
    "a negative size": (
        spec("vllm", model="size_gib = -1"),
        "11:12: models.x.size_gib: -1 is not more than 0; write more than 0",
    ),
    "a size of nothing": (
        spec("vllm", model="size_gib = 0.0"),
        "11:12: models.x.size_gib: 0.0 is not more than 0; write more than 0",
    ),
    "a negative context": (
        spec("vllm", service=flags("vllm", "max_model_len = -4096")),
        "20:17: services.s.vllm.max_model_len: -4096 is less than 1; write 1 or more",
    ),
    "a context above the model's maximum": (
        spec("vllm", service=flags("vllm", "max_model_len = 131073")),
        (
            "20:17: services.s.vllm.max_model_len: 131073 tokens are more than the 131072 that the model "
            "knows; set max_model_len to 131072 at most"
        ),
    ),
    "a context above the model's maximum in an argument": (
        spec("vllm", service='extra_args = ["--seed", "7", "--max-model-len=1M"]'),
        (
            "19:30: services.s.extra_args[2]: 1048576 tokens are more than the 131072 that the model "
            "knows; set max_model_len to 131072 at most"
        ),
    ),
    "slots whose part of the context is above the model's maximum": (
        spec("llamacpp", service=flags("llamacpp", "ctx_size = 262146", "parallel = 2")),
        (
            "20:12: services.s.llamacpp.ctx_size: 131073 tokens are more than the 131072 that the model "
            "knows; set ctx_size to 262144 at most"
        ),
    ),
    "a share that is less than the weights": (
        spec("vllm", service=flags("vllm", "max_model_len = 4096", "gpu_memory_utilization = 0.5")),
        (
            "21:26: services.s.vllm.gpu_memory_utilization: 57.5 GiB of m's 115.0 GiB are less than the "
            "weights, 61.7 GiB, and at least 1.2 GiB beside them; set gpu_memory_utilization to 0.55 or "
            "more"
        ),
    ),
    "the smallest share": (
        spec("vllm", service=flags("vllm", "max_model_len = 4096", "gpu_memory_utilization = 0.01")),
        (
            "21:26: services.s.vllm.gpu_memory_utilization: 1.2 GiB of m's 115.0 GiB are less than the "
            "weights, 61.7 GiB, and at least 1.2 GiB beside them; set gpu_memory_utilization to 0.55 or "
            "more"
        ),
    ),
    "a share of more than all": (
        spec(
            "vllm", service='extra_args = ["--gpu-memory-utilization", "1.5"]\n' + flags("vllm", "max_model_len = 4096")
        ),
        (
            "19:15: services.s.extra_args[0]: 1.5 is more than all of m's GPU; set "
            "gpu_memory_utilization to 0.55 or more"
        ),
    ),
    "a share that leaves less than one sequence": (
        spec("vllm", service=flags("vllm", "max_model_len = 131072", "gpu_memory_utilization = 0.56")),
        (
            "20:17: services.s.vllm.max_model_len: one sequence of 131072 tokens takes 4.58 GiB of "
            "cache, and at most 1.49 GiB are left for it; set max_model_len to 41328 at most, or set "
            "gpu_memory_utilization to 0.59 or more"
        ),
    ),
    "a cache of fixed size that is too large": (
        spec("vllm", service=flags("vllm", "max_model_len = 4096", "kv_cache_memory_bytes = 68719476736")),
        (
            "21:25: services.s.vllm.kv_cache_memory_bytes: weights, cache and what vLLM takes beside are "
            "143.2 GiB, and m's GPU has 115.0 GiB; set it to 38419077967 at most"
        ),
    ),
    "a cache of fixed size that is too small": (
        spec("vllm", service=flags("vllm", "max_model_len = 131072", "kv_cache_memory_bytes = 1")),
        (
            "20:17: services.s.vllm.max_model_len: one sequence of 131072 tokens takes 4.58 GiB of "
            "cache, and at most 0.00 GiB are left for it; set kv_cache_memory_bytes to 4912644096 or more"
        ),
    ),
    "a context that does not fit": (
        spec(
            "llamacpp",
            hardware="rtx-4090",
            machine="",
            repository="meta-llama/Llama-3.1-8B-Instruct",
            model='file = "a.gguf"\nquantisation = "q8_0"',
            service=flags("llamacpp", "ctx_size = 131072"),
        ),
        (
            "21:12: services.s.llamacpp.ctx_size: weights 7.9 + KV cache 16.0 + compute buffers 0.8 = "
            "24.7 GiB, and m's GPU has 24.0 GiB; set ctx_size to 125440 at most"
        ),
    ),
    "slots that do not fit": (
        spec(
            "llamacpp",
            machine="gtt_mib = 61440",
            service=flags("llamacpp", "ctx_size = 131072", "parallel = 8", "ubatch_size = 256"),
        ),
        (
            "20:12: services.s.llamacpp.ctx_size: weights 59.0 + KV cache 4.6 + compute buffers 0.3 = "
            "64.0 GiB, and m's GPU has 60.0 GiB; set ctx_size to 16384 at most, or set parallel to 1 and "
            "ctx_size to 16384 at most"
        ),
    ),
    "memory without a GPU": (
        spec(
            "llamacpp",
            hardware="cpu-desktop",
            machine="",
            service=flags("llamacpp", "ctx_size = 131072", "parallel = 1"),
        ),
        (
            "20:12: services.s.llamacpp.ctx_size: weights 59.0 + KV cache 4.5 + compute buffers 0.9 = "
            "64.5 GiB, and m has 64.0 GiB; set ctx_size to 118877 at most"
        ),
    ),
    "a disk that is too small": (
        spec(
            "vllm", machine="gtt_mib = 117760\ndisk = { free_gib = 50 }", service=flags("vllm", "max_model_len = 4096")
        ),
        (
            "6:21: machines.m.disk.free_gib: the models of m are 60.8 GiB of files, and 50 GiB are free; "
            "free more, or serve fewer models there"
        ),
    ),
    "an Apple GPU": (
        spec("llamacpp", hardware="apple-m2-ultra-192", machine="", service=flags("llamacpp", "ctx_size = 4096")),
        (
            "4:12: machines.m.hardware: NixOS does not compute on an Apple GPU; llmflake can plan for "
            "it, and cannot deploy to it; choose other hardware"
        ),
    ),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES)
def test_it_is_refused_at_its_place_with_what_would_do(spec_file: Write, text: str, message: str) -> None:
    assert f"spec.toml:{message}" in refused(spec_file(text))


ACCEPT = {
    "slow": (
        spec("vllm", service='version = "0.17.0"\n' + flags("vllm", "max_model_len = 4096")),
        (
            "13:11: services.s: the plan on m is slow: about 7.6 tokens a second for one user, and 10 "
            'are expected; change it, or set accept = ["slow"]; llmflake plan shows the numbers'
        ),
    ),
    "slow to the first token": (
        spec(
            "llamacpp",
            service="expect = { first_token_s = 0.5, prompt_tokens = 4096 }\n" + flags("llamacpp", "ctx_size = 8192"),
        ),
        (
            "13:11: services.s: the plan on m is slow: about 6.8 s to the first token of a prompt of "
            '4096, and 0.5 are expected; change it, or set accept = ["slow"]; llmflake plan shows the '
            "numbers"
        ),
    ),
    "unproven": (
        spec("vllm", hardware="h100", machine="", service=flags("vllm", "max_model_len = 4096")),
        (
            "13:11: services.s: the plan on m is unproven: speed: no published measurement covers this "
            'engine and model on this hardware; change it, or set accept = ["unproven"]; llmflake plan '
            "shows the numbers"
        ),
    ),
    "an unknown model": (
        spec("vllm", repository="a/b"),
        (
            '13:11: services.s: the plan on m is unproven: the catalog has no model "a/b"; change it, or '
            'set accept = ["unproven"]; llmflake plan shows the numbers'
        ),
    ),
    "slow and unproven": (
        spec("vllm", service='version = "0.23.0"\n' + flags("vllm", "max_model_len = 4096")),
        (
            "13:11: services.s: the plan on m is slow: about 7.6 tokens a second for one user, and 10 "
            "are expected; unproven: the speed of this release's kernels was never published; change it, "
            'or set accept = ["slow", "unproven"]; llmflake plan shows the numbers'
        ),
    ),
    "weights beside the GPU": (
        spec("llamacpp", service=flags("llamacpp", "ctx_size = 4096", "n_gpu_layers = 10")),
        (
            "13:11: services.s: the plan on m is unproven: what this GPU holds: n_gpu_layers changes what is "
            'loaded onto it, and no rule says by how much; change it, or set accept = ["unproven"]; '
            "llmflake plan shows the numbers"
        ),
    ),
}


@pytest.mark.parametrize(("text", "message"), ACCEPT.values(), ids=ACCEPT)
def test_a_shortcoming_must_be_accepted_by_name(spec_file: Write, text: str, message: str) -> None:
    silent = text.replace('accept = ["slow", "unproven"]\n', "")
    assert refused(spec_file(silent)) == [f"spec.toml:{message}"]
    assert refused(spec_file(text)) == []


def several(*services: str, machine: str = "gtt_mib = 117760") -> str:
    tables = [
        f'[services.{name}]\nengine = "vllm"\nruntime = "native"\nmachines = ["m"]\nmodel = "x"\n'
        f'port = {8000 + index}\nunit = "{name}"\naccept = ["slow", "unproven"]\n{service}'
        for index, (name, service) in enumerate(zip("abc", services, strict=False))
    ]
    return "\n".join([spec("vllm", machine=machine).split("[services.s]")[0], *tables])


SHARE = "vllm = { gpu_memory_utilization = 0.6, max_model_len = 4096 }"


def test_services_that_do_not_fit_together_are_refused_with_their_sum(spec_file: Write) -> None:
    assert refused(spec_file(several(SHARE, SHARE))) == [
        (
            'spec.toml:23:11: services.b: m\'s GPU has 115.0 GiB, and its services take 69.0 ("a") + 69.0 '
            '("b") = 138.0 GiB at once; lower what they take, or let them take turns with conflicts = '
            '["a"]'
        )
    ]


def test_services_that_take_turns_need_not_fit_together(spec_file: Write) -> None:
    assert refused(spec_file(several(SHARE, f'{SHARE}\nconflicts = ["a"]'))) == []


def test_two_halves_are_a_whole(spec_file: Write) -> None:
    used = 'repository = "openai/gpt-oss-20b"'
    half = "vllm = { gpu_memory_utilization = 0.5, max_model_len = 4096 }"
    text = several(half, half).replace('repository = "openai/gpt-oss-120b"', used)
    assert refused(spec_file(text)) == []


def test_what_does_not_fit_alone_is_told_once_and_not_again_in_a_sum(spec_file: Write) -> None:
    small = SHARE.replace("0.6", "0.3")
    messages = refused(spec_file(several(small, SHARE)))
    assert [message.split(": ")[1] for message in messages] == ["services.a.vllm.gpu_memory_utilization"]


def test_a_service_that_is_refused_is_not_asked_to_be_accepted(spec_file: Write) -> None:
    text = CASES["a share that is less than the weights"][0].replace('accept = ["slow", "unproven"]\n', "")
    assert len(refused(spec_file(text))) == 1


def test_a_service_on_two_machines_is_told_for_each_that_is_too_small() -> None:
    spec_data = data(DISCRETE, GPT_OSS_GGUF, {"engine": "llamacpp", "machines": ["m", "n", "o"]})
    spec_data["machines"].update(n={"hardware": "rtx-5090"}, o=STRIX)
    spec_data["services"]["s"]["llamacpp"] = {"ctx_size": 4096}
    assert [(entry.path, entry.what) for entry in found(model.build(spec_data))] == [
        (("services", "s", "model"), f"ggml-org/gpt-oss-120b-GGUF has 59.0 GiB of weights, and {name} GiB")
        for name in ("m's GPU has 24.0", "n's GPU has 32.0")
    ]


def test_a_model_that_two_services_share_is_on_the_disk_once(spec_file: Write) -> None:
    small = SHARE.replace("0.6", "0.3")
    text = several(small, small, machine="gtt_mib = 117760\ndisk = { free_gib = 61 }")
    text = text.replace("openai/gpt-oss-120b", "openai/gpt-oss-20b")
    assert refused(spec_file(text)) == []


HINT = re.compile(r"set (\w+) to ([\d.]+)(?: and (\w+) to (\d+))?")
STARTS = [
    (STRIX, GPT_OSS, "vllm"),
    ({"hardware": "h100"}, LLAMA, "vllm"),
    (DISCRETE, LLAMA, "vllm"),
    ({"hardware": "mi300x"}, GPT_OSS, "vllm"),
    (DISCRETE, LLAMA_GGUF, "llamacpp"),
    (DISCRETE, GEMMA_GGUF, "llamacpp"),
    (PC, GPT_OSS_GGUF, "llamacpp"),
    ({**STRIX, "gtt_mib": 65536}, GPT_OSS_GGUF, "llamacpp"),
]
FLAGS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "vllm": st.fixed_dictionaries(
        {"max_model_len": st.integers(1, 200_000)},
        optional={
            "gpu_memory_utilization": st.floats(0.01, 1.0),
            "kv_cache_memory_bytes": st.integers(1, 200 * GIB),
            "max_num_batched_tokens": st.integers(1, 100_000),
        },
    ),
    "llamacpp": st.fixed_dictionaries(
        {"ctx_size": st.integers(1, 4_000_000)},
        optional={"parallel": st.integers(1, 64), "ubatch_size": st.integers(1, 4096)},
    ),
}


def unfitting(built: Deployment) -> list[str]:
    return [entry.hint for entry in found(built) if "the plan on" not in entry.what]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_a_hint_says_is_enough(drawn: st.DataObject) -> None:
    machine, used, engine = drawn.draw(st.sampled_from(STARTS))
    given_flags: dict[str, Any] = drawn.draw(FLAGS[engine])
    hints = unfitting(deployment(machine, used, {"engine": engine, engine: given_flags}))
    for hint in hints:
        for name, value, also, more in HINT.findall(hint):
            field = "kv_cache_memory_bytes" if name == "it" else name
            changed = {**given_flags, field: float(value) if "." in value else int(value)}
            if also:
                changed[also] = int(more)
            left = unfitting(deployment(machine, used, {"engine": engine, engine: changed}))
            # A context that the model does not know is told first: what else is wrong is told after it.
            assert left == [] or max(given_flags.get("max_model_len", 0), given_flags.get("ctx_size", 0)) > 131072
