"""RUNBOOK.md: the phases of a deployment with this deployment's values, each command as it is to be typed."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from generator.emit.alarms import alarms
from generator.emit.commits import commit, go_back
from generator.emit.operate import block, gateway, key_header, keys, rollback, verify
from generator.spec.address import asked_at, bracketed
from generator.spec.service import GATEWAY
from generator.spec.ssh import ssh_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.load import Spec
    from generator.spec.model import Machine
    from generator.spec.service import Service

_MARKER = "<!-- Managed by llmflake: generated; change the spec and generate again. -->"


def runbook(spec: Spec) -> str:
    """Return the text of RUNBOOK.md."""
    lines = [_MARKER, f"# Runbook of {spec.deployment.clan.name}", ""]
    for machine in spec.deployment.machines.values():
        lines += _machine(machine, spec.placement.services_on[machine.name], spec)
    lines += alarms(spec, {name: _login(machine) for name, machine in spec.deployment.machines.items()})
    return "\n".join(lines).rstrip() + "\n"


def _machine(machine: Machine, services: tuple[Service, ...], spec: Spec) -> Iterator[str]:
    login = _login(machine)
    yield from (f"## {machine.name}", "", "### 1. Prepare", "")
    yield from (
        "Once: let clan describe the machine's disks and devices, or put `hardware-configuration.nix` or",
        f"`disko.nix` into `machines/{machine.name}/`. What is yours goes into `machines/{machine.name}/local.nix`.",
        "Flakes see only what git knows, so this directory is a repository of its own.",
        "",
    )
    yield from block(
        "git init",
        "git add .",
        shlex.join(["clan", "machines", "update-hardware-config", machine.name]),
        "git add .",
        "nix flake check",
    )
    yield from ("### 2. Deploy", "")
    yield from block(
        *commit(spec.deployment.clan.name),
        shlex.join(["clan", "machines", "update", machine.name]),
    )
    if machine.gtt_mib is not None or machine.kernel.package is not None:
        yield from ("The kernel and its parameters take effect after a reboot.", "")
        yield from block(f"{login} reboot")
    yield from (
        "### 3. Verify",
        "",
        "All of it at once, where SPEC is the file that this was generated from; below are the steps by hand:",
        "",
    )
    yield from verify(machine, services, login)
    yield from _system(machine, login)
    for service in services:
        yield from _service(service, login, spec)
    front = next((found for found in spec.deployment.gateways.values() if found.machine == machine.name), None)
    if front is not None:
        behind = [service for service in spec.deployment.services.values() if GATEWAY in service.expose]
        yield from gateway(front, machine, tuple(behind))
    yield from keys(machine, services, front)
    others = tuple(name for name in spec.deployment.machines if name != machine.name)
    back = [*go_back(spec.deployment.clan.name, machine.name, others), *_images(services)]
    yield from rollback(services, login, back)


def _images(services: tuple[Service, ...]) -> Iterator[str]:
    for service in services:
        if service.runtime == "container":
            previous = f"`localhost/llmflake/{service.unit}:previous`"
            yield from (f"The image of before is still there, as {previous}: this needs no registry.", "")


def _login(machine: Machine) -> str:
    return shlex.join(["ssh", *ssh_target(machine.target_host or machine.name)])


def _system(machine: Machine, login: str) -> Iterator[str]:
    if machine.kernel.minimum is not None:
        yield from (f"The kernel is {machine.kernel.minimum} or newer:", "")
        yield from block(f"{login} uname -r")
    if machine.gtt_mib is not None:
        yield from (f"The GPU may take {machine.gtt_mib * 1024 * 1024} bytes ({machine.gtt_mib} MiB):", "")
        yield from block(f"{login} 'cat /sys/class/drm/card*/device/mem_info_gtt_total'")
    if machine.hardware is not None and machine.hardware.accelerator == "rocm":
        yield from (f"ROCm sees {machine.hardware.target}:", "")
        yield from block(f"{login} rocminfo", f"{login} rocm-smi")
    if machine.hardware is not None and machine.hardware.accelerator == "cuda":
        yield from ("The driver sees the GPU:", "")
        yield from block(f"{login} nvidia-smi")


def _service(service: Service, login: str, spec: Spec) -> Iterator[str]:
    model = spec.deployment.models.get(service.model or "")
    yield from (f"`{service.name}` ({service.engine}) loads; a large model takes minutes:", "")
    commands = [f"{login} journalctl -u {service.unit} -f"]
    if service.runtime == "container":
        commands.insert(0, f"{login} journalctl -u llm-image-{service.unit} -f")
    if model is not None:
        commands.insert(0, f"{login} journalctl -u llm-model-{model.name} -f")
    if not service.start_on_boot:
        commands.insert(0, f"{login} systemctl start {service.unit}")
    yield from block(*commands)
    name = (model.served_name or model.repository) if model is not None else next(iter(service.models), None)
    if name is None:
        return
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "What is 2+2?"}]}, ensure_ascii=False)
    ask = [
        *("curl", "--silent", "--header", "Content-Type: application/json", "--data", body),
        *(("--header", "@-") if service.api_key else ()),
        f"http://{bracketed(asked_at(service.host), service.port)}/v1/chat/completions",
    ]
    key = key_header(service) if service.api_key else ""
    yield from ("It answers, and the answer holds 4. Loading is not health: only an answer is.", "")
    yield from block(f"{login} {shlex.quote(key + shlex.join(ask))}")
