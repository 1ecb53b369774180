"""The runbook's steps from a server's start to its answer, and what to do where it hangs."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from generator.catalog.models import derestricted
from generator.emit.operate import block, key_header
from generator.spec.address import asked_at, bracketed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.load import Spec
    from generator.spec.model import Machine, Model
    from generator.spec.service import Service

_RESETS = {"rocm": "amdgpu", "cuda": "NVRM"}  # what the kernel's log has of a GPU's driver


def helpers(service: Service) -> tuple[str, ...]:
    """Return the units that a server's start waits for, or that fill it: what fails there is why it is not up."""
    found = [f"llm-model-{service.model}"] if service.model is not None and service.engine != "ollama" else []
    found += [f"llm-image-{service.unit}"] if service.runtime == "container" else []
    found += ["ollama-model-loader"] if service.engine == "ollama" and service.models else []
    return tuple(found)


def watchdog(service: Service) -> str | None:
    """Return the unit that watches a server, named as in nix/modules/watchdog.nix; None where nothing does."""
    return f"{service.unit}-watchdog" if service.health.watchdog else None


def journal(*units: str) -> str:
    """Return the options that show several units' lines as one journal."""
    return shlex.join([word for unit in units for word in ("-u", unit)])


def look(services: tuple[Service, ...], login: str, spec: Spec) -> Iterator[str]:
    """Yield how each server of a machine is started where it has to be, watched while it loads, and asked.

    Of servers that take turns, the one that a boot starts comes last: it is the one that is left running.
    """
    taking_turns = {service.name: _rivals(service, services) for service in services}
    for service in sorted(services, key=lambda service: service.start_on_boot and bool(taking_turns[service.name])):
        yield from _look(service, taking_turns[service.name], login, spec)


def _rivals(service: Service, services: tuple[Service, ...]) -> tuple[str, ...]:
    """Return the names of those that take turns with a service, whichever of the two says so."""
    return tuple(other.name for other in services if other.name in service.conflicts or service.name in other.conflicts)


def _look(service: Service, rivals: tuple[str, ...], login: str, spec: Spec) -> Iterator[str]:
    model = spec.deployment.models.get(service.model or "")
    yield from (f"`{service.name}` ({service.engine}) loads; a large model takes minutes:", "")
    if rivals:
        names = ", ".join(f"`{name}`" for name in rivals)
        yield from (f"It takes turns with {names}: starting one stops the other. This one's turn:", "")
    yield from block(
        *([f"{login} systemctl start --no-block {service.unit}"] if rivals or not service.start_on_boot else []),
        f"{login} journalctl -f {journal(*helpers(service), service.unit)}",
    )
    if service.health.readiness:
        minutes = -(-service.health.start_limit // 60)
        yield from (
            f"Ctrl-C ends the looking and not the server. `{service.unit}` counts as started once it has answered a",
            f"question, within {minutes} minutes (`start_limit`). So long `clan machines update` waits, and so does",
            "`systemctl start` without `--no-block`.",
            "",
        )
    named = [model.repository] if model is not None else list(service.models)
    unsafe = next((name for name in named if derestricted(name)), None)
    if unsafe is not None:
        yield from (f"**Derestricted**: `{unsafe}` had its safety training removed. Let no stranger reach it.", "")
    yield from _ask(service, model, login)


def _ask(service: Service, model: Model | None, login: str) -> Iterator[str]:
    keyed = service.api_key or service.health.key_file is not None
    key, header = (key_header(service), ("--header", "@-")) if keyed else ("", ())
    url = f"http://{bracketed(asked_at(service.host), service.port)}/v1"
    name = (model.served_name or model.repository) if model is not None else next(iter(service.models), None)
    if name is None:
        yield from ("It says what it serves, and MODEL below is one of these:", "")
        listing = shlex.join(["curl", "--silent", *header, f"{url}/models"])
        yield from block(f"{login} {shlex.quote(key + listing)}")
    body = json.dumps(
        {"model": name or "MODEL", "messages": [{"role": "user", "content": "What is 2+2?"}]}, ensure_ascii=False
    )
    url = f"{url}/chat/completions"
    yield from ("It answers, and the answer holds 4. Loading is not health: only an answer is.", "")
    if keyed:  # which takes the standard input
        remote = key + shlex.join(["curl", "--silent", "--json", body, *header, url])
        yield from block(f"{login} {shlex.quote(remote)}")
    else:
        remote = shlex.join(["curl", "--silent", "--json", "@-", url])
        yield from block(f"printf %s {shlex.quote(body)} | {login} {shlex.quote(remote)}")


def hang(machine: Machine, services: tuple[Service, ...], login: str) -> Iterator[str]:
    """Yield what watches the machine's servers, what it does, and what to do where that does not help."""
    watched = [service for service in services if service.health.watchdog]
    if not watched:
        return
    yield from ("### Where a server hangs", "")
    units = [unit for service in watched if (unit := watchdog(service)) is not None]
    for service, unit in zip(watched, units, strict=True):
        yield from (f"`{unit}` watches `{service.name}`, and {_ladder(service)}.", "")
    yield from ("What it saw and did, and what the kernel says of the GPU:", "")
    driver = _RESETS.get(machine.hardware.accelerator) if machine.hardware is not None else None
    yield from block(
        f"{login} journalctl -n 50 {journal(*units)}",
        *([f"{login} journalctl -k -g {driver} -n 50"] if driver is not None else []),
    )
    yield from ("Restart by hand the one that hangs all the same; if it hangs again, boot the machine anew:", "")
    yield from block(*(f"{login} systemctl restart --no-block {service.unit}" for service in watched))
    yield from ("To keep the watchdog off for a while; `systemctl start` of the same brings it back:", "")
    yield from block(*(f"{login} systemctl stop {unit}" for unit in units))


def _ladder(service: Service) -> str:
    """Return what the watchdog does, one after the other; nix/programs has the same order."""
    health = service.health
    often = "once" if health.restarts == 1 else f"up to {health.restarts} times"
    steps = [f"restarts it {often}"] if health.restarts else []
    steps += [f"starts `{health.fallback}` in its place"] if health.fallback is not None else []
    steps += [f"reboots the machine, at most once in {health.reboot_interval_hours} hours"] if health.reboot else []
    return ", then ".join([*steps, "gives up and says so"])
