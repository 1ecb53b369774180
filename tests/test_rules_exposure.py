"""Who reaches a service: what the rules refuse, each with its whole message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generator.catalog.interfaces import reach
from generator.catalog.models import derestricted
from generator.errors import SpecError
from generator.spec.load import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    SpecFile = Callable[[str], Path]

HEAD = """clan.name = "home"
machines.m.hardware = "strix-halo-128"
machines.m.interfaces = { lab = "private" }
models.free = { repository = "ArliAI/gpt-oss-20b-Derestricted", revision = "COMMIT", format = "safetensors" }
models.safe = { repository = "ggml-org/gpt-oss-20b-GGUF", revision = "COMMIT", format = "gguf", file = "a.gguf" }
""".replace("COMMIT", "0" * 40)
LLAMA = 'services.a = { engine = "llamacpp", machines = ["m"], model = "safe", %s }'
VLLM = 'services.a = { engine = "vllm", version = "0.23.0", machines = ["m"], model = "free", %s }'
OLLAMA = 'services.a = { engine = "ollama", machines = ["m"], models = ["x:1b"], %s }'


def told(spec_file: SpecFile, service: str, fields: str) -> list[str]:
    """Return what is said of a service, from its path on."""
    try:
        load_spec(spec_file(HEAD + service % fields))
    except SpecError as error:
        return [f"{problem.path}: {problem.what}; {problem.hint}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("service", "fields"),
    [
        (LLAMA, "gpu = true"),
        (LLAMA, 'host = "::1"'),
        (LLAMA, 'expose = ["tailscale0"], api_key = true'),
        (LLAMA, 'expose = ["lab"], api_key = true'),
        (LLAMA, 'expose = ["enp191s0"], api_key = true'),
        (LLAMA, 'expose = ["tailscale0"], host = "100.64.0.7", api_key = true'),
        (LLAMA, 'host = "0.0.0.0", api_key = true'),
        (VLLM, 'expose = ["wg0"], api_key = true, accept = ["open-endpoints"]'),
        (VLLM, 'expose = ["eth0"], api_key = true, accept = ["open-endpoints", "derestricted-exposed"]'),
    ],
)
def test_what_is_behind_a_key_and_on_a_known_interface_is_right(spec_file: SpecFile, service: str, fields: str) -> None:
    assert told(spec_file, service, fields) == []


@pytest.mark.parametrize("host", ["127.example.org", "100.64.0.7", "::", "m.local"])
def test_what_only_looks_like_loopback_is_none(spec_file: SpecFile, host: str) -> None:
    assert told(spec_file, LLAMA, f'host = "{host}"')[0].startswith(f"services.a.host: {host} is reached from")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_needs_no_key(spec_file: SpecFile, host: str) -> None:
    assert told(spec_file, LLAMA, f'host = "{host}"') == []


def test_exposing_without_a_key_is_refused(spec_file: SpecFile) -> None:
    assert told(spec_file, LLAMA, 'expose = ["tailscale0"]') == [
        "services.a.expose: everybody on tailscale0 could use a: it asks for no key; set api_key = true"
    ]


def test_ollama_goes_through_the_gateway(spec_file: SpecFile) -> None:
    assert told(spec_file, OLLAMA, 'expose = ["tailscale0"]') == [
        (
            "services.a.expose: everybody on tailscale0 could use a: it asks for no key; "
            'Ollama knows no keys: set expose = ["gateway"]'
        )
    ]
    assert told(spec_file, OLLAMA, "api_key = true") == [
        'services.a.api_key: Ollama knows no keys; leave it out, and set expose = ["gateway"]'
    ]


def test_an_unknown_interface_is_refused_with_the_likely_one(spec_file: SpecFile) -> None:
    assert told(spec_file, LLAMA, 'expose = ["tailscal0"], api_key = true') == [
        (
            'services.a.expose[0]: m is not known to have a network interface "tailscal0"; '
            'did you mean "tailscale0"?; or add it to interfaces of the machine'
        )
    ]


def test_a_model_without_safety_training_stays_off_public_interfaces(spec_file: SpecFile) -> None:
    assert told(spec_file, VLLM, 'expose = ["eth0"], api_key = true, accept = ["open-endpoints"]') == [
        (
            "services.a.expose[0]: ArliAI/gpt-oss-20b-Derestricted has no safety training, and eth0 of m is no private "
            'interface; expose it on a private one, as tailscale0, or set accept = ["derestricted-exposed"]'
        )
    ]


def test_what_vllm_leaves_open_must_be_accepted(spec_file: SpecFile) -> None:
    assert told(spec_file, VLLM, 'expose = ["tailscale0"], api_key = true') == [
        (
            "services.a.expose: vLLM answers /generative_scoring, /invocations, /scale_elastic_ep and 13 more paths "
            "without a key; "
            'set expose = ["gateway"], which lets /v1 through alone, or accept = ["open-endpoints"]'
        )
    ]


def test_listening_beyond_loopback_needs_a_key(spec_file: SpecFile) -> None:
    what = "services.a.host: 0.0.0.0 is reached from interfaces that the firewall trusts, and there is no key"
    assert told(spec_file, LLAMA, 'host = "0.0.0.0"') == [f"{what}; leave host out, or set api_key = true"]
    assert told(spec_file, OLLAMA, 'host = "0.0.0.0"') == [f"{what}; leave host out"]


def test_an_exposed_service_on_loopback_would_be_alone(spec_file: SpecFile) -> None:
    assert told(spec_file, LLAMA, 'expose = ["tailscale0"], host = "127.0.0.1", api_key = true') == [
        "services.a.host: nobody on tailscale0 reaches 127.0.0.1; leave host out, or expose"
    ]


def test_a_container_with_a_key_names_its_engine(spec_file: SpecFile) -> None:
    assert told(spec_file, VLLM, "api_key = true, container = { command = [] }") == [
        (
            "services.a.container.command: the key is handed over before the engine starts, and the command names no "
            "engine; write the image's entrypoint here"
        )
    ]


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        ("tailscale0", "private"),
        ("wg0", "private"),
        ("ztabcdefgh", "private"),
        ("enp191s0", "public"),
        ("eth0", "public"),
        ("wlan0", "public"),
        ("br-lan", "public"),
        ("thunderbolt0", "public"),
        ("lab", None),
        ("xtailscale0", None),
    ],
)
def test_an_interfaces_name_tells_who_reaches_it(name: str, reached: str | None) -> None:
    assert reach(name) == reached


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        ("justinjja/gpt-oss-120b-Derestricted-MXFP4", True),
        ("openai/gpt-oss-120b", False),
        ("somebody/Qwen3-8B-abliterated-GGUF", True),
        ("huihui_ai/gpt-oss-abliterated:20b", True),
        ("somebody/Qwen3-8B", False),
    ],
)
def test_a_model_without_safety_training_is_known_or_says_so(name: str, removed: bool) -> None:  # noqa: FBT001
    assert derestricted(name) is removed
