"""What watches the deployment: machines that scrape reach every service, and an alert can fire."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from generator.catalog.metrics import thresholds
from generator.spec.rules.exposure import public_interface, unknown_interfaces
from generator.spec.rules.finding import Finding, suggestion
from generator.spec.rules.flags import flag_of_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.monitoring import Monitoring
    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

_HUNDRED = 100


def check(context: Context) -> Iterator[Finding]:
    """Yield what would leave something unwatched, and thresholds that no metric ever crosses."""
    monitoring = context.deployment.monitoring
    if monitoring is None:
        return
    for index, name in enumerate(monitoring.machines):
        if name not in context.machine_names:
            yield Finding(
                ("monitoring", "machines", index),
                f'there is no machine "{name}"',
                suggestion(name, context.machine_names, f"add [machines.{name}]"),
            )
    if context.machine_names.issuperset(monitoring.machines):
        yield from _unreached(context, monitoring)
    yield from _thresholds(monitoring)
    yield from _exposed(context, monitoring)
    for service in context.deployment.services.values():
        yield from _service(service, monitoring)
    targets = {
        machine.hardware.target for machine in context.deployment.machines.values() if machine.hardware is not None
    }
    if monitoring.smu_exporter and "gfx1151" not in targets:
        yield Finding(
            ("monitoring", "smu_exporter"), "no machine has a Strix Halo, whose tables these are", "leave it out"
        )


def on_loopback(host: str) -> bool:
    """Return whether an address is reached from its own machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unreached(context: Context, monitoring: Monitoring) -> Iterator[Finding]:
    with_gateway = {gateway.machine for gateway in context.deployment.gateways.values()}
    for name, services in context.placement.services_on.items():
        if not (services or name in with_gateway) or name in monitoring.machines:
            continue
        hidden = [service for service in services if on_loopback(service.host)]
        if hidden:
            what = (
                f'no machine that scrapes reaches service "{hidden[0].name}" on {name}: it listens on {hidden[0].host}'
            )
            yield Finding(("monitoring", "machines"), what, f'add "{name}": it then scrapes itself')
        elif not monitoring.expose:
            what = f"no machine that scrapes reaches the node_exporter of {name}"
            yield Finding(
                ("monitoring", "machines"), what, f'add "{name}", or name an interface: expose = ["tailscale0"]'
            )


def _exposed(context: Context, monitoring: Monitoring) -> Iterator[Finding]:
    """Yield interfaces on which a node_exporter, which knows no keys, would be nobody's or everybody's."""
    with_gateway = {gateway.machine for gateway in context.deployment.gateways.values()}
    services_on = context.placement.services_on
    machines = [
        machine
        for name, machine in context.deployment.machines.items()
        if services_on.get(name) or name in with_gateway
    ]
    for index, name in enumerate(monitoring.expose if machines else ()):
        where = ("monitoring", "expose", index)
        missing = list(unknown_interfaces(machines, name, where))
        yield from missing
        public = None if missing else public_interface(machines, name)
        if public is not None:
            yield Finding(
                where,
                f"node_exporter asks for no key, and {name} of {public.name} is no private interface",
                'name a private one, as "tailscale0"',
            )


def _thresholds(monitoring: Monitoring) -> Iterator[Finding]:
    for name, value in monitoring.alerts.items():
        known = thresholds()[name]
        if known.above < value < known.below:
            continue
        if known.unit == "share":
            hint = "write a share of 1"
            if known.below <= value < _HUNDRED:
                hint += f": {value / _HUNDRED:g} for {value:g} %"
        else:
            hint = f"write more than {known.above:g} and less than {known.below:g}"
        yield Finding(
            ("monitoring", "alerts", name),
            f"{value:g} is outside the range of {known.metric} ({known.unit}): the alert would never, or always, fire",
            hint,
        )


def _service(service: Service, monitoring: Monitoring) -> Iterator[Finding]:
    if service.engine == "llamacpp" and service.flags.get("metrics") is not True:
        given = {flag_of_argument(argument, "llamacpp") for argument in service.extra_args}
        if "--metrics" not in given:
            where = ("services", service.name, *(("llamacpp", "metrics") if "metrics" in service.flags else ()))
            yield Finding(where, "llama-server serves no metrics unasked", "set llamacpp.metrics = true", key=True)
    most = service.flags.get("max_num_queued_reqs") if service.engine == "vllm" else None
    if most is not None and monitoring.alerts["queued_requests"] >= most:
        yield Finding(
            ("monitoring", "alerts", "queued_requests"),
            f'service "{service.name}" lets no more than {most} requests wait, so this alert would never fire',
            f"set it to {most - 1} or less" if most > 1 else "raise max_num_queued_reqs of the service",
        )
