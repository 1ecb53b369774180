"""The runbook's part on alarms: what each one means, what one sees, and what to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog.metrics import alerts, counters
from generator.emit.look import helpers, journal, watchdog
from generator.emit.monitoring import floors
from generator.emit.operate import block
from generator.spec.gateway import certificate_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.catalog.metrics import Alert
    from generator.spec.load import Spec
    from generator.spec.monitoring import Monitoring

_SHOWN = 4  # servers whose commands are spelt out


def features(spec: Spec) -> frozenset[str]:
    """Return what a deployment has that an alert may need: the same as ``features`` of nix/lib/monitoring.nix."""
    services = [service for on_machine in spec.placement.services_on.values() for service in on_machine]
    gateways = spec.deployment.gateways.values()
    watched = {name for name, on_machine in spec.placement.services_on.items() if on_machine}
    watched |= {gateway.machine for gateway in gateways}
    engines = {service.engine for service in services}
    machines = [machine for name, machine in spec.deployment.machines.items() if name in watched]
    amd = any(machine.hardware is not None and machine.hardware.accelerator == "rocm" for machine in machines)
    monitoring = spec.deployment.monitoring
    found = {
        **dict.fromkeys(engines, True),
        "metrics": bool(engines & counters().keys()),
        "amd": amd,
        "gtt": any(machine.gtt_mib is not None for machine in machines),
        "floor": bool(floors(spec)),
        "models": bool(spec.deployment.models),
        "smu": monitoring is not None and monitoring.smu_exporter,
        "keys": bool(gateways) or any(service.api_key for service in services),
        "certificates": any(
            gateway.tls.certificate is not None
            or certificate_metrics(gateway, () if monitoring is None else monitoring.machines)
            for gateway in gateways
        ),
    }
    return frozenset(name for name, has in found.items() if has)


def alarms(spec: Spec, logins: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the section; none where nothing watches. ``logins`` are the ssh commands of machines."""
    monitoring = spec.deployment.monitoring
    if monitoring is None:
        return
    yield from (
        "## Alarms",
        "",
        "Every alert of Prometheus names its section here. It also names a service and a machine:",
    )
    yield from ("of a section's commands, type those of that one alone.", "")
    yield from _where(monitoring, logins)
    here = features(spec)
    for alert in alerts():
        if here.issuperset(alert.needs):
            yield from (f"### {alert.name}", "", f"*{alert.severity}*: {alert.see}", "", alert.do, "")
            yield from block(*_commands(alert, spec, logins))


def _where(monitoring: Monitoring, logins: Mapping[str, str]) -> Iterator[str]:
    """Yield how to look at what is on loopback."""
    for machine in monitoring.machines:
        login = logins[machine]
        shown = [
            (monitoring.prometheus, "Prometheus", 9090, "alerts"),
            (monitoring.grafana, "Grafana", 3000, "d/llmflake"),
        ]
        there = [entry for entry in shown if entry[0]]
        if not there:
            continue
        pages = " and ".join(f"{name} at <http://127.0.0.1:{port}/{path}>" for _, name, port, path in there)
        yield from (f"Through this tunnel to {machine}, {pages}:", "")
        tunnels = " ".join(f"-L {port}:127.0.0.1:{port}" for _, _, port, _ in there)
        yield from block(f"{login} -N {tunnels}")
        if monitoring.grafana:
            yield from ("Grafana's user is `admin`, and its password:", "")
            yield from block(f"{login} cat /var/lib/grafana/admin_password")


def _commands(alert: Alert, spec: Spec, logins: Mapping[str, str]) -> list[str]:
    """Return an alert's commands for the deployment's first servers, each once; of a watchdog where there is one."""
    servers = [(machine, service) for machine, services in spec.placement.services_on.items() for service in services]
    commands: dict[str, None] = {}
    for machine, service in servers[:_SHOWN]:
        units = (service.unit, *helpers(service))
        words = {
            "{login}": logins[machine],
            "{unit}": service.unit,
            "{units}": " ".join(units),
            "{journal}": journal(*units),
            "{watchdog}": watchdog(service),
        }
        for command in alert.commands:
            filled: str | None = command
            for name, word in words.items():
                if filled is not None and name in filled:
                    filled = None if word is None else filled.replace(name, word)
            if filled is not None:
                commands[filled] = None
    return list(commands)
