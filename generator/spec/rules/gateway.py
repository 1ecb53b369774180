"""Gateways and what is behind them: where they listen, whom they reach, and who answers for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.spec.gateway import certificate_metrics
from generator.spec.rules.exposure import PUBLIC, public_interface, unknown_interfaces, unsafe_model
from generator.spec.rules.finding import Finding, suggestion
from generator.spec.rules.placement import watching_ports
from generator.spec.service import GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.gateway import Gateway
    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

_SSH_PORT = 22


def check(context: Context) -> Iterator[Finding]:
    """Yield gateways that could not listen or reach their services, and fallbacks that lead nowhere or in circles."""
    behind = [service for service in context.deployment.services.values() if GATEWAY in service.expose]
    seen: dict[str, Gateway] = {}
    for gateway in context.deployment.gateways.values():
        yield from _place(context, gateway, seen.setdefault(gateway.machine, gateway))
        yield from _reach(context, gateway, behind)
        yield from _clouds(context, gateway, behind)
        yield from _asked_for(context, behind)
    for service in context.deployment.services.values():
        yield from _service(context, service)
        yield from _fallback(context, service)


def _place(context: Context, gateway: Gateway, first: Gateway) -> Iterator[Finding]:
    here = ("gateways", gateway.name)
    if gateway.machine not in context.machine_names:
        yield Finding(
            (*here, "machine"),
            f'there is no machine "{gateway.machine}"',
            suggestion(gateway.machine, context.machine_names, f"add [machines.{gateway.machine}]"),
        )
    if gateway.name in context.service_names:
        yield Finding(here, f'there is a service "{gateway.name}" too', "give the gateway another name", key=True)
    if first is not gateway:
        same = first.port == gateway.port
        yield Finding(
            (*here, "port" if same else "machine"),
            f'gateway "{first.name}" has {f"port {gateway.port} on " if same else ""}{gateway.machine} already',
            "put their services behind one: a machine has one Traefik",
        )
    yield from _ports(context, gateway)
    if gateway.proxy == "own" and gateway.tls.resolver == "tailscale" and not gateway.host.endswith(".ts.net"):
        yield Finding(
            (*here, "tls", "resolver"),
            f"tailscaled has a certificate for its machine's own name in the tailnet, and {gateway.host} is none",
            "set host to <machine>.<tailnet>.ts.net, or leave the resolver out",
        )


def _asked_for(context: Context, behind: list[Service]) -> Iterator[Finding]:
    """Yield models that one could not ask the gateway for by their names, for another service is called so."""
    services = {service.name for service in behind}
    for service in behind:
        model = context.deployment.models.get(service.model or "")
        names = (model.served_name or model.repository,) if model else service.models
        for name in services.intersection(names) - {service.name}:
            yield Finding(
                ("models", model.name, "served_name") if model else ("services", service.name, "models"),
                f'who asks the gateway for "{name}" gets the service of this name, and not {service.name}',
                "give the model or the service another name",
                key=True,
            )


def _ports(context: Context, gateway: Gateway) -> Iterator[Finding]:
    here = ("gateways", gateway.name)
    monitoring = context.deployment.monitoring
    ports = {"port": gateway.port, "litellm_port": gateway.litellm_port, "metrics_port": gateway.metrics_port}
    if gateway.proxy == "existing":
        del ports["port"]
    if not certificate_metrics(gateway, () if monitoring is None else monitoring.machines):
        del ports["metrics_port"]
    watching = watching_ports(context, gateway.machine)
    for field, port in ports.items():
        if port == _SSH_PORT:
            yield Finding((*here, field), "port 22 is sshd's", "choose another port")
        for service in context.placement.services_on.get(gateway.machine, ()):
            if service.port == port:
                yield Finding(
                    (*here, field),
                    f'service "{service.name}" has port {port} on {gateway.machine} already',
                    "give one of them another port",
                )
        if port in watching:
            yield Finding(
                (*here, field), f"{watching[port]} has port {port} on {gateway.machine}", "choose another port"
            )
    for field in [field for index, field in enumerate(ports) if ports[field] in list(ports.values())[:index]]:
        yield Finding((*here, field), f"the gateway itself has port {ports[field]}", "choose another port")


def _reach(context: Context, gateway: Gateway, behind: list[Service]) -> Iterator[Finding]:
    here = ("gateways", gateway.name)
    machine = context.deployment.machines.get(gateway.machine)
    if not behind and _every_service(context):
        yield Finding(here, "no service is behind the gateway", 'add expose = ["gateway"] to a service', key=True)
    if gateway.expose and not gateway.tls.enable and machine and _public(context, gateway):
        yield Finding(
            (*here, "tls", "enable"),
            f"keys and prompts would cross {_public(context, gateway)} in the clear",
            "leave it out, or expose the gateway on a private interface alone",
        )
    for index, name in enumerate(gateway.expose):
        where = (*here, "expose", index)
        if machine is None:
            continue
        yield from unknown_interfaces([machine], name, where)
        for service in behind if public_interface([machine], name) else ():
            model = unsafe_model(context, service)
            if model is not None and PUBLIC not in service.accept:
                yield Finding(
                    where,
                    f"{model} of {service.name} has no safety training, and {name} is no private interface",
                    f'expose the gateway on a private one, or set accept = ["{PUBLIC}"] in services.{service.name}',
                )
    for service in behind if machine else ():
        elsewhere = [m.name for m in context.placement.machines_of[service.name] if m.name != gateway.machine]
        if elsewhere and not service.interfaces:
            yield Finding(
                ("services", service.name, "expose"),
                f"the gateway on {gateway.machine} cannot reach {service.name} on {elsewhere[0]}",
                "name the interface between them as well, and set api_key = true",
            )


def _every_service(context: Context) -> bool:
    """Return whether no service is too broken to be looked at: it could be the one that is missed."""
    return context.service_names == frozenset(context.deployment.services)


def _public(context: Context, gateway: Gateway) -> str | None:
    machine = context.deployment.machines[gateway.machine]
    return next((name for name in gateway.expose if public_interface([machine], name)), None)


def _clouds(context: Context, gateway: Gateway, behind: list[Service]) -> Iterator[Finding]:
    wanted = {name for service in behind for name in service.fallback}
    for cloud in gateway.clouds:
        if cloud.name not in wanted and _every_service(context):
            yield Finding(
                ("gateways", gateway.name, "clouds", cloud.name),
                "no service falls back to this cloud",
                f'add fallback = ["{cloud.name}"] to a service, or leave the cloud out',
                key=True,
            )


def _service(context: Context, service: Service) -> Iterator[Finding]:
    here = ("services", service.name)
    if GATEWAY in service.expose and not context.gateway_names:
        yield Finding((*here, "expose", service.expose.index(GATEWAY)), "there is no gateway", "add [gateways.front]")
    for field in ("fallback", "open_paths"):
        if getattr(service, field) and GATEWAY not in service.expose:
            yield Finding(
                (*here, field),
                f"{field} is the gateway's to keep",
                'add expose = ["gateway"], or leave it out',
                key=True,
            )


def _fallback(context: Context, service: Service) -> Iterator[Finding]:
    services = context.deployment.services
    clouds = {cloud.name for gateway in context.deployment.gateways.values() for cloud in gateway.clouds}
    for index, name in enumerate(service.fallback):
        where = ("services", service.name, "fallback", index)
        other = services.get(name)
        # A gateway that is too broken to be looked at may have the cloud.
        whole = context.gateway_names == frozenset(context.deployment.gateways)
        if name not in context.service_names and name not in clouds and whole:
            yield Finding(
                where,
                f'there is no service or cloud "{name}"',
                suggestion(name, (context.service_names | clouds) - {service.name}, "leave it out"),
            )
        elif other is not None and GATEWAY not in other.expose:
            yield Finding(where, f"{name} is not behind the gateway", f'add expose = ["gateway"] to services.{name}')
        elif circle := _circle(services, service.name, name):
            yield Finding(where, f"the fallback goes in a circle: {' -> '.join(circle)}", "leave one of them out")


def _circle(services: dict[str, Service], start: str, name: str) -> list[str] | None:
    """Return the way from a service back to itself by its fallback ``name``, None where there is none.

    Of a circle, only the service that sorts first tells of it.
    """
    ways = [[start, name]]
    seen = {name}
    while ways:
        way = ways.pop(0)
        if way[-1] == start:
            return way if start == min(way) else None
        known = services.get(way[-1])
        for other in known.fallback if known else ():
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return None
