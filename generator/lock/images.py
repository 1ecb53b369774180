"""The container images that a deployment runs, and their hashes for the Nix store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from generator import nix
from generator.lock import pool
from generator.lock.limits import DOWNLOAD
from generator.spec.pins import image_name
from generator.spec.rules.engines import image_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.spec.load import Spec
    from generator.spec.pins import Pins

ARCHITECTURES = {"x86_64-linux": "amd64", "aarch64-linux": "arm64"}


@dataclass(frozen=True, slots=True)
class Users:
    """The services that run an image, and the architectures that it must have."""

    names: frozenset[str]
    architectures: frozenset[str]


def images_of(spec: Spec) -> dict[str, Users]:
    """Return the container images that a deployment runs, by their references: the spec's, or the catalog's."""
    found: dict[str, Users] = {}
    for service in spec.deployment.services.values():
        for machine in spec.placement.machines_of[service.name]:
            image = image_of(service, machine)
            if image is not None:
                users = found.get(image, Users(frozenset(), frozenset()))
                found[image] = Users(
                    users.names | {service.name}, users.architectures | {ARCHITECTURES[machine.system]}
                )
    return dict(sorted(found.items()))


def with_hashes(spec: Spec, pins: Pins, seconds: float, progress: Callable[[str, int, int], None]) -> Pins:
    """Return the lock with the hash of every image for every architecture that runs it: downloads the images."""
    jobs = {
        f"hash of {image} {architecture}": partial(
            nix.prefetch_docker,
            image_name(image),
            pins.images[image].digest,
            architecture,
            timeout=seconds * DOWNLOAD,
        )
        for image, users in images_of(spec).items()
        for architecture in sorted(users.architectures - pins.images[image].hashes.keys())
    }
    hashes = pool.run(jobs, progress, workers=1)
    images = {
        image: replace(
            pin,
            hashes={
                **pin.hashes,
                **{
                    architecture: hashes[f"hash of {image} {architecture}"]
                    for architecture in ARCHITECTURES.values()
                    if f"hash of {image} {architecture}" in hashes
                },
            },
        )
        for image, pin in pins.images.items()
    }
    return replace(pins, images=images)
