"""What an engine needs and can do: on this hardware, from this image, with these weights."""

from __future__ import annotations

import tomllib

import pytest

from generator.catalog.load import vllm_releases
from generator.spec.rules.engines import check, image_of, release_of, verdict
from generator.spec.source import Source
from tests.rule_checks import ASPEN1, CLAN, IMAGE, MODELS, context_of, told

KNOWN = "docker.io/rocm/vllm@sha256:5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d"
TOWER = '[machines.tower]\nhardware = "rtx-4090"\n'
CPU = '[machines.slow]\nhardware = { accelerator = "cpu", memory_mib = 1024 }\n'


def service(engine: str, *lines: str, machine: str = "aspen1") -> str:
    """Return a service; its further lines begin at its fourth."""
    return "\n".join(["[services.a]", f'engine = "{engine}"', f'machines = ["{machine}"]', *lines, ""])


def problems(text: str) -> list[str]:
    return told(check, text, ASPEN1, TOWER, CPU, MODELS)


@pytest.mark.parametrize(
    "text",
    [
        service("vllm", 'model = "mxfp4"'),
        service("vllm", 'model = "weights"', 'runtime = "native"', 'package = "nix-strix-halo"'),
        service("vllm", 'model = "weights"', f"container = {{ {IMAGE} }}", machine="tower"),
        service("llamacpp", 'model = "gguf"', 'llamacpp = { backend = "rocm" }'),
        service("llamacpp", 'model = "gguf"', 'llamacpp = { backend = "cuda" }', machine="tower"),
        service("llamacpp", 'model = "gguf"', 'llamacpp = { backend = "cpu" }', machine="slow"),
        service("ollama", 'models = ["a:b"]'),
        service("openai-compatible", f"container = {{ {IMAGE}, port = 80 }}"),
        service("openai-compatible", f"container = {{ {IMAGE} }}", 'host = "0.0.0.0"'),
    ],
)
def test_an_engine_that_has_all_it_needs_is_right(text: str) -> None:
    assert problems(text) == []


# Models


def test_ollama_takes_no_model_from_the_spec() -> None:
    assert problems(service("ollama", 'model = "gguf"')) == [
        '4:1: services.a.model: Ollama has its own models; use models = ["name:tag"]'
    ]


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_only_ollama_takes_a_list_of_models(engine: str) -> None:
    model = "mxfp4" if engine == "vllm" else "gguf"
    assert problems(service(engine, 'models = ["a:b"]', f'model = "{model}"')) == [
        "4:1: services.a.models: only Ollama takes models; use model and a [models] entry"
    ]


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_an_engine_without_a_model_is_told_to_get_one(engine: str) -> None:
    assert problems(service(engine)) == [f'1:11: services.a: {engine} has no model to serve; add model = "…"']


def test_a_container_that_is_told_its_model_by_arguments_takes_none() -> None:
    assert problems(service("openai-compatible", 'model = "gguf"', f"container = {{ {IMAGE} }}")) == [
        (
            "4:1: services.a.model: an openai-compatible container is told its model by its own arguments; "
            "leave model out and use extra_args"
        )
    ]


def test_llama_cpp_needs_a_gguf_file() -> None:
    assert problems(service("llamacpp", 'model = "weights"')) == [
        (
            '4:9: services.a.model: llama.cpp loads one GGUF file, and model "weights" names none; '
            'choose a model with format = "gguf" and file = "….gguf"'
        )
    ]


def test_a_gguf_model_without_its_file_is_not_enough() -> None:
    model = f'[models.m]\nrepository = "a/b"\nrevision = "{"0" * 40}"\nformat = "gguf"\n'
    assert problems(service("llamacpp", 'model = "m"') + model) == [
        (
            '4:9: services.a.model: llama.cpp loads one GGUF file, and model "m" names none; '
            'choose a model with format = "gguf" and file = "….gguf"'
        )
    ]


def test_vllm_does_not_take_gguf_files() -> None:
    assert problems(service("vllm", 'model = "gguf"')) == [
        '4:9: services.a.model: vLLM cannot load the GGUF files of "gguf" well; choose safetensors, or llamacpp'
    ]


# Runtime, container, package


def test_the_table_of_another_engine_is_refused() -> None:
    text = service("llamacpp", 'model = "gguf"', "vllm = { max_num_seqs = 4 }")
    assert problems(text) == ["5:1: services.a.vllm: the engine is llamacpp, not vllm; leave the table out"]


def test_an_openai_compatible_service_is_a_container() -> None:
    assert problems(service("openai-compatible", 'runtime = "native"')) == [
        "4:11: services.a.runtime: an openai-compatible service is a container; leave runtime out"
    ]


def test_ollama_runs_natively() -> None:
    assert problems(service("ollama", 'runtime = "container"')) == [
        "4:11: services.a.runtime: Ollama runs natively here, through services.ollama; leave runtime out"
    ]


@pytest.mark.parametrize("field", [IMAGE, 'command = ["x"]'])
def test_a_native_service_has_no_container(field: str) -> None:
    assert problems(service("llamacpp", 'model = "gguf"', f"container = {{ {field} }}")) == [
        '5:1: services.a.container: a native service has no container; leave it out, or set runtime = "container"'
    ]


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_a_package_is_for_a_native_vllm(engine: str) -> None:
    model = "mxfp4" if engine == "vllm" else "gguf"
    assert problems(service(engine, f'model = "{model}"', 'package = "nix-strix-halo"')) == [
        '5:11: services.a.package: package is for a native vLLM; set runtime = "native", or leave it out'
    ]


def test_ollama_has_one_unit_name() -> None:
    assert problems(service("ollama", 'unit = "other"')) == [
        "4:8: services.a.unit: services.ollama has one unit, ollama.service; leave unit out"
    ]


def test_an_openai_compatible_container_needs_an_image() -> None:
    assert problems(service("openai-compatible")) == [
        '1:11: services.a: no container image; add container.image = "registry/name@sha256:<64 hex digits>"'
    ]


def test_an_engine_that_is_told_where_to_listen_has_no_port_in_its_container() -> None:
    assert problems(service("vllm", 'model = "mxfp4"', "container = { port = 80 }")) == [
        "5:22: services.a.container.port: vllm is told where to listen; leave the container's port out"
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_a_published_port_on_every_address_is_refused(host: str) -> None:
    text = service("openai-compatible", f'host = "{host}"', f"container = {{ {IMAGE}, port = 80 }}")
    assert problems(text) == [
        (
            "4:8: services.a.host: a published container port bypasses the firewall, so every network would reach it; "
            "set host to 127.0.0.1 or to the address of one interface"
        )
    ]


# Hardware


@pytest.mark.parametrize(
    ("machine", "accelerator", "backend", "good"),
    [
        ("aspen1", "rocm", "cuda", "vulkan or rocm or cpu"),
        ("tower", "cuda", "rocm", "cuda or vulkan or cpu"),
        ("slow", "cpu", "vulkan", "cpu"),
    ],
)
def test_a_backend_that_the_machine_has_not_is_told_those_it_has(
    machine: str, accelerator: str, backend: str, good: str
) -> None:
    text = service("llamacpp", 'model = "gguf"', f'llamacpp = {{ backend = "{backend}" }}', machine=machine)
    assert problems(text) == [
        (
            f"5:24: services.a.llamacpp.backend: {machine} computes with {accelerator}, which cannot run {backend}; "
            f"use {good}, or leave it out"
        )
    ]


def test_a_backend_for_the_gpu_is_refused_where_the_service_does_not_use_it() -> None:
    text = service("llamacpp", 'model = "gguf"', "gpu = false", 'llamacpp = { backend = "vulkan" }')
    assert problems(text) == [
        "6:24: services.a.llamacpp.backend: aspen1 computes with cpu, which cannot run vulkan; use cpu, or leave it out"
    ]


def test_a_unified_machine_has_one_gpu() -> None:
    text = service("vllm", 'model = "mxfp4"', "vllm = { tensor_parallel_size = 2 }")
    assert problems(text) == ["5:33: services.a.vllm.tensor_parallel_size: aspen1 has one GPU, not 2; set it to 1"]


@pytest.mark.parametrize(("machine", "target"), [("tower", "sm_89"), ("slow", "a CPU")])
def test_a_container_for_which_no_image_is_known_is_told_to_name_one(machine: str, target: str) -> None:
    assert problems(service("vllm", 'model = "weights"', machine=machine)) == [
        (
            f"1:11: services.a: no vllm image is known for {target} ({machine}); "
            'add container.image = "registry/name@sha256:<64 hex digits>", or set runtime = "native"'
        )
    ]


# Releases

OTHER = f"container = {{ {IMAGE} }}"  # of which nothing is known

NO_KERNEL = (
    "its MXFP4 kernels are limited to compute capability 9.0 to below 11.0, and gfx1151 is 11.5, "
    "so no backend is left; use vLLM 0.23.0 (vllm-project/vllm#40301, 2026-04-19; fixed by vllm-project/vllm#37826)"
)


@pytest.mark.parametrize("release", ["0.19.0", "0.20.2", "0.21.0", "0.21.9"])
def test_a_release_that_cannot_compute_the_weights_is_told_a_good_one(release: str) -> None:
    text = service("vllm", 'model = "mxfp4"', f'version = "{release}"', OTHER)
    assert problems(text) == [
        f"5:11: services.a.version: vLLM {release} cannot compute mxfp4 on gfx1151 (aspen1): {NO_KERNEL}"
    ]


def test_a_release_before_the_format_is_told_a_good_one() -> None:
    text = service("vllm", 'model = "mxfp4"', 'version = "0.10.0"', OTHER)
    assert problems(text) == [
        (
            "5:11: services.a.version: vLLM 0.10.0 cannot compute mxfp4 on gfx1151 (aspen1): "
            "gpt-oss and MXFP4 came with vLLM 0.10.1; use vLLM 0.23.0 (vLLM release notes 0.10.1, 2025-08)"
        )
    ]


@pytest.mark.parametrize("release", ["0.18.1", "0.22.0", "0.33.0", "0.12.0"])
def test_a_release_that_works_or_is_not_known_is_right(release: str) -> None:
    assert problems(service("vllm", 'model = "mxfp4"', f'version = "{release}"', OTHER)) == []


def test_a_broken_release_is_right_for_weights_that_it_can_compute() -> None:
    assert problems(service("vllm", 'model = "weights"', 'version = "0.20.0"', OTHER)) == []


def test_a_repository_that_the_catalog_knows_needs_no_quantisation() -> None:
    model = f'[models.m]\nrepository = "openai/gpt-oss-20b"\nrevision = "{"0" * 40}"\nformat = "safetensors"\n'
    text = service("vllm", 'model = "m"', 'version = "0.20.0"', OTHER)
    assert problems(text + model) == [
        f"5:11: services.a.version: vLLM 0.20.0 cannot compute mxfp4 on gfx1151 (aspen1): {NO_KERNEL}"
    ]


def test_an_unknown_image_must_say_its_release_where_not_every_one_works() -> None:
    text = service("vllm", 'model = "mxfp4"', f"container = {{ {IMAGE} }}")
    assert problems(text) == [
        (
            "5:23: services.a.container.image: not every vLLM can compute mxfp4 on gfx1151, "
            'and this image\'s release is not known; add version = "…" to the service; 0.23.0 works'
        )
    ]


def test_an_unknown_image_that_says_its_release_is_right() -> None:
    text = service("vllm", 'model = "mxfp4"', 'version = "0.23.0"', f"container = {{ {IMAGE} }}")
    assert problems(text) == []


def test_a_release_that_is_not_the_one_of_the_known_image_is_told() -> None:
    text = service("vllm", 'model = "weights"', 'version = "0.33.0"')
    told_of = "5:11: services.a.version: the image is vllm 0.23.0, not 0.33.0; "
    assert problems(text) == [f"{told_of}leave version out, or name the image of that release"]
    assert problems(text.replace("0.33.0", "0.23.0")) == []


@pytest.mark.parametrize(
    ("format_", "given", "meant"), [("safetensors", "mxpf4", "mxfp4"), ("gguf", "q4_k_n", "q4_k_m")]
)
def test_a_format_of_weights_that_is_nearly_a_known_one_is_told(format_: str, given: str, meant: str) -> None:
    model = f'[models.m]\nrepository = "a/b"\nrevision = "{"0" * 40}"\nformat = "{format_}"\nfile = "a"\n'
    said = problems(f'{model}quantisation = "{given}"\n')
    assert [line.partition("; ")[0].partition(": ")[2] for line in said] == [
        f'models.m.quantisation: no format of weights is known as "{given}"'
    ]
    assert "did you mean" in said[0]
    assert problems(f'{model}quantisation = "{meant}"\n') == []
    assert problems(f'{model}quantisation = "exl3"\n') == []


# What others ask of this rule


def image_and_release(text: str, machine: str = "aspen1") -> tuple[str | None, str | None]:
    whole = text + ASPEN1 + TOWER + MODELS + CLAN
    deployment = context_of(Source("s", whole, "toml", tomllib.loads(whole))).deployment
    service, machines = deployment.services["a"], deployment.machines
    return image_of(service, machines[machine]), release_of(service, machines[machine])


def test_a_container_without_an_image_gets_the_one_that_is_known_to_work() -> None:
    assert image_and_release(service("vllm", 'model = "weights"')) == (KNOWN, "0.23.0")
    assert image_and_release(service("vllm", 'model = "weights"', machine="tower"), "tower") == (None, None)


def test_an_image_of_the_spec_wins_and_a_version_of_the_spec_too() -> None:
    image = IMAGE.split('"')[1]
    text = service("vllm", 'model = "weights"', f"container = {{ {IMAGE} }}")
    assert image_and_release(text) == (image, None)
    assert image_and_release(text.replace("container", 'version = "0.30.0"\ncontainer')) == (image, "0.30.0")


def test_a_native_service_has_no_image() -> None:
    assert image_and_release(service("llamacpp", 'model = "gguf"')) == (None, None)


def test_the_first_range_that_holds_decides() -> None:
    for entry in vllm_releases():
        if entry.from_:
            found = verdict(entry.from_, entry.target, entry.quantisation)
            assert found == entry
    assert verdict("0.21.99", "gfx1151", "mxfp4") == verdict("0.19.0", "gfx1151", "mxfp4")
    assert verdict("0.20.0", "gfx942", "mxfp4") is None
    assert verdict("0.20.0", "gfx1151", "bf16") is None
