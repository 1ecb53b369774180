"""Health: a fallback that can stand in, and planned restarts that can tell when nobody waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.spec.rules.finding import Finding, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

_COUNTS_REQUESTS = frozenset({"vllm"})


def check(context: Context) -> Iterator[Finding]:
    """Yield what cannot work of the services' health tables."""
    for service in context.deployment.services.values():
        yield from _fallback(context, service)
        yield from _planned(service)
        yield from _key(service)
        if service.engine == "ollama" and service.health.readiness:
            yield Finding(
                ("services", service.name, "health", "readiness"),
                "Ollama's models are pulled by its running server, which would wait for them for ever",
                "leave it out",
            )


def _fallback(context: Context, service: Service) -> Iterator[Finding]:
    here, other = ("services", service.name, "health", "fallback"), service.health.fallback
    if other is None:
        return
    if other == service.name:
        yield Finding(here, "a service cannot stand in for itself", "name another, or leave it out")
    elif other not in context.service_names:
        known = context.service_names - {service.name}
        yield Finding(here, f'there is no service "{other}"', suggestion(other, known, "leave it out"))
    elif other in context.deployment.services:
        placed = context.placement.machines_of
        there = {machine.name for machine in placed[other]}
        lacking = [machine.name for machine in placed[service.name] if machine.name not in there]
        if lacking:
            what = f'service "{other}" does not run on {", ".join(lacking)}'
            yield Finding(here, what, "add the machine to it, or name a service of the same machine")
        if not service.health.watchdog:
            yield Finding(here, "nothing watches this service, so nothing would fall back", "set watchdog = true")


def _key(service: Service) -> Iterator[Finding]:
    asks = service.health.readiness or service.health.watchdog
    guarded = any(argument.split("=")[0] == "--api-key-file" for argument in service.extra_args)
    if guarded and asks and service.health.key_file is None:
        yield Finding(
            ("services", service.name, "health"),
            "the server asks for a key, and its questions would have none: it would never count as started",
            "set key_file to the file that --api-key-file names",
        )


def _planned(service: Service) -> Iterator[Finding]:
    here, health = ("services", service.name, "health"), service.health
    counts = service.engine == "vllm" or (service.engine == "llamacpp" and service.flags.get("metrics") is True)
    asked = [name for name in ("restart_after_requests", "restart_after_hours") if getattr(health, name) is not None]
    for name in asked:
        if not health.watchdog:
            yield Finding(
                (*here, name), "nothing watches this service, so nothing would restart it", "set watchdog = true"
            )
        elif not counts:
            hint = "set llamacpp.metrics = true" if service.engine == "llamacpp" else "leave it out"
            yield Finding((*here, name), f"{service.engine} without metrics does not tell when nobody waits", hint)
        elif name == "restart_after_requests" and service.engine not in _COUNTS_REQUESTS:
            yield Finding((*here, name), f"{service.engine} does not count its requests", "use restart_after_hours")
