"""RUNBOOK.md: the phases of a deployment with this deployment's values, each command as it is to be typed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from generator.emit.alarms import alarms
from generator.emit.commits import commit, go_back
from generator.emit.look import hang, look
from generator.emit.operate import block, gateway, keys, rollback, verify
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
    yield from (
        "It ends with 0 where all of it is accepted, with 1 where a criterion failed, and with 2 where none failed and",
        "something could not be checked. Of each criterion that did not pass its report says what to do: do that, and",
        "verify again. Where that does not help, roll back (section 4 below; section 9 of the plan).",
        "",
    )
    yield from _system(machine, services, login)
    yield from look(services, login, spec)
    front = next((found for found in spec.deployment.gateways.values() if found.machine == machine.name), None)
    if front is not None:
        behind = [service for service in spec.deployment.services.values() if GATEWAY in service.expose]
        yield from gateway(front, machine, tuple(behind))
    yield from keys(machine, services, front)
    yield from hang(machine, services, login)
    others = tuple(name for name in spec.deployment.machines if name != machine.name)
    back = [*go_back(spec.deployment.clan.name, machine.name, others), *_images(services)]
    monitoring = spec.deployment.monitoring
    elsewhere = () if monitoring is None else tuple(name for name in monitoring.machines if name != machine.name)
    yield from rollback(services, login, back, elsewhere)


def _computes_with_rocm(service: Service) -> bool:
    """Return whether a server of an AMD machine links ROCm: nix/modules/strix-halo.nix has hipconfig for the same."""
    backend = (service.flags.get("backend") or "vulkan") if service.engine == "llamacpp" else "rocm"
    return service.runtime == "native" and service.gpu and backend == "rocm"


def _images(services: tuple[Service, ...]) -> Iterator[str]:
    for service in services:
        if service.runtime == "container":
            previous = f"`localhost/llmflake/{service.unit}:previous`"
            yield from (f"The image of before is still there, as {previous}: this needs no registry.", "")


def _login(machine: Machine) -> str:
    return shlex.join(["ssh", *ssh_target(machine.target_host or machine.name)])


def _system(machine: Machine, services: tuple[Service, ...], login: str) -> Iterator[str]:
    if machine.kernel.minimum is not None:
        yield from (f"The kernel is {machine.kernel.minimum} or newer:", "")
        yield from block(f"{login} uname -r")
    if machine.gtt_mib is not None:
        yield from (f"The GPU may take {machine.gtt_mib * 1024 * 1024} bytes ({machine.gtt_mib} MiB):", "")
        yield from block(f"{login} 'cat /sys/class/drm/card*/device/mem_info_gtt_total'")
    if machine.hardware is not None and machine.hardware.accelerator == "rocm":
        yield from (f"ROCm sees {machine.hardware.target}:", "")
        yield from block(f"{login} rocminfo", f"{login} rocm-smi")
        if any(map(_computes_with_rocm, services)):
            yield from ("HIP, which the engine links, finds what it needs:", "")
            yield from block(f"{login} hipconfig --check")
    if machine.hardware is not None and machine.hardware.accelerator == "cuda":
        yield from ("The driver sees the GPU:", "")
        yield from block(f"{login} nvidia-smi")
