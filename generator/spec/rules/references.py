"""Names that must mean something: hardware, machines, tags, models, services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog.load import hardware
from generator.spec.paths import quoted
from generator.spec.rules.finding import Finding, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

# clan itself gives these to every machine of the class.
_CLAN_TAGS = frozenset({"all", "nixos", "darwin"})


def check(context: Context) -> Iterator[Finding]:
    """Yield names that nothing has, and services that run nowhere."""
    for machine in context.deployment.machines.values():
        if machine.hardware is None and machine.hardware_name is not None:
            yield Finding(
                ("machines", machine.name, "hardware"),
                f"the catalog has no hardware {quoted(machine.hardware_name)}",
                suggestion(machine.hardware_name, hardware(), "") + "; or describe it in a table",
            )
        for index, tag in enumerate(machine.tags):
            if tag in _CLAN_TAGS:
                yield Finding(
                    ("machines", machine.name, "tags", index),
                    f'clan gives the tag "{tag}" by itself',
                    "leave it out here; services may still use it",
                )
        if machine.name == "localhost":
            yield Finding(("machines", "localhost"), "every machine is localhost", "use its own name", key=True)
    tags = {tag for machine in context.deployment.machines.values() for tag in machine.tags} | {"all", "nixos"}
    for service in context.deployment.services.values():
        yield from _service(context, service, tags)


def _service(context: Context, service: Service, tags: set[str]) -> Iterator[Finding]:
    here = ("services", service.name)
    for index, name in enumerate(service.machines):
        if name not in context.machine_names:
            yield Finding(
                (*here, "machines", index),
                f'there is no machine "{name}"',
                suggestion(name, context.machine_names, f"add [machines.{name}]"),
            )
    # A tag may belong to a machine that is too broken to be looked at.
    if context.machine_names == frozenset(context.deployment.machines):
        for index, tag in enumerate(service.tags):
            if tag not in tags:
                yield Finding(
                    (*here, "tags", index),
                    f'no machine has the tag "{tag}"',
                    suggestion(tag, tags - {"all", "nixos"}, f'add tags = ["{tag}"] to a machine'),
                )
    if not service.machines and not service.tags:
        yield Finding(here, "the service runs on no machine", 'add machines = ["…"] or tags = ["…"]', key=True)
    if service.model is not None and service.model not in context.model_names:
        yield Finding(
            (*here, "model"),
            f'there is no model "{service.model}"',
            suggestion(service.model, context.model_names, f"add [models.{service.model}]"),
        )
    if service.source is not None and service.source not in context.deployment.sources:
        yield Finding(
            (*here, "source"),
            f'there is no source "{service.source}"',
            suggestion(service.source, context.deployment.sources, f"add [sources.{service.source}]"),
        )
    yield from _conflicts(context, service)


def _conflicts(context: Context, service: Service) -> Iterator[Finding]:
    here = ("services", service.name)
    for index, other in enumerate(service.conflicts):
        if other == service.name:
            yield Finding((*here, "conflicts", index), "a service cannot conflict with itself", "leave it out")
        elif other not in context.service_names:
            yield Finding(
                (*here, "conflicts", index),
                f'there is no service "{other}"',
                suggestion(other, context.service_names - {service.name}, "leave it out"),
            )
