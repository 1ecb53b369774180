"""Gateways: what the rules refuse, each with its whole message."""

from __future__ import annotations

import json
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import SpecError
from generator.spec.load import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    SpecFile = Callable[[str], Path]

HEAD = """clan.name = "home"
machines.m.hardware = "strix-halo-128"
machines.n.hardware = "strix-halo-128"
models.g = { repository = "ggml-org/gpt-oss-20b-GGUF", revision = "COMMIT", format = "gguf", file = "a.gguf" }
models.free = { repository = "x/y-abliterated-GGUF", revision = "COMMIT", format = "gguf", file = "a.gguf" }
""".replace("COMMIT", "0" * 40)
CLOUD = '{ provider = "openai", model = "x", budget_usd = 1, input_usd_per_million = 1, output_usd_per_million = 1 }'


def llama(name: str, port: int, more: str = "", model: str = "g") -> str:
    return (
        f'services.{name} = {{ engine = "llamacpp", unit = "{name}", machines = ["m"], model = "{model}", '
        f'port = {port}, api_key = true, expose = ["gateway"]{", " if more else ""}{more} }}'
    )


def front(more: str = "", name: str = "front", machine: str = "m") -> str:
    return f'gateways.{name} = {{ machine = "{machine}", host = "llm.test"{", " if more else ""}{more} }}'


def told(spec_file: SpecFile, *lines: str) -> list[str]:
    """Return what is said of a spec, without the place in the file."""
    try:
        load_spec(spec_file(HEAD + "\n".join(lines)))
    except SpecError as error:
        return [f"{problem.path}: {problem.what}; {problem.hint}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "lines",
    [
        (llama("a", 8080), front()),
        (llama("a", 8080, 'fallback = ["b"]'), llama("b", 8081), front('expose = ["tailscale0"]')),
        (llama("a", 8080, 'fallback = ["c"]'), front(f"clouds.c = {CLOUD}")),
        (llama("a", 8080, 'accept = ["derestricted-exposed"]', "free"), front('expose = ["eth0"]')),
        (llama("a", 8080, "", "free"), front('expose = ["wg0"]')),
        (llama("a", 443), front('proxy = "existing"')),
        ('services.o = { engine = "ollama", machines = ["m"], models = ["x:1b"], expose = ["gateway"] }', front()),
    ],
)
def test_a_gateway_that_can_work_is_right(spec_file: SpecFile, lines: tuple[str, ...]) -> None:
    assert told(spec_file, *lines) == []


def test_a_circle_of_fallbacks_is_told_once_with_its_way(spec_file: SpecFile) -> None:
    lines = [
        llama("a", 8080, 'fallback = ["b"]'),
        llama("b", 8081, 'fallback = ["c"]'),
        llama("c", 8082, 'fallback = ["a"]'),
    ]
    assert told(spec_file, *lines, front()) == [
        "services.a.fallback[0]: the fallback goes in a circle: a -> b -> c -> a; leave one of them out"
    ]


def test_a_service_does_not_fall_back_to_itself(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080, 'fallback = ["a"]'), front()) == [
        "services.a.fallback[0]: the fallback goes in a circle: a -> a; leave one of them out"
    ]


@given(st.dictionaries(st.sampled_from("abcde"), st.sets(st.sampled_from("abcde")), min_size=1))
def test_a_circle_is_told_where_there_is_one_and_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, graph: dict[str, set[str]]
) -> None:
    """Whatever falls back to whatever: the rule finds a circle exactly where sorting by dependency fails."""
    names = sorted(set(graph) | {other for others in graph.values() for other in others})
    lines = [
        llama(name, 8000 + number, f"fallback = {json.dumps(sorted(graph.get(name, ())))}")
        for number, name in enumerate(names)
    ]
    path = tmp_path_factory.mktemp("circle") / "spec.toml"
    path.write_text(HEAD + "\n".join([*lines, front()]), encoding="utf-8")
    try:
        tuple(TopologicalSorter(graph).static_order())
        circular = False
    except CycleError:
        circular = True
    assert bool(told(lambda _: path)) == circular


def test_two_gateways_on_a_port_are_refused(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080), front(), front(name="other")) == [
        (
            'gateways.other.port: gateway "front" has port 443 on m already; '
            "put their services behind one: a machine has one Traefik"
        )
    ]


def test_two_gateways_on_a_machine_are_refused(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080), front(), front("port = 8443", "other")) == [
        (
            'gateways.other.machine: gateway "front" has m already; '
            "put their services behind one: a machine has one Traefik"
        )
    ]


@pytest.mark.parametrize(("field", "value"), [("port", "8080"), ("litellm_port", "8080")])
def test_a_port_that_a_service_has_is_refused(spec_file: SpecFile, field: str, value: str) -> None:
    assert told(spec_file, llama("a", 8080), front(f"{field} = {value}")) == [
        f'gateways.front.{field}: service "a" has port 8080 on m already; give one of them another port'
    ]


def test_traefik_and_litellm_need_a_port_each(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080), front("port = 4000")) == [
        "gateways.front.litellm_port: the gateway itself has port 4000; choose another port"
    ]


def test_traefiks_metrics_need_a_port_of_their_own_where_they_are_on(spec_file: SpecFile) -> None:
    resolved = 'host = "m.tail1.ts.net", tls = { resolver = "tailscale" }, metrics_port = 8080'
    gateway = front(resolved).replace('host = "llm.test", ', "")
    service = llama("a", 8080, "llamacpp = { metrics = true }")
    assert told(spec_file, service, gateway) == []
    assert told(spec_file, service, gateway, 'monitoring.machines = ["m"]') == [
        'gateways.front.metrics_port: service "a" has port 8080 on m already; give one of them another port'
    ]
    own = gateway.replace("metrics_port = 8080", "metrics_port = 4000")
    assert told(spec_file, service, own, 'monitoring.machines = ["m"]') == [
        "gateways.front.metrics_port: the gateway itself has port 4000; choose another port"
    ]


@pytest.mark.parametrize(
    ("field", "port", "watcher"), [("port", 3000, "Grafana"), ("litellm_port", 9090, "Prometheus")]
)
def test_a_port_of_what_watches_the_machine_is_refused(
    spec_file: SpecFile, field: str, port: int, watcher: str
) -> None:
    service, gateway = llama("a", 8080, "llamacpp = { metrics = true }"), front(f"{field} = {port}")
    assert told(spec_file, service, gateway) == []
    assert told(spec_file, service, gateway, 'monitoring.machines = ["m"]') == [
        f"gateways.front.{field}: {watcher} has port {port} on m; choose another port"
    ]


def test_tailscaled_has_certificates_for_names_of_the_tailnet_alone(spec_file: SpecFile) -> None:
    """The real Traefik says "not a valid Tailscale domain", and goes on with a certificate of its own."""
    assert told(spec_file, llama("a", 8080), front('tls = { resolver = "tailscale" }')) == [
        (
            "gateways.front.tls.resolver: tailscaled has a certificate for its machine's own name in the tailnet, and "
            "llm.test is none; set host to <machine>.<tailnet>.ts.net, or leave the resolver out"
        )
    ]


def test_an_unknown_machine_or_interface_is_refused(spec_file: SpecFile) -> None:
    service = llama("a", 8080)
    assert told(spec_file, service, front(machine="mm")) == [
        'gateways.front.machine: there is no machine "mm"; did you mean "m"?'
    ]
    assert told(spec_file, service, front('expose = ["tailscal0"]')) == [
        (
            'gateways.front.expose[0]: m is not known to have a network interface "tailscal0"; '
            'did you mean "tailscale0"?; or add it to interfaces of the machine'
        )
    ]


def test_a_model_without_safety_training_is_not_for_a_public_gateway(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080, "", "free"), front('expose = ["eth0"]')) == [
        (
            "gateways.front.expose[0]: x/y-abliterated-GGUF of a has no safety training, and eth0 is no private "
            'interface; expose the gateway on a private one, or set accept = ["derestricted-exposed"] in services.a'
        )
    ]


def test_keys_do_not_cross_a_public_network_in_the_clear(spec_file: SpecFile) -> None:
    lines = (llama("a", 8080), front('expose = ["eth0"], tls.enable = false'))
    assert told(spec_file, *lines) == [
        (
            "gateways.front.tls.enable: keys and prompts would cross eth0 in the clear; "
            "leave it out, or expose the gateway on a private interface alone"
        )
    ]
    assert told(spec_file, llama("a", 8080), front('expose = ["tailscale0"], tls.enable = false')) == []


def test_a_gateway_with_nothing_behind_it_is_refused(spec_file: SpecFile) -> None:
    service = llama("a", 8080).replace('expose = ["gateway"]', "expose = []")
    assert told(spec_file, service, front()) == [
        'gateways.front: no service is behind the gateway; add expose = ["gateway"] to a service'
    ]


def test_a_service_behind_no_gateway_is_refused(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080)) == ["services.a.expose[0]: there is no gateway; add [gateways.front]"]


def test_a_service_that_the_gateway_cannot_reach_is_refused(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080), front(machine="n")) == [
        (
            "services.a.expose: the gateway on n cannot reach a on m; "
            "name the interface between them as well, and set api_key = true"
        )
    ]
    both = llama("a", 8080).replace('["gateway"]', '["gateway", "thunderbolt0"]')
    assert told(spec_file, both, front(machine="n")) == []


def test_a_fallback_must_be_there_and_behind_the_gateway(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("chat", 8080, 'fallback = ["chad"]'), llama("chap", 8081), front())[0].startswith(
        'services.chat.fallback[0]: there is no service or cloud "chad"; did you mean'
    )
    hidden = llama("b", 8081).replace('expose = ["gateway"]', "expose = []")
    assert told(spec_file, llama("a", 8080, 'fallback = ["b"]'), hidden, front()) == [
        'services.a.fallback[0]: b is not behind the gateway; add expose = ["gateway"] to services.b'
    ]


@pytest.mark.parametrize("field", ['fallback = ["b"]', 'open_paths = ["/health"]'])
def test_what_the_gateway_keeps_needs_the_gateway(spec_file: SpecFile, field: str) -> None:
    lines = (llama("a", 8080, field).replace('expose = ["gateway"], ', ""), llama("b", 8081), front())
    name = field.split(maxsplit=1)[0]
    assert told(spec_file, *lines) == [
        f'services.a.{name}: {name} is the gateway\'s to keep; add expose = ["gateway"], or leave it out'
    ]


def test_a_cloud_that_nothing_falls_back_to_is_refused(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080), front(f"clouds.c = {CLOUD}")) == [
        (
            "gateways.front.clouds.c: no service falls back to this cloud; "
            'add fallback = ["c"] to a service, or leave the cloud out'
        )
    ]


def test_a_cloud_needs_a_budget(spec_file: SpecFile) -> None:
    cloud = CLOUD.replace("budget_usd = 1, ", "")
    assert told(spec_file, llama("a", 8080, 'fallback = ["c"]'), front(f"clouds.c = {cloud}")) == [
        'gateways.front.clouds.c: missing key "budget_usd"; add e.g. budget_usd = 5'
    ]


def test_a_certificate_needs_its_key(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("a", 8080), front('tls.certificate = "/c.pem"')) == [
        'gateways.front.tls.certificate: key "certificate" needs key "key"; add e.g. key = "/run/secrets/tls.key"'
    ]


def test_a_gateway_is_not_named_like_a_service(spec_file: SpecFile) -> None:
    assert told(spec_file, llama("front", 8080), front()) == [
        'gateways.front: there is a service "front" too; give the gateway another name'
    ]
