"""What an engine needs and can do: on this hardware, from this image, with these weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog.load import images, version_key, vllm_releases
from generator.catalog.models import format_names, repositories, weight_format
from generator.spec.pins import digest_of, image_name, image_tag
from generator.spec.rules.finding import Finding, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.catalog.load import ImageRecord, ReleaseRange
    from generator.spec.model import Machine, Model
    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

_WILDCARDS = frozenset({"0.0.0.0", "::", "*"})  # noqa: S104 - they are refused, not bound


def check(context: Context) -> Iterator[Finding]:
    """Yield what does not go together in a service, and what its machines cannot run."""
    for model in context.deployment.models.values():
        yield from _quantisation(model)
    for service in context.deployment.services.values():
        yield from _model(context, service)
        yield from _runtime(service)
        yield from _container(service)
        yield from _hardware(context, service)


def release_of(service: Service, machine: Machine | None = None) -> str | None:
    """Return the engine's release: as the spec says, else as its image is known for, else None."""
    if service.version is not None:
        return service.version
    image = image_of(service, machine)
    if image is None:
        return None
    digest = digest_of(image)
    return next((known.release for known in images() if _is(known, image, digest)), None)


def _is(known: ImageRecord, image: str, digest: str | None) -> bool:
    """Return whether an image is a known one: by its digest, or while it is not pinned by its name and tag."""
    if digest is not None:
        return digest_of(known.reference) == digest
    return (image_name(known.reference), known.tag) == (image_name(image), image_tag(image))


def image_of(service: Service, machine: Machine | None) -> str | None:
    """Return a container service's image: the spec's, else the one known to work on the machine's GPU, else None."""
    if service.runtime != "container":
        return None
    if service.container.image is not None:
        return service.container.image
    if machine is None or machine.hardware is None or machine.hardware.target is None:
        return None
    return next(
        (
            known.reference
            for known in images()
            if known.default and known.engine == service.engine and machine.hardware.target in known.targets
        ),
        None,
    )


def verdict(release: str, target: str, quantisation: str) -> ReleaseRange | None:
    """Return what is known of a vLLM release with weights on a GPU; nix/lib/releases.nix decides the same way."""
    key = version_key(release)
    for known in vllm_releases():
        if (
            known.target == target
            and known.quantisation == quantisation
            and (not known.from_ or key >= version_key(known.from_))
            and (not known.before or key < version_key(known.before))
        ):
            return known
    return None


def _model(context: Context, service: Service) -> Iterator[Finding]:
    here = ("services", service.name)
    if service.engine == "ollama":
        if service.model is not None:
            yield Finding((*here, "model"), "Ollama has its own models", 'use models = ["name:tag"]', key=True)
        return
    if service.models:
        yield Finding((*here, "models"), "only Ollama takes models", "use model and a [models] entry", key=True)
    if service.model is None:
        if service.engine != "openai-compatible":
            yield Finding(here, f"{service.engine} has no model to serve", 'add model = "…"', key=True)
        return
    model = context.deployment.models.get(service.model)
    if model is None:
        return
    if service.engine == "openai-compatible":
        yield Finding(
            (*here, "model"),
            "an openai-compatible container is told its model by its own arguments",
            "leave model out and use extra_args",
            key=True,
        )
    elif service.engine == "llamacpp" and (model.format != "gguf" or model.file is None):
        yield Finding(
            (*here, "model"),
            f'llama.cpp loads one GGUF file, and model "{model.name}" names none',
            'choose a model with format = "gguf" and file = "….gguf"',
        )
    elif service.engine == "vllm" and model.format != "safetensors":
        yield Finding(
            (*here, "model"),
            f'vLLM cannot load the GGUF files of "{model.name}" well',
            "choose safetensors, or llamacpp",
        )


def _quantisation(model: Model) -> Iterator[Finding]:
    """Yield a name that is nearly a known one: rules for that would not be seen to hold."""
    given = model.quantisation
    if given is None or weight_format(given, model.format) is not None:
        return
    like = suggestion(given, {name.replace("-", "_") for name in format_names(model.format)}, "")
    if like.startswith("did you mean"):
        yield Finding(("models", model.name, "quantisation"), f'no format of weights is known as "{given}"', like)


def _runtime(service: Service) -> Iterator[Finding]:
    here = ("services", service.name)
    container = service.container
    for table in service.other_tables:
        yield Finding((*here, table), f"the engine is {service.engine}, not {table}", "leave the table out", key=True)
    if service.runtime == "native" and service.engine == "openai-compatible":
        yield Finding((*here, "runtime"), "an openai-compatible service is a container", "leave runtime out")
    if service.runtime == "container" and service.engine == "ollama":
        yield Finding((*here, "runtime"), "Ollama runs natively here, through services.ollama", "leave runtime out")
    if service.runtime == "native" and (container.image or container.command or container.port):
        yield Finding(
            (*here, "container"),
            "a native service has no container",
            'leave it out, or set runtime = "container"',
            key=True,
        )
    if service.package != "nixpkgs" and (service.runtime != "native" or service.engine != "vllm"):
        yield Finding((*here, "package"), "package is for a native vLLM", 'set runtime = "native", or leave it out')
    if service.source is not None and (service.runtime != "native" or service.engine != "llamacpp"):
        yield Finding((*here, "source"), "source is for a native llama.cpp", "leave it out", key=True)
    if service.engine == "ollama" and service.unit != "ollama":
        yield Finding((*here, "unit"), "services.ollama has one unit, ollama.service", "leave unit out")


def _container(service: Service) -> Iterator[Finding]:
    here = ("services", service.name)
    container = service.container
    if service.engine == "openai-compatible" and service.runtime == "container" and container.image is None:
        yield Finding(
            here, "no container image", 'add container.image = "registry/name@sha256:<64 hex digits>"', key=True
        )
    if container.port is not None:
        if service.engine != "openai-compatible":
            yield Finding(
                (*here, "container", "port"),
                f"{service.engine} is told where to listen",
                "leave the container's port out",
            )
        elif service.host in _WILDCARDS:
            yield Finding(
                (*here, "host"),
                "a published container port bypasses the firewall, so every network would reach it",
                "set host to 127.0.0.1 or to the address of one interface",
            )


def _known_release(service: Service, machine: Machine) -> Iterator[Finding]:
    """Yield a release that is not the one of the image."""
    image = image_of(service, machine)
    known = None if image is None else next((one for one in images() if _is(one, image, digest_of(image))), None)
    if known is not None and service.version not in {None, known.release}:
        yield Finding(
            ("services", service.name, "version"),
            f"the image is {service.engine} {known.release}, not {service.version}",
            "leave version out, or name the image of that release",
        )


def _hardware(context: Context, service: Service) -> Iterator[Finding]:
    here = ("services", service.name)
    model = context.deployment.models.get(service.model or "")
    for machine in context.placement.machines_of[service.name]:
        if machine.hardware is None:
            continue
        yield from _known_release(service, machine)
        accelerator = machine.hardware.accelerator if service.gpu else "cpu"
        backend = service.flags.get("backend")
        if service.engine == "llamacpp" and backend is not None and backend not in _BACKENDS[accelerator]:
            yield Finding(
                (*here, "llamacpp", "backend"),
                f"{machine.name} computes with {accelerator}, which cannot run {backend}",
                f"use {' or '.join(_BACKENDS[accelerator])}, or leave it out",
            )
        size = service.flags.get("tensor_parallel_size", 1)
        if service.engine == "vllm" and size > 1 and machine.hardware.unified:
            yield Finding(
                (*here, "vllm", "tensor_parallel_size"), f"{machine.name} has one GPU, not {size}", "set it to 1"
            )
        if (
            service.engine in {"vllm", "llamacpp"}
            and service.runtime == "container"
            and image_of(service, machine) is None
        ):
            yield Finding(
                here,
                f"no {service.engine} image is known for {machine.hardware.target or 'a CPU'} ({machine.name})",
                'add container.image = "registry/name@sha256:<64 hex digits>", or set runtime = "native"',
                key=True,
            )
        elif service.engine == "vllm":
            yield from _release(service, machine, model)


_BACKENDS = {
    "rocm": ("vulkan", "rocm", "cpu"),
    "cuda": ("cuda", "vulkan", "cpu"),
    "metal": ("metal", "cpu"),
    "cpu": ("cpu",),
}


def _release(service: Service, machine: Machine, model: Model | None) -> Iterator[Finding]:
    if model is None or machine.hardware is None or machine.hardware.target is None or not service.gpu:
        return
    target = machine.hardware.target
    known = repositories().get(model.repository)
    quantisation = model.quantisation or (known.format if known else None)
    if quantisation is None:
        return
    release = release_of(service, machine)
    here = ("services", service.name)
    if release is None:
        ranges = [entry for entry in vllm_releases() if (entry.target, entry.quantisation) == (target, quantisation)]
        if service.runtime == "container" and any(entry.status == "broken" for entry in ranges):
            yield Finding(
                (*here, "container", "image"),
                f"not every vLLM can compute {quantisation} on {target}, and this image's release is not known",
                f'add version = "…" to the service; {ranges[0].good} works',
            )
        return
    found = verdict(release, target, quantisation)
    if found is not None and found.status == "broken":
        where = "version" if service.version is not None else "container"
        yield Finding(
            (*here, where),
            f"vLLM {release} cannot compute {quantisation} on {target} ({machine.name}): {found.reason}",
            f"use vLLM {found.good} ({found.source})",
        )
