"""The deployment as the rest of the program sees it: defaults filled, sorted, placed on machines."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from generator import resources
from generator.catalog.load import hardware
from generator.spec.model import Deployment, Disk, Kernel, Machine, build, place
from generator.spec.service import PORTS, RUNTIMES, Container

MODEL = {"repository": "a/b", "revision": "0" * 40, "format": "gguf"}


def deployment(**tables: Any) -> Deployment:  # noqa: ANN401 - the tables of a spec
    """Build a deployment of these tables; what is missing is the least that the schema lets through."""
    least: dict[str, Any] = {
        "clan": {"name": "c"},
        "machines": {"m": {"hardware": "strix-halo-128"}},
        "services": {"s": {"engine": "ollama", "machines": ["m"]}},
    }
    return build({**least, **tables})


def machine(**fields: Any) -> Machine:  # noqa: ANN401
    return deployment(machines={"m": {"hardware": "strix-halo-128", **fields}}).machines["m"]


def test_a_machine_that_says_nothing_has_the_defaults() -> None:
    assert machine() == Machine(
        name="m",
        hardware_name="strix-halo-128",
        hardware=hardware()["strix-halo-128"],
        system="x86_64-linux",
        state_version=None,
        target_host=None,
        tags=(),
        ssh_keys=(),
        gtt_mib=None,
        gttsize_parameter=False,
        iommu="default",
        kernel=Kernel(None, None, ()),
        udev_rules=True,
        rocm_environment={},
        disk=Disk(None, None),
        interfaces={},
    )


def test_a_model_that_says_little_has_the_defaults() -> None:
    model = deployment(models={"w": MODEL}).models["w"]
    assert (model.directory, model.include, model.file, model.served_name) == ("/var/lib/llm/models/w", (), None, None)


@pytest.mark.parametrize("engine", ["vllm", "llamacpp", "ollama", "openai-compatible"])
def test_a_service_that_says_nothing_has_its_engines_defaults(engine: str) -> None:
    service = deployment(services={"s": {"engine": engine, "machines": ["m"]}}).services["s"]
    assert (service.port, service.runtime) == (PORTS[engine], RUNTIMES[engine])
    assert service.unit == {"vllm": "vllm", "llamacpp": "llama-cpp", "ollama": "ollama"}.get(engine, "s")
    assert (service.host, service.start_on_boot, service.gpu) == ("127.0.0.1", True, True)
    assert service.container == Container("podman", None, None, None)
    assert service.flags == {}


def test_a_defaults_text_in_the_schema_is_the_default_here() -> None:
    """The schema tells people the defaults, and this module fills them in: they must not differ."""
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))["properties"]
    service = schema["services"]["additionalProperties"]["properties"]
    built: Any = deployment(services={"s": {"engine": "vllm"}}).services["s"]
    for entry, properties in ((machine(), schema["machines"]["additionalProperties"]["properties"]), (built, service)):
        for name, value in properties.items():
            if "default" in value:
                found = getattr(entry, name)
                assert (list(found) if isinstance(found, tuple) else found) == value["default"], name
    assert service["container"]["properties"]["runtime"]["default"] == built.container.runtime


def test_an_empty_command_is_not_the_same_as_none() -> None:
    services = {"s": {"engine": "vllm", "machines": ["m"], "container": {"command": []}}}
    assert deployment(services=services).services["s"].container.command == ()


def test_an_engine_has_its_own_table_and_knows_of_the_others() -> None:
    fields = {"engine": "vllm", "machines": ["m"], "vllm": {"max_num_seqs": 4}, "llamacpp": {"ctx_size": 1}}
    service = deployment(services={"s": fields}).services["s"]
    assert service.flags == {"max_num_seqs": 4}
    assert service.other_tables == ("llamacpp",)


def test_everything_is_sorted_by_name() -> None:
    machines = {name: {"hardware": "h100"} for name in ("b", "a", "c")}
    found = deployment(machines=machines, models={"y": MODEL, "x": MODEL})
    assert list(found.machines) == ["a", "b", "c"]
    assert list(found.models) == ["x", "y"]


@pytest.mark.parametrize(
    ("fields", "mib"),
    [
        ({"hardware": "strix-halo-128", "gtt_mib": 117760}, 117760),
        ({"hardware": "strix-halo-128"}, 64102),  # the kernel's own limit is half of what the system sees
        ({"hardware": "dgx-spark"}, 124610),
        ({"hardware": "rtx-4090"}, 24576),
        ({"hardware": {"accelerator": "cpu", "memory_mib": 65536}}, None),
        ({"hardware": "unknown"}, None),
    ],
)
def test_a_gpu_has_the_memory_that_it_may_use(fields: dict[str, Any], mib: int | None) -> None:
    assert machine(**fields).gpu_memory_mib == mib


def test_hardware_that_the_catalog_has_not_is_none() -> None:
    assert (machine(hardware="x").hardware_name, machine(hardware="x").hardware) == ("x", None)


def test_hardware_in_a_table_needs_no_catalog() -> None:
    found = machine(hardware={"accelerator": "rocm", "memory_mib": 1, "target": "gfx1100"})
    assert found.hardware_name is None
    assert found.hardware is not None
    assert (found.hardware.unified, found.hardware.render_node) == (False, "/dev/dri/renderD128")


def placed(**tables: Any) -> tuple[dict[str, list[str]], dict[str, list[str]]]:  # noqa: ANN401
    found = place(deployment(**tables))
    return (
        {name: [machine.name for machine in machines] for name, machines in found.machines_of.items()},
        {name: [service.name for service in services] for name, services in found.services_on.items()},
    )


def test_a_service_runs_on_machines_that_it_names_and_on_those_with_its_tags_once_each() -> None:
    machines = {
        "a": {"hardware": "h100", "tags": ["llm"]},
        "b": {"hardware": "h100", "tags": ["llm", "gpu"]},
        "c": {"hardware": "h100"},
    }
    services = {
        "s": {"engine": "ollama", "machines": ["c", "b"], "tags": ["llm", "gpu"]},
        "t": {"engine": "ollama", "tags": ["gpu"]},
    }
    assert placed(machines=machines, services=services) == (
        {"s": ["a", "b", "c"], "t": ["b"]},
        {"a": ["s"], "b": ["s", "t"], "c": ["s"]},
    )


@pytest.mark.parametrize("tag", ["all", "nixos"])
def test_clans_own_tags_are_every_machine(tag: str) -> None:
    machines = {name: {"hardware": "h100"} for name in "ab"}
    services = {"s": {"engine": "ollama", "tags": [tag]}}
    assert placed(machines=machines, services=services) == ({"s": ["a", "b"]}, {"a": ["s"], "b": ["s"]})


def test_a_machine_or_tag_that_is_not_there_places_nothing() -> None:
    services = {"s": {"engine": "ollama", "machines": ["x"], "tags": ["y"]}}
    assert placed(services=services) == ({"s": []}, {"m": []})


def test_a_deployment_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        machine().name = "x"  # type: ignore[misc]
