"""Who reaches a service: interfaces that exist, a key in front of everybody, no model without safety for the public."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generator.catalog.interfaces import reach
from generator.catalog.models import derestricted
from generator.spec.rules.finding import Finding, suggestion
from generator.spec.service import GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from generator.spec.model import Machine
    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

_KEYLESS = {
    "ollama": "Ollama knows no keys",
    "openai-compatible": "how an openai-compatible container takes a key is not known",
}
PUBLIC, OPEN = "derestricted-exposed", "open-endpoints"


def check(context: Context) -> Iterator[Finding]:
    """Yield services that more people reach than may."""
    for service in context.deployment.services.values():
        yield from _key(service)
        yield from _address(service)
        machines = context.placement.machines_of[service.name]
        for index, name in enumerate(service.expose):
            if name != GATEWAY:
                where = ("services", service.name, "expose", index)
                yield from unknown_interfaces(machines, name, where)
                yield from _public(context, service, name, where)
        if service.interfaces and service.engine == "vllm" and service.api_key and OPEN not in service.accept:
            yield Finding(
                ("services", service.name, "expose"),
                f"vLLM answers {_left_open(service.engine)} without a key",
                f'set expose = ["gateway"], which lets /v1 through alone, or accept = ["{OPEN}"]',
            )


def _left_open(engine: str) -> str:
    from generator.catalog.endpoints import open_endpoints  # only to say what is wrong

    known = open_endpoints(engine)
    return f"{', '.join((*known.computes, *known.changes))} and {len(known.tells)} more paths"


def loopback(host: str) -> bool:
    """Return whether an address is the machine's own alone."""
    return host in {"localhost", "::1"} or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None


def unknown_interfaces(machines: Iterable[Machine], name: str, where: tuple[str | int, ...]) -> Iterator[Finding]:
    """Yield a finding where no machine is known to have an interface of this name."""
    for machine in machines:
        if name not in machine.interfaces and reach(name) is None:
            known = [*machine.interfaces, "tailscale0", "wg0"]
            yield Finding(
                where,
                f'{machine.name} is not known to have a network interface "{name}"',
                f"{suggestion(name, known, '')}; or add it to interfaces of the machine",
            )
            return


def public_interface(machines: Iterable[Machine], name: str) -> Machine | None:
    """Return a machine whose interface of this name strangers may reach, None where there is none."""
    return next((machine for machine in machines if machine.interfaces.get(name, reach(name)) != "private"), None)


def unsafe_model(context: Context, service: Service) -> str | None:
    """Return the name of a model of a service whose safety training was removed, None where there is none."""
    model = context.deployment.models.get(service.model or "")
    names = [model.repository] if model else list(service.models)
    return next((name for name in names if derestricted(name)), None)


def _key(service: Service) -> Iterator[Finding]:
    here = ("services", service.name)
    if service.api_key and service.engine in _KEYLESS:
        yield Finding(
            (*here, "api_key"), _KEYLESS[service.engine], 'leave it out, and set expose = ["gateway"]', key=True
        )
    elif service.api_key and service.runtime == "container" and service.container.command == ():
        yield Finding(
            (*here, "container", "command"),
            "the key is handed over before the engine starts, and the command names no engine",
            "write the image's entrypoint here",
        )
    elif service.interfaces and not service.api_key:
        unable = service.engine in _KEYLESS
        yield Finding(
            (*here, "expose"),
            f"everybody on {service.interfaces[0]} could use {service.name}: it asks for no key",
            f'{_KEYLESS[service.engine]}: set expose = ["gateway"]' if unable else "set api_key = true",
        )


def _address(service: Service) -> Iterator[Finding]:
    here = ("services", service.name, "host")
    if service.interfaces and loopback(service.host):
        yield Finding(here, f"nobody on {service.interfaces[0]} reaches {service.host}", "leave host out, or expose")
    elif not service.interfaces and not service.api_key and not loopback(service.host):
        hint = "leave host out" if service.engine in _KEYLESS else "leave host out, or set api_key = true"
        yield Finding(
            here, f"{service.host} is reached from interfaces that the firewall trusts, and there is no key", hint
        )


def _public(context: Context, service: Service, name: str, where: tuple[str | int, ...]) -> Iterator[Finding]:
    machine = public_interface(context.placement.machines_of[service.name], name)
    model = unsafe_model(context, service)
    if machine is not None and model is not None and PUBLIC not in service.accept:
        yield Finding(
            where,
            f"{model} has no safety training, and {name} of {machine.name} is no private interface",
            f'expose it on a private one, as tailscale0, or set accept = ["{PUBLIC}"]',
        )
