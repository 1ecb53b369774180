"""The deployment as frozen dataclasses: what the spec says, defaults filled, references still names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.catalog.load import HardwareRecord, hardware
from generator.spec import monitoring
from generator.spec.gateway import Gateway, build_gateway
from generator.spec.service import Service, build_service

if TYPE_CHECKING:
    from generator.spec.pins import FilePin


@dataclass(frozen=True, slots=True)
class Clan:
    """The clan that the machines belong to."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Kernel:
    """A machine's kernel: nixpkgs name, oldest accepted version, further parameters."""

    package: str | None
    minimum: str | None
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that holds the models: MiB a second that it reads, GiB that are free; None where not known."""

    read_mib_s: int | None
    free_gib: float | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A NixOS machine. ``hardware`` is None when the catalog does not know ``hardware_name``."""

    name: str
    hardware_name: str | None
    hardware: HardwareRecord | None
    system: str
    state_version: str | None
    target_host: str | None
    tags: tuple[str, ...]
    ssh_keys: tuple[str, ...]
    gtt_mib: int | None
    gttsize_parameter: bool
    iommu: str
    kernel: Kernel
    udev_rules: bool
    rocm_environment: dict[str, str]
    disk: Disk
    interfaces: dict[str, str]

    @property
    def gpu_memory_mib(self) -> int | None:
        """MiB that the GPU can use: the GTT limit of a unified memory, half of it where none is set, else its own.

        Of a unified memory it can use what the system sees: the firmware's part is nobody's.
        """
        hardware = self.hardware
        if hardware is None or hardware.accelerator == "cpu":
            return None
        if not hardware.unified:
            return hardware.memory_mib
        seen = hardware.visible_mib or hardware.memory_mib
        if hardware.accelerator != "rocm":
            return seen
        return self.gtt_mib if self.gtt_mib is not None else seen // 2


@dataclass(frozen=True, slots=True)
class Model:
    """Files of one repository at one commit; ``files`` are those of the lock, None where they are not established."""

    name: str
    repository: str
    revision: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    file: str | None
    served_name: str | None
    format: str
    quantisation: str | None
    size_gib: float | None
    shape: str | None
    directory: str
    files: tuple[FilePin, ...] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Source code: an archive ("url") or a repository ("git"); ``pinned`` are commit and SRI hash of the lock."""

    name: str
    kind: str
    location: str
    revision: str | None
    pinned: tuple[str | None, str] | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that one spec file says."""

    clan: Clan
    machines: dict[str, Machine]
    models: dict[str, Model]
    sources: dict[str, Source]
    services: dict[str, Service]
    gateways: dict[str, Gateway]
    monitoring: monitoring.Monitoring | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Which machines run a service, and which services run on a machine, each sorted by name."""

    machines_of: dict[str, tuple[Machine, ...]]
    services_on: dict[str, tuple[Service, ...]]


def place(deployment: Deployment) -> Placement:
    """Say where services run: on machines that they name, and on those that have one of their tags.

    clan gives every machine the tags all and nixos.
    """
    by_tag: dict[str, list[str]] = {"all": list(deployment.machines), "nixos": list(deployment.machines)}
    for machine in deployment.machines.values():
        for tag in machine.tags:
            by_tag.setdefault(tag, []).append(machine.name)
    machines_of = {}
    services_on: dict[str, list[Service]] = {name: [] for name in deployment.machines}
    for service in deployment.services.values():
        names = {name for name in service.machines if name in deployment.machines}
        names.update(name for tag in service.tags for name in by_tag.get(tag, ()))
        machines_of[service.name] = tuple(deployment.machines[name] for name in sorted(names))
        for name in names:
            services_on[name].append(service)
    return Placement(machines_of, {name: tuple(services) for name, services in services_on.items()})


COPIES = ("original/*", "metal/*")
"""Folders in which some repositories hold the same weights again, in formats that no engine here loads."""


def _machine(name: str, data: dict[str, Any]) -> Machine:
    named = data["hardware"] if isinstance(data["hardware"], str) else None
    kernel = data.get("kernel", {})
    return Machine(
        name=name,
        hardware_name=named,
        hardware=hardware().get(named) if named else _inline_hardware(data["hardware"]),
        system=data.get("system", "x86_64-linux"),
        state_version=data.get("state_version"),
        target_host=data.get("target_host"),
        tags=tuple(data.get("tags", ())),
        ssh_keys=tuple(data.get("ssh_keys", ())),
        gtt_mib=data.get("gtt_mib"),
        gttsize_parameter=data.get("gttsize_parameter", False),
        iommu=data.get("iommu", "default"),
        kernel=Kernel(kernel.get("package"), kernel.get("minimum"), tuple(kernel.get("parameters", ()))),
        udev_rules=data.get("udev_rules", True),
        rocm_environment=dict(sorted(data.get("rocm_environment", {}).items())),
        disk=Disk(data.get("disk", {}).get("read_mib_s"), data.get("disk", {}).get("free_gib")),
        interfaces=dict(data.get("interfaces", {})),
    )


def _inline_hardware(data: dict[str, Any]) -> HardwareRecord:
    return HardwareRecord(
        accelerator=data["accelerator"],
        target=data.get("target"),
        memory_mib=data["memory_mib"],
        unified=data.get("unified", False),
        render_node=data.get("render_node", "/dev/dri/renderD128"),
        visible_mib=data.get("visible_mib"),
        bandwidth_gbs=data.get("bandwidth_gbs"),
    )


def _model(name: str, data: dict[str, Any]) -> Model:
    return Model(
        name=name,
        repository=data["repository"],
        revision=data.get("revision", "main"),
        include=tuple(data.get("include", ())),
        exclude=tuple(data.get("exclude", COPIES)),
        file=data.get("file"),
        served_name=data.get("served_name"),
        format=data["format"],
        quantisation=data.get("quantisation"),
        size_gib=data.get("size_gib"),
        shape=data.get("shape"),
        directory=data.get("directory", f"/var/lib/llm/models/{name}"),
    )


def _source(name: str, data: dict[str, Any]) -> Source:
    if "url" in data:
        return Source(name, "url", data["url"], None)
    return Source(name, "git", data["git"], data.get("revision", "HEAD"))


def build(data: dict[str, Any]) -> Deployment:
    """Build the deployment from data that satisfies the schema."""
    clan = data["clan"]
    return Deployment(
        clan=Clan(clan["name"], clan.get("description", "")),
        machines={name: _machine(name, entry) for name, entry in sorted(data["machines"].items())},
        models={name: _model(name, entry) for name, entry in sorted(data.get("models", {}).items())},
        sources={name: _source(name, entry) for name, entry in sorted(data.get("sources", {}).items())},
        services={name: build_service(name, entry) for name, entry in sorted(data["services"].items())},
        monitoring=monitoring.build(data["monitoring"]) if "monitoring" in data else None,
        gateways={name: build_gateway(name, entry) for name, entry in sorted(data.get("gateways", {}).items())},
    )
