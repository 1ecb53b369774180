"""The runbook's chapters on operating: keys and rolling back, with a deployment's own values."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.model import Machine, Service


def block(*commands: str) -> list[str]:
    """Return commands as they are to be typed, each on a line."""
    return ["```console", *(f"$ {command}" for command in commands), "```", ""]


def key_generator(name: str) -> str:
    """Return the clan vars generator of a service's key; nix/lib/keys.nix names it the same way."""
    return f"llm-key-{name}"


def key_header(service: Service) -> str:
    """Return the start of a pipe that hands curl a service's key: on its standard input, where nobody sees it."""
    file = f"/run/credentials/{service.unit}.service/api-key"
    return f"sed 's/^/Authorization: Bearer /' {file} | "


def keys(machine: Machine, services: tuple[Service, ...]) -> Iterator[str]:
    """Yield how keys are read and changed, nothing where no service has one."""
    names = [key_generator(service.name) for service in services if service.api_key]
    if not names:
        return
    yield from ("### Keys", "")
    yield from (
        "clan makes them and keeps them encrypted in this repository. To read one, for somebody who shall have it:",
        "",
    )
    yield from block(*(shlex.join(["clan", "vars", "get", machine.name, f"{name}/api-key"]) for name in names))
    yield from ("To replace one; its service restarts, and the old key ends with it:", "")
    update = shlex.join(["clan", "machines", "update", machine.name])
    yield from block(
        *(
            f"{shlex.join(['clan', 'vars', 'generate', machine.name, '--generator', name, '--regenerate'])} && {update}"
            for name in names
        )
    )
