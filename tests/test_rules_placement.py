"""Things of which a machine has one each: ports, unit names, the container runtime, a model's directory."""

from __future__ import annotations

import pytest

from generator.spec.rules.placement import check
from tests.rule_checks import ASPEN1, MODELS, told

ASPEN2 = '[machines.aspen2]\nhardware = "strix-halo-128"\ntags = ["second"]\n'


def service(name: str, *lines: str, engine: str = "llamacpp", machines: str = '"aspen1"') -> str:
    """Return a service; its further lines begin at its fourth."""
    return "\n".join([f"[services.{name}]", f'engine = "{engine}"', f"machines = [{machines}]", *lines, ""])


def test_services_with_ports_and_units_of_their_own_are_right() -> None:
    text = service("a", "port = 1") + service("b", "port = 2", 'unit = "b"')
    assert told(check, text, ASPEN1, MODELS) == []


def test_a_second_service_on_a_port_is_told_at_its_port() -> None:
    text = service("a", "port = 8000") + service("b", "port = 8000", 'unit = "b"')
    assert told(check, text, ASPEN1) == [
        '8:8: services.b.port: service "a" has port 8000 on aspen1 already; give one of them another port'
    ]


def test_every_further_service_on_a_port_is_told() -> None:
    text = "".join(service(name, "port = 8000", f'unit = "{name}"') for name in "abc")
    assert told(check, text, ASPEN1) == [
        f'{line}:8: services.{name}.port: service "a" has port 8000 on aspen1 already; give one of them another port'
        for name, line in (("b", 9), ("c", 14))
    ]


@pytest.mark.parametrize(
    ("monitoring", "port", "watcher"),
    [
        ('machines = ["aspen1"]', 9090, "Prometheus"),
        ('machines = ["aspen1"]', 3000, "Grafana"),
        ('machines = ["aspen2"]\nexpose = ["tailscale0"]', 9100, "node_exporter"),
    ],
)
def test_a_port_of_what_watches_the_machine_is_told(monitoring: str, port: int, watcher: str) -> None:
    text = service("a", f"port = {port}")
    assert told(check, text, ASPEN1, ASPEN2, MODELS) == []
    found = told(check, text, ASPEN1, ASPEN2, MODELS, f"[monitoring]\n{monitoring}\n")
    assert found == [f"4:8: services.a.port: {watcher} has port {port} on aspen1; choose another port"]


@pytest.mark.parametrize("who", ["prometheus", "grafana", "node_exporter"])
def test_a_port_of_what_does_not_run_is_free(who: str) -> None:
    port = {"prometheus": 9090, "grafana": 3000, "node_exporter": 9100}[who]
    monitoring = f'[monitoring]\nmachines = ["aspen1"]\n{who} = false\n'
    assert told(check, service("a", f"port = {port}"), ASPEN1, MODELS, monitoring) == []


def test_a_unit_that_would_be_another_ones_watchdog_is_told() -> None:
    text = service("a", "port = 1") + service("b", "port = 2", 'unit = "llama-cpp-watchdog"')
    assert told(check, text, ASPEN1, MODELS) == [
        (
            "9:1: services.b.unit: llama-cpp-watchdog.service would be the watchdog of llama-cpp.service; "
            "choose a name with another end"
        )
    ]


@pytest.mark.parametrize("unit", ["prometheus", "llm-image-vllm", "traefik"])
def test_a_unit_that_others_of_the_flake_have_is_told(unit: str) -> None:
    (found,) = told(check, service("a", f'unit = "{unit}"'), ASPEN1, MODELS)
    assert f"{unit}.service is a unit of the system" in found


@pytest.mark.parametrize(("first", "second"), [("/models/a", "/models/a/b"), ("/models/a/b", "/models/a")])
def test_a_models_directory_within_anothers_is_told(first: str, second: str) -> None:
    commit = "0" * 40
    text = "".join(
        f'[models.{name}]\nrepository = "x/y"\nrevision = "{commit}"\nformat = "safetensors"\ndirectory = "{where}"\n'
        for name, where in (("one", first), ("two", second), ("three", "/models/ab"))
    )
    assert told(check, text, ASPEN1) == [
        (
            '10:13: models.two.directory: the directories of this model and of "one" are within each other, '
            "and each download has its own; put them beside each other"
        )
    ]


def test_a_default_port_that_is_taken_is_told_at_the_service() -> None:
    text = service("a", "port = 11434") + service("b", engine="ollama")
    assert told(check, text, ASPEN1) == [
        '5:1: services.b.port: service "a" has port 11434 on aspen1 already; give one of them another port'
    ]


def test_one_port_on_two_machines_is_right() -> None:
    assert told(check, service("a") + service("b", 'unit = "b"', machines='"aspen2"'), ASPEN1, ASPEN2) == []


def test_a_port_that_is_shared_through_a_tag_is_told() -> None:
    text = service("a", machines='"aspen2"')
    text += '[services.b]\nengine = "llamacpp"\ntags = ["second"]\nport = 8080\nunit = "b"'
    assert told(check, text, ASPEN1, ASPEN2) == [
        '7:8: services.b.port: service "a" has port 8080 on aspen2 already; give one of them another port'
    ]


@pytest.mark.parametrize("conflicts", ["a", "b"])
def test_services_that_take_turns_may_share_a_port(conflicts: str) -> None:
    other = {"a": "b", "b": "a"}[conflicts]
    lines = {conflicts: f'conflicts = ["{other}"]', other: ""}
    text = "".join(service(name, "port = 8000", f'unit = "{name}"', lines[name]) for name in "ab")
    assert told(check, text, ASPEN1) == []


def test_a_service_that_takes_turns_with_one_of_two_still_clashes_with_the_other() -> None:
    text = "".join(service(name, "port = 1", f'unit = "{name}"') for name in "ab")
    text += service("c", "port = 1", 'unit = "c"', 'conflicts = ["a"]')
    assert told(check, text, ASPEN1) == [
        '9:8: services.b.port: service "a" has port 1 on aspen1 already; give one of them another port',
        '14:8: services.c.port: service "b" has port 1 on aspen1 already; give one of them another port',
    ]


def test_the_port_of_sshd_is_refused() -> None:
    assert told(check, service("a", "port = 22"), ASPEN1) == [
        "4:8: services.a.port: port 22 is sshd's; choose another port"
    ]


def test_two_servers_of_one_engine_need_a_unit_name() -> None:
    text = service("a", "port = 1") + service("b", "port = 2")
    assert told(check, text, ASPEN1) == [
        '5:1: services.b.unit: service "a" is llama-cpp.service on aspen1 already; set unit = "b"'
    ]


def test_two_ollama_servers_on_a_machine_are_told_to_be_one() -> None:
    text = service("a", "port = 1", engine="ollama") + service("b", "port = 2", engine="ollama")
    assert told(check, text, ASPEN1) == [
        (
            '5:1: services.b.unit: service "a" is ollama.service on aspen1 already; '
            "an Ollama server is one a machine: put the models into one service"
        )
    ]


@pytest.mark.parametrize("unit", ["sshd", "systemd-journald", "llm-model-weights", "podman-x", "getty.target"])
def test_a_unit_of_the_system_is_refused(unit: str) -> None:
    assert told(check, service("a", f'unit = "{unit}"'), ASPEN1) == [
        f'1:11: services.a: {unit}.service is a unit of the system; rename the service, or set unit = "llm-a"'
    ]


def test_a_service_that_is_named_like_a_unit_of_the_system_is_refused() -> None:
    text = '[services.docker]\nengine = "openai-compatible"\nmachines = ["aspen1"]'
    assert told(check, text, ASPEN1) == [
        '1:11: services.docker: docker.service is a unit of the system; rename the service, or set unit = "llm-docker"'
    ]


def test_a_unit_with_its_suffix_is_told_to_lose_it() -> None:
    assert told(check, service("a", 'unit = "chat.service"'), ASPEN1) == [
        '4:8: services.a.unit: the unit would be chat.service.service; write "chat"'
    ]


def test_a_second_container_runtime_on_a_machine_is_refused() -> None:
    text = service("a", 'runtime = "container"', "port = 1")
    text += service("b", "port = 2", 'unit = "b"', 'runtime = "container"', 'container = { runtime = "docker" }')
    assert told(check, text, ASPEN1) == [
        '12:25: services.b.container.runtime: service "a" runs in podman on aspen1; set runtime = "podman" in both'
    ]


def test_each_machine_may_have_its_own_container_runtime() -> None:
    text = service("a", 'runtime = "container"')
    text += service("b", 'runtime = "container"', 'container = { runtime = "docker" }', machines='"aspen2"')
    assert told(check, text, ASPEN1, ASPEN2) == []


def test_a_directory_of_two_models_is_told_at_the_second() -> None:
    model = '[models.{}]\nrepository = "a/b"\nrevision = "' + "0" * 40 + '"\nformat = "gguf"\ndirectory = "/m"\n'
    assert told(check, model.format("a") + model.format("b"), ASPEN1) == [
        '10:13: models.b.directory: model "a" has /m already; give each model its own directory'
    ]


def test_the_default_directory_of_another_model_is_taken_too() -> None:
    model = '[models.{}]\nrepository = "a/b"\nrevision = "' + "0" * 40 + '"\nformat = "gguf"\n{}\n'
    text = model.format("a", 'directory = "/var/lib/llm/models/b"') + model.format("b", "")
    assert told(check, text, ASPEN1) == [
        '6:1: models.b.directory: model "a" has /var/lib/llm/models/b already; give each model its own directory'
    ]
