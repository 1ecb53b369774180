"""What a lock says: the commit, digest or hash for each name of the spec that could mean something else tomorrow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.spec.model import Deployment, Model, Source

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"(?P<name>[^@]+)@(?P<digest>sha256:[0-9a-f]{64})")
DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class FilePin:
    """A file of a model: its path in the repository, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelPin:
    """A model at one commit. ``files`` is None where they are not established: the machine asks the hub then."""

    repository: str
    requested: str
    revision: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    files: tuple[FilePin, ...] | None

    def fits(self, model: Model) -> bool:
        """Return whether this pins what the spec asks for."""
        return (self.repository, self.requested, self.include, self.exclude) == (
            model.repository,
            model.revision,
            model.include,
            model.exclude,
        )


@dataclass(frozen=True, slots=True)
class ImagePin:
    """A container image: its digest, and by platform ("amd64") the SRI hash that ``dockerTools.pullImage`` checks."""

    digest: str
    hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourcePin:
    """Source code: an archive by its URL, or a commit of a git repository; ``hash`` is SRI."""

    kind: str  # "url" or "git"
    location: str
    requested: str | None
    revision: str | None
    hash: str

    def fits(self, source: Source) -> bool:
        """Return whether this pins what the spec asks for."""
        return (self.kind, self.location, self.requested) == (source.kind, source.location, source.revision)


@dataclass(frozen=True, slots=True)
class Pins:
    """A lock: images by their reference in the spec, flake inputs as nodes of flake.lock; ``text`` is the file's."""

    models: Mapping[str, ModelPin] = field(default_factory=dict)
    images: Mapping[str, ImagePin] = field(default_factory=dict)
    sources: Mapping[str, SourcePin] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    text: str | None = None


def is_commit(revision: str) -> bool:
    """Return whether a revision is a commit, and not a branch or a tag."""
    return _COMMIT.fullmatch(revision) is not None


def digest_of(image: str) -> str | None:
    """Return the digest of an image reference, if it has one."""
    match = _DIGEST.fullmatch(image)
    return match["digest"] if match else None


def image_name(image: str) -> str:
    """Return an image reference without tag and digest, and with its registry.

    >>> image_name("rocm/vllm:latest"), image_name("127.0.0.1:5000/a@sha256:00")
    ('docker.io/rocm/vllm', '127.0.0.1:5000/a')
    """
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = DOCKER_HUB, name
    path = rest.partition(":")[0]
    return f"{first}/{path}" if "/" in path or first != DOCKER_HUB else f"{first}/library/{path}"


def image_tag(image: str) -> str | None:
    """Return the tag of an image reference, if it has one."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2] or None


def apply(deployment: Deployment, pins: Pins) -> Deployment:
    """Return the deployment with each branch and tag replaced by what the lock says, as far as it says something."""
    models = {name: _model(model, pins) for name, model in deployment.models.items()}
    sources = {
        name: replace(source, pinned=(pin.revision, pin.hash))
        if (pin := pins.sources.get(name)) and pin.fits(source)
        else source
        for name, source in deployment.sources.items()
    }
    services = {
        name: replace(service, container=replace(service.container, image=_image(service.container.image, pins)))
        for name, service in deployment.services.items()
    }
    return replace(deployment, models=models, sources=sources, services=services)


def _model(model: Model, pins: Pins) -> Model:
    pin = pins.models.get(model.name)
    return replace(model, revision=pin.revision, files=pin.files) if pin and pin.fits(model) else model


def _image(image: str | None, pins: Pins) -> str | None:
    if image is None:
        return None
    digest = digest_of(image)
    if digest is None and image in pins.images:
        digest = pins.images[image].digest
    # Podman refuses a reference with both.
    return f"{image_name(image)}@{digest}" if digest and image_tag(image) else image
