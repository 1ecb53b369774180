"""deployment.json: the deployment by the names of the Nix options, defaults filled, nothing null."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from generator.emit.data import SCHEMA_VERSION, deployment_data, deployment_json, host_data
from generator.emit.values import camel
from generator.spec.load import load_spec
from generator.spec.paths import walk
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT
from tests.rule_checks import ASPEN1, CLAN, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.nix_program import Nix

VLLM = '[services.a]\nengine = "vllm"\nmachines = ["aspen1"]\nmodel = "weights"\n'
KNOWN = "docker.io/rocm/vllm@sha256:5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d"


@pytest.fixture
def settings(spec_file: Callable[[str], Path]) -> Callable[..., dict[str, Any]]:
    """Return a function that makes the settings of service a of a spec in TOML."""

    def make(services: str, *more: str) -> dict[str, Any]:
        data = deployment_data(load_spec(spec_file("\n".join([services, *more, ASPEN1, MODELS, CLAN]))))
        found: dict[str, Any] = data["services"]["a"]["settings"]
        return found

    return make


@pytest.mark.parametrize(
    ("field", "option"), [("max_model_len", "maxModelLen"), ("dtype", "dtype"), ("n_gpu_layers", "nGpuLayers")]
)
def test_a_field_has_the_name_of_its_option(field: str, option: str) -> None:
    assert camel(field) == option


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_in_it_is_null_and_it_reads_back_as_it_was_written(example: Path) -> None:
    spec = load_spec(example)
    data = deployment_data(spec)
    assert None not in [value for _, value in walk(data)]
    text = deployment_json(spec)
    assert json.loads(text) == data
    assert text.endswith("}\n")
    assert data["schemaVersion"] == SCHEMA_VERSION


def test_nix_reads_the_same_as_python_writes(nix: Nix, spec_file: Callable[[str], Path], tmp_path: Path) -> None:
    text = 'extra_env = { A = "${x} \\"q\\" \\\\ \\n é 🎉" }\nvllm = { gpu_memory_utilization = 0.85 }\n'
    spec = load_spec(spec_file(VLLM + text + ASPEN1 + MODELS + CLAN))
    (tmp_path / "deployment.json").write_text(deployment_json(spec), encoding="utf-8")
    assert nix.evaluate(f"builtins.fromJSON (builtins.readFile {tmp_path}/deployment.json)") == deployment_data(spec)


def test_an_engines_table_is_under_its_name_and_is_not_there_when_empty(
    settings: Callable[..., dict[str, Any]],
) -> None:
    assert settings(VLLM + "vllm = { max_num_seqs = 4 }")["vllm"] == {"maxNumSeqs": 4}
    assert "vllm" not in settings(VLLM)
    assert "vllm" not in settings(VLLM + "vllm = {}")


def test_the_image_that_is_known_to_work_is_written_down_with_its_release(
    settings: Callable[..., dict[str, Any]],
) -> None:
    found = settings(VLLM)
    assert (found["containerImage"], found["engineVersion"], found["containerRuntime"]) == (KNOWN, "0.23.0", "podman")


def test_a_native_service_has_nothing_of_a_container(settings: Callable[..., dict[str, Any]]) -> None:
    found = settings('[services.a]\nengine = "llamacpp"\nmachines = ["aspen1"]\nmodel = "gguf"\n')
    assert [name for name in found if name.startswith("container")] == []
    assert found["runtime"] == "native"


def test_a_model_is_served_under_its_own_name_or_its_repositorys(settings: Callable[..., dict[str, Any]]) -> None:
    assert settings(VLLM)["servedModelName"] == "a/b"
    named = f'[models.m]\nrepository = "a/b"\nrevision = "{"0" * 40}"\nformat = "safetensors"\nserved_name = "x"\n'
    assert settings(VLLM.replace("weights", "m"), named)["servedModelName"] == "x"


def test_a_service_that_takes_turns_names_the_others_unit(settings: Callable[..., dict[str, Any]]) -> None:
    other = '[services.other]\nengine = "llamacpp"\nmachines = ["aspen1"]\nmodel = "gguf"\n'
    assert settings(VLLM + 'conflicts = ["other"]\n', other)["conflicts"] == ["llama-cpp"]


def test_what_the_catalog_knows_of_a_repository_is_filled_in(settings: Callable[..., dict[str, Any]]) -> None:
    model = f'[models.m]\nrepository = "openai/gpt-oss-20b"\nrevision = "{"0" * 40}"\nformat = "safetensors"\n'
    assert settings(VLLM.replace("weights", "m"), model)["weights"]["quantisation"] == "mxfp4"
    assert "quantisation" not in settings(VLLM)["weights"]


def test_a_machine_without_hardware_is_no_data() -> None:
    machine = load_spec(ROOT / "examples" / "aspen1.toml").deployment.machines["aspen1"]
    assert host_data(machine)["gttMiB"] == 117760
    unknown = type(machine)(**{name: getattr(machine, name) for name in machine.__slots__} | {"hardware": None})
    with pytest.raises(ValueError, match="machine aspen1 has no hardware"):
        host_data(unknown)
