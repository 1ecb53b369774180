"""deployment.json: the normalised deployment as the static Nix reads it, defaults filled, nothing null."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from generator.catalog.models import repositories
from generator.emit.gateway import gateway_data
from generator.emit.monitoring import monitoring_data
from generator.emit.values import camel, some
from generator.spec.pins import image_name
from generator.spec.rules.engines import image_of, release_of

if TYPE_CHECKING:
    from generator.spec.load import Spec
    from generator.spec.model import Machine, Model, Source
    from generator.spec.service import Service

_MARKER = "Managed by llmflake: generated; change the spec and generate again."
SCHEMA_VERSION = 1


def deployment_data(spec: Spec) -> dict[str, Any]:
    """Return the deployment as JSON values, by the names of the Nix options."""
    deployment = spec.deployment
    return {
        "_comment": _MARKER,
        "schemaVersion": SCHEMA_VERSION,
        "clan": {"name": deployment.clan.name, "description": deployment.clan.description},
        "machines": {name: _machine(machine) for name, machine in deployment.machines.items()},
        "models": {name: _model(model) for name, model in deployment.models.items()},
        "services": {name: _service(spec, service) for name, service in deployment.services.items()},
        **({"images": images} if (images := _image_hashes(spec)) else {}),
        **({} if deployment.monitoring is None else {"monitoring": monitoring_data(spec, deployment.monitoring)}),
        **(
            {"gateways": {name: gateway_data(spec, gateway) for name, gateway in deployment.gateways.items()}}
            if deployment.gateways
            else {}
        ),
    }


def deployment_json(spec: Spec) -> str:
    """Return the text of deployment.json."""
    return json.dumps(deployment_data(spec), indent=2, ensure_ascii=False) + "\n"


def host_data(machine: Machine) -> dict[str, Any]:
    """Return ``llmflake.host`` of a machine."""
    hardware = machine.hardware
    if hardware is None:  # the rules refuse it
        raise ValueError(f"machine {machine.name} has no hardware")
    return some(
        {
            "hardware": {
                "accelerator": hardware.accelerator,
                "target": hardware.target,
                "renderNode": hardware.render_node,
            },
            "gttMiB": machine.gtt_mib,
            "gttsizeParameter": machine.gttsize_parameter,
            "iommu": machine.iommu,
            "kernelPackage": machine.kernel.package,
            "minimumKernel": machine.kernel.minimum,
            "kernelParams": list(machine.kernel.parameters),
            "udevRules": machine.udev_rules,
            "environment": machine.rocm_environment,
        }
    )


def _image_hashes(spec: Spec) -> dict[str, dict[str, str]]:
    """Return the hashes of images for the Nix store, by reference with digest, as far as the lock has them."""
    return {
        f"{image_name(image)}@{pin.digest}": dict(pin.hashes) for image, pin in spec.pins.images.items() if pin.hashes
    }


def _machine(machine: Machine) -> dict[str, Any]:
    return some(
        {
            "system": machine.system,
            "stateVersion": machine.state_version,
            "targetHost": machine.target_host,
            "tags": list(machine.tags),
            "sshKeys": list(machine.ssh_keys),
            "gpuMemoryMiB": machine.gpu_memory_mib,
            "host": host_data(machine),
        }
    )


def _model(model: Model) -> dict[str, Any]:
    known = repositories().get(model.repository)
    return some(
        {
            "name": model.name,
            "repository": model.repository,
            "revision": model.revision,
            "include": list(model.include),
            "exclude": list(model.exclude),
            "directory": model.directory,
            "file": model.file,
            "files": None
            if model.files is None
            else [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in model.files],
            "quantisation": model.quantisation or (known.format if known else None),
        }
    )


def _source(source: Source) -> dict[str, Any]:
    revision, sri = source.pinned or (source.revision, None)
    return some({source.kind: source.location, "revision": revision, "hash": sri})


def _health(spec: Spec, service: Service) -> dict[str, Any]:
    found = some({camel(name): value for name, value in asdict(service.health).items()})
    if service.health.fallback is not None:
        found["fallback"] = spec.deployment.services[service.health.fallback].unit
    return found


def _service(spec: Spec, service: Service) -> dict[str, Any]:
    machines = spec.placement.machines_of[service.name]
    images = {image_of(service, machine) for machine in machines}
    model = spec.deployment.models.get(service.model or "")
    container = service.runtime == "container"
    settings = some(
        {
            "serviceType": service.engine,
            "runtime": service.runtime,
            "unit": service.unit,
            "host": service.host,
            "port": service.port,
            "firewallInterfaces": list(service.interfaces),
            "apiKey": service.api_key,
            "autoStart": service.start_on_boot,
            "enableGPU": service.gpu,
            "conflicts": [spec.deployment.services[other].unit for other in service.conflicts],
            "models": list(service.models),
            "rollback": {"ollama": list(service.rollback_ollama)} if service.rollback_ollama else None,
            "weights": None if model is None else _model(model),
            "servedModelName": None if model is None else model.served_name or model.repository,
            "engineVersion": release_of(service, machines[0] if machines else None),
            "package": service.package,
            "source": None if service.source is None else _source(spec.deployment.sources[service.source]),
            # One image for all machines is written down; machines that differ each find theirs in nix/data.
            "containerImage": images.pop() if container and len(images) == 1 else None,
            "containerRuntime": service.container.runtime if container else None,
            "containerCommand": None if service.container.command is None else list(service.container.command),
            "containerPort": service.container.port,
            "extraArgs": list(service.extra_args),
            "extraEnv": service.extra_env,
        }
    )
    settings["health"] = _health(spec, service)
    if service.flags:
        settings[service.engine] = {camel(name): value for name, value in service.flags.items()}
    return {"machines": list(service.machines), "tags": list(service.tags), "settings": settings}
