"""Whether a lock covers a deployment: what is missing in it, what has changed since, and what it leaves open."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from generator.spec.pins import digest_of, is_commit
from generator.spec.rules.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.model import Deployment, Model, Source
    from generator.spec.pins import ModelPin, Pins, SourcePin


def lock_command(spec: str, lock: str | None = None) -> str:
    """Return the command that pins what a spec names; ``lock`` where the lock is not beside the spec."""
    return shlex.join(["llmflake", "lock", spec, *(["--lock", lock] if lock else [])])


def gaps(deployment: Deployment, pins: Pins, command: str) -> Iterator[Finding]:
    """Yield what the spec names and the lock does not pin; ``deployment`` is as the spec says it."""
    run = f"run {command}"
    for model in deployment.models.values():
        yield from _model(model, pins.models.get(model.name), run)
    for service in deployment.services.values():
        if service.container.image is not None:
            path = ("services", service.name, "container", "image")
            yield from _image(path, service.container.image, pins, run)
    for source in deployment.sources.values():
        yield from _source(source, pins.sources.get(source.name), run)


def _model(model: Model, pin: ModelPin | None, run: str) -> Iterator[Finding]:
    here = ("models", model.name)
    if pin is None:
        yield Finding(here, "this model is not in the lock", run, key=True)
    elif not pin.fits(model):
        yield Finding(here, f"the lock pins something else: {pin.repository} at {pin.requested}", run, key=True)
    elif is_commit(model.revision) and pin.revision != model.revision:
        what = f"this is commit {model.revision}, and the lock says {pin.revision}"
        yield Finding((*here, "revision"), what, run)


def _image(path: tuple[str, ...], image: str, pins: Pins, run: str) -> Iterator[Finding]:
    pin = pins.images.get(image)
    digest = digest_of(image)
    if pin is None and digest is None:
        yield Finding(path, "this image is not in the lock", run)
    elif pin is not None and digest is not None and pin.digest != digest:
        yield Finding(path, f"this is digest {digest}, and the lock says {pin.digest}", run)


def _source(source: Source, pin: SourcePin | None, run: str) -> Iterator[Finding]:
    here = ("sources", source.name)
    if pin is None:
        yield Finding(here, "this source is not in the lock", run, key=True)
    elif not pin.fits(source):
        yield Finding(here, f"the lock pins something else: {pin.location}", run, key=True)
    elif source.revision and is_commit(source.revision) and pin.revision != source.revision:
        yield Finding((*here, "revision"), f"this is commit {source.revision}, and the lock says {pin.revision}", run)


def notes(deployment: Deployment, pins: Pins, command: str) -> list[str]:
    """Return what a lock that covers a deployment leaves open, a line each."""
    return [
        f"models.{name}: the lock has its commit and not its files' hashes; the machine takes them from the hub; "
        f"{command} pins them"
        for name in deployment.models
        if name in pins.models and pins.models[name].files is None
    ]
