"""Things of which a machine has one each: ports, unit names, the container runtime, a model's directory."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from generator.catalog.metrics import ports
from generator.spec.rules.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.model import Deployment
    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

_SSH_PORT = 22
# Units that a machine already has, or that this project makes: a service of the same name would replace them.
_TAKEN_UNITS = frozenset(
    {
        *("dbus", "docker", "firewall", "logrotate", "network", "nix-daemon", "nscd", "podman", "polkit", "sshd"),
        *("grafana", "litellm", "prometheus", "prometheus-node-exporter", "traefik"),
    }
)
_TAKEN_PREFIXES = (
    "systemd-",
    "llm-image-",
    "llm-model-",
    "ollama-",
    "podman-",
    "docker-",
    "nixos-",
    "getty",
    "network-",
)


def take_turns(first: Service, second: Service) -> bool:
    """Return whether two services never run at the same time, because one names the other in ``conflicts``."""
    return second.name in first.conflicts or first.name in second.conflicts


def check(context: Context) -> Iterator[Finding]:
    """Yield what two services of one machine, or two models, cannot share."""
    deployment = context.deployment
    yield from _directories(deployment)
    for service in deployment.services.values():
        if service.unit in _TAKEN_UNITS or service.unit.startswith(_TAKEN_PREFIXES):
            yield Finding(
                ("services", service.name),
                f"{service.unit}.service is a unit of the system",
                f'rename the service, or set unit = "llm-{service.name}"',
                key=True,
            )
        if service.unit.endswith("-watchdog"):
            yield Finding(
                ("services", service.name, "unit"),
                f"{service.unit}.service would be the watchdog of {service.unit.removesuffix('-watchdog')}.service",
                "choose a name with another end",
                key=True,
            )
        if service.unit.endswith(".service"):
            plain = service.unit.removesuffix(".service")
            what = f"the unit would be {service.unit}.service"
            yield Finding(("services", service.name, "unit"), what, f'write "{plain}"')
        if service.port == _SSH_PORT:
            yield Finding(("services", service.name, "port"), "port 22 is sshd's", "choose another port")
    for machine, services in context.placement.services_on.items():
        yield from _on_machine(machine, services)
        watching = watching_ports(context, machine)
        for service in services:
            if service.port in watching:
                yield Finding(
                    ("services", service.name, "port"),
                    f"{watching[service.port]} has port {service.port} on {machine}",
                    "choose another port",
                )


def watching_ports(context: Context, machine: str) -> dict[int, str]:
    """Return the ports that what watches a machine takes of it, each with what that is."""
    monitoring = context.deployment.monitoring
    if monitoring is None:
        return {}
    here = machine in monitoring.machines
    running = {
        "prometheus": ("Prometheus", monitoring.prometheus and here),
        "grafana": ("Grafana", monitoring.grafana and here),
        "node": ("node_exporter", monitoring.node_exporter),
    }
    return {port: running[name][0] for name, port in ports().items() if running[name][1]}


def _on_machine(machine: str, services: tuple[Service, ...]) -> Iterator[Finding]:
    by_port: dict[int, list[Service]] = defaultdict(list)
    units: dict[str, list[Service]] = defaultdict(list)
    for service in services:
        by_port[service.port].append(service)
        units[service.unit].append(service)
    for port, sharing in by_port.items():
        for index, second in enumerate(sharing):
            first = next((other for other in sharing[:index] if not take_turns(other, second)), None)
            if first is not None:
                yield Finding(
                    ("services", second.name, "port"),
                    f'service "{first.name}" has port {port} on {machine} already',
                    "give one of them another port",
                )
    for unit, sharing in units.items():
        for first, second in pairwise(sharing):
            yield Finding(
                ("services", second.name, "unit"),
                f'service "{first.name}" is {unit}.service on {machine} already',
                "an Ollama server is one a machine: put the models into one service"
                if unit == "ollama"
                else f'set unit = "{second.name}"',
            )
    yield from _rollbacks(machine, services)
    containers = [service for service in services if service.runtime == "container"]
    for service in containers[1:]:
        if service.container.runtime != containers[0].container.runtime:
            yield Finding(
                ("services", service.name, "container", "runtime"),
                f'service "{containers[0].name}" runs in {containers[0].container.runtime} on {machine}',
                f'set runtime = "{containers[0].container.runtime}" in both',
            )


def _rollbacks(machine: str, services: tuple[Service, ...]) -> Iterator[Finding]:
    ollama = [service for service in services if service.engine == "ollama" or service.rollback_ollama]
    service = next((service for service in ollama if service.rollback_ollama), None)
    other = next((other for other in ollama if other is not service), None)
    if service is not None and other is not None:
        yield Finding(
            ("services", service.name, "rollback"),
            f"Ollama is one a machine, and {other.name} has it on {machine}",
            "put the models into one of them",
            key=True,
        )


def _directories(deployment: Deployment) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for model in deployment.models.values():
        here = ("models", model.name, "directory")
        if model.directory in owners:
            yield Finding(
                here,
                f'model "{owners[model.directory]}" has {model.directory} already',
                "give each model its own directory",
            )
        outer = next((path for path in owners if model.directory.startswith(f"{path}/")), None)
        inner = next((path for path in owners if path.startswith(f"{model.directory}/")), None)
        if outer is not None or inner is not None:
            other = owners[str(outer or inner)]
            yield Finding(
                here,
                f'the directories of this model and of "{other}" are within each other, and each download has its own',
                "put them beside each other",
            )
        owners.setdefault(model.directory, model.name)
