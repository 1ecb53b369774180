"""From a spec and its old lock to a new one: what is pinned stays as it is, what is not is looked up."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from generator import nix
from generator.emit import inputs
from generator.errors import Location, LockError, Problem
from generator.lock import pool
from generator.lock.hub import Hub
from generator.lock.images import images_of, with_hashes
from generator.lock.inputs import renew
from generator.lock.limits import DEFAULT_SECONDS, DOWNLOAD, Limits
from generator.lock.registry import Registries
from generator.spec.pins import ImagePin, ModelPin, Pins, SourcePin, digest_of, is_commit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from generator.lock.hub import Listed
    from generator.spec.load import Spec
    from generator.spec.model import Model, Source

    Job = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Options:
    """How to lock: ``update`` names entries to renew; ``seconds`` is the time limit of a host."""

    update: frozenset[str] = frozenset()
    offline: bool = False
    image_hashes: bool = False
    seconds: float = DEFAULT_SECONDS
    endpoint: str | None = None
    progress: Callable[[str, int, int], None] = field(default=lambda _name, _done, _all: None)


def resolve(spec: Spec, old: Pins, options: Options) -> Pins:
    """Return the lock of a spec, which was loaded without one: every entry of it, and none besides.

    Raises LockError with everything that could not be resolved, or that ``update`` names and nothing has.
    """
    names = input_names(spec)
    _require_known(spec, names, options.update)
    limits = Limits(options.seconds)
    hub, registries = Hub(limits, options.endpoint), Registries(limits)
    models = {
        name: model
        for name, model in spec.deployment.models.items()
        if _stale_model(model, old.models.get(name), options)
    }
    images = {name: users for name, users in images_of(spec).items() if _stale_image(name, users.names, old, options)}
    sources = {
        name: source
        for name, source in spec.deployment.sources.items()
        if _stale_source(source, old.sources.get(name), options)
    }
    renewed = sorted(set(names) & options.update)
    if options.offline:
        _refuse_offline([*_unknown_models(models, old, options.update), *images, *sources, *renewed], spec)
    jobs: dict[str, Job] = (
        {}
        if options.offline
        else {
            **{f"model {name}": partial(_listing, hub, model) for name, model in models.items()},
            **{
                f"image {name}": partial(registries.digest, name, users.architectures) for name, users in images.items()
            },
            **{f"source {name}": partial(_source, source, options.seconds) for name, source in sources.items()},
            **{f"input {name}": partial(_input, spec, name, old, options.seconds) for name in renewed},
        }
    )
    found = pool.run(jobs, options.progress)
    pins = Pins(
        models={
            **{name: old.models[name] for name in spec.deployment.models if name not in models},
            **{name: _open(model, old) for name, model in models.items() if options.offline},
            **_models(hub, models, found, options),
        },
        images={
            name: ImagePin(found[f"image {name}"], {})
            if f"image {name}" in found
            else old.images.get(name) or ImagePin(digest_of(name) or "", {})
            for name in images_of(spec)
        },
        sources={
            name: found[f"source {name}"] if f"source {name}" in found else old.sources[name]
            for name in spec.deployment.sources
        },
        inputs={
            name: found[f"input {name}"] if f"input {name}" in found else old.inputs[name]
            for name in names
            if f"input {name}" in found or name in old.inputs
        },
    )
    return with_hashes(spec, pins, options.seconds, options.progress) if options.image_hashes else pins


def input_names(spec: Spec) -> list[str]:
    """Return the names of the generated flake's inputs."""
    return inputs.input_names(
        strix_halo=any(service.package == "nix-strix-halo" for service in spec.deployment.services.values())
    )


def _require_known(spec: Spec, names: list[str], update: frozenset[str]) -> None:
    deployment = spec.deployment
    known = [*deployment.models, *deployment.services, *deployment.sources, *images_of(spec), *names]
    problems = []
    for name in sorted(update - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(known)}"
        problems.append(Problem(Location(spec.source.name), "", f'nothing here is named "{name}"', hint))
    if problems:
        raise LockError(tuple(problems))


def _stale_model(model: Model, pin: ModelPin | None, options: Options) -> bool:
    if pin is None or not pin.fits(model) or model.name in options.update:
        return True
    # What is to be resolved is tried again whenever everything is looked at.
    return pin.files is None and not options.offline and not options.update


def _stale_image(image: str, services: frozenset[str], old: Pins, options: Options) -> bool:
    if digest_of(image) is not None:
        return False
    return image not in old.images or bool((services | {image}) & options.update)


def _stale_source(source: Source, pin: SourcePin | None, options: Options) -> bool:
    return pin is None or not pin.fits(source) or source.name in options.update


def _unknown_models(models: dict[str, Model], old: Pins, update: frozenset[str]) -> Iterator[str]:
    """Yield the models whose commit is not known without a network, or that are to be renewed."""
    for name, model in models.items():
        if name in update or not (is_commit(model.revision) or (name in old.models and old.models[name].fits(model))):
            yield name


def _refuse_offline(names: list[str], spec: Spec) -> None:
    if names:
        hint = "leave out --offline, or name a commit or digest"
        what = "this cannot be looked up without a network"
        raise LockError(tuple(Problem(Location(spec.source.name), name, what, hint) for name in names))


def _open(model: Model, old: Pins) -> ModelPin:
    """Return a model's pin without its files: they are to be resolved."""
    pin = old.models.get(model.name)
    revision = pin.revision if pin is not None and pin.fits(model) else model.revision
    return ModelPin(model.repository, model.revision, revision, model.include, model.exclude, None)


def _listing(hub: Hub, model: Model) -> tuple[str, tuple[Listed, ...]]:
    commit = hub.commit(model.repository, model.revision)
    if is_commit(model.revision) and commit != model.revision:
        what = f"the hub says that commit {model.revision} is {commit}"
        raise LockError((Problem(Location(model.repository), "", what, "correct the revision"),))
    return commit, hub.files(model.repository, commit, model.include, model.exclude)


def _models(hub: Hub, models: dict[str, Model], found: dict[str, Any], options: Options) -> dict[str, ModelPin]:
    listings = {name: found[f"model {name}"] for name in models if f"model {name}" in found}
    jobs = {
        f"{name}: {file.path}": partial(hub.pin, models[name].repository, commit, file)
        for name, (commit, files) in listings.items()
        for file in files
    }
    pins = pool.run(jobs, options.progress)
    return {
        name: ModelPin(
            models[name].repository,
            models[name].revision,
            commit,
            models[name].include,
            models[name].exclude,
            tuple(pins[f"{name}: {file.path}"] for file in files),
        )
        for name, (commit, files) in listings.items()
    }


def _source(source: Source, seconds: float) -> SourcePin:
    if source.kind == "url":
        hashed = nix.prefetch_file(source.location, timeout=seconds * DOWNLOAD)
        return SourcePin("url", source.location, None, None, hashed)
    requested = source.revision or "HEAD"
    commit = requested if is_commit(requested) else nix.resolve_git(source.location, requested, timeout=seconds)
    pin = nix.prefetch_git(source.location, commit, timeout=seconds * DOWNLOAD)
    return SourcePin("git", source.location, requested, pin.revision, pin.hash)


def _input(spec: Spec, name: str, old: Pins, seconds: float) -> dict[str, Any]:
    names = input_names(spec)
    return renew(name, inputs.declarations(names), inputs.lock(names, old.inputs), timeout=seconds * DOWNLOAD)
