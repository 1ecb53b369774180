"""What has a newer release than the lock, and what the catalog knows of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from generator import nix
from generator.catalog.load import images, version_key
from generator.catalog.models import repositories
from generator.emit import inputs
from generator.lock import pool
from generator.lock.hub import Hub
from generator.lock.images import images_of
from generator.lock.limits import Limits
from generator.lock.registry import Registries
from generator.lock.resolve import input_names
from generator.spec.pins import digest_of, image_name, image_tag, is_commit
from generator.spec.rules.engines import release_of, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from generator.lock.images import Users
    from generator.lock.resolve import Options
    from generator.spec.load import Spec
    from generator.spec.pins import Pins
    from generator.spec.service import Service

_RELEASE = re.compile(r"vllm[_-]?v?(\d+\.\d+(?:\.\d+)*)", re.IGNORECASE)
_SHOWN = 8
_GITHUB = "https://github.com/{owner}/{repo}"


@dataclass(frozen=True, slots=True)
class Newer:
    """A newer release: ``status`` is works, broken or unknown, as the catalog says, and ``reason`` why."""

    path: str
    locked: str
    newer: str
    status: str = "unknown"
    reason: str = ""


def outdated(spec: Spec, pins: Pins, options: Options) -> list[Newer]:
    """Return what is newer than a lock, sorted by entry; offline only what the catalog itself knows.

    Raises LockError when something could not be looked up.
    """
    limits = Limits(options.seconds)
    hub, registries = Hub(limits, options.endpoint), Registries(limits)
    used = images_of(spec)
    jobs = (
        {}
        if options.offline
        else {
            **{
                f"models.{name}": partial(
                    hub.commit, pin.repository, "main" if is_commit(pin.requested) else pin.requested
                )
                for name, pin in pins.models.items()
            },
            **{
                f"sources.{name}": partial(_head, pin.location, pin.requested or "HEAD", options.seconds)
                for name, pin in pins.sources.items()
                if pin.kind == "git"
            },
            **{
                f"inputs.{name}": partial(_head, *place, options.seconds) for name, place in _repositories(spec).items()
            },
        }
    )
    found: Mapping[str, str] = pool.run(jobs, options.progress)
    locked = {
        **{f"models.{name}": pin.revision for name, pin in pins.models.items()},
        **{f"sources.{name}": pin.revision or "" for name, pin in pins.sources.items()},
        **{f"inputs.{name}": rev for name, rev in _revisions(spec, pins).items()},
    }
    newer = [Newer(path, locked[path], found[path]) for path in found if found[path] != locked[path]]
    moved = (
        {}
        if options.offline
        else pool.run(
            {name: partial(registries.digest, name, users.architectures) for name, users in used.items() if _tag(name)},
            options.progress,
        )
    )
    for name, digest in moved.items():
        if name in pins.images and digest != pins.images[name].digest:
            newer.append(Newer(f"images.{name}", pins.images[name].digest, digest))
    tags = (
        {} if options.offline else pool.run({name: partial(registries.tags, name) for name in used}, options.progress)
    )
    for name, users in used.items():
        newer += _releases(spec, name, users, tags.get(name, ()))
    return sorted(newer, key=lambda entry: entry.path)


def _tag(image: str) -> bool:
    return digest_of(image) is None and image_tag(image) is not None


def _head(url: str, reference: str, seconds: float) -> str:
    return nix.resolve_git(url, "HEAD" if is_commit(reference) else reference, timeout=seconds)


def _repositories(spec: Spec) -> dict[str, tuple[str, str]]:
    """Return the git repository and the branch of each flake input that has one."""
    found = {}
    for name in input_names(spec):
        match inputs.original(name):
            case {"type": "github", "owner": owner, "repo": repo, **rest}:
                found[name] = (_GITHUB.format(owner=owner, repo=repo), str(rest.get("ref", "HEAD")))
            case {"type": "git", "url": url, **rest}:
                found[name] = (str(url), str(rest.get("ref", "HEAD")))
    return found


def _revisions(spec: Spec, pins: Pins) -> dict[str, str]:
    nodes = inputs.lock(input_names(spec), pins.inputs)["nodes"]
    return {name: nodes[name]["locked"].get("rev", "") for name in input_names(spec)}


def _releases(spec: Spec, image: str, users: Users, tags: Iterable[str]) -> Iterator[Newer]:
    """Yield newer releases of vLLM that an image's repository has a tag for, or the catalog an image, newest first."""
    services = [spec.deployment.services[name] for name in sorted(users.names)]
    release = next((release_of(service, spec.placement.machines_of[service.name][0]) for service in services), None)
    if release is None or services[0].engine != "vllm":
        return
    there = {tag: match[1] for tag in tags if (match := _RELEASE.search(tag))}
    places = {f"{image_name(image)}:{tag}": version for tag, version in there.items()}
    places |= {known.reference: known.release for known in images() if known.engine == "vllm"}
    newer = [place for place, version in places.items() if version_key(version) > version_key(release)]
    newer.sort(key=lambda place: version_key(places[place]), reverse=True)
    for place in newer[:_SHOWN]:
        status, reason = _known(spec, services, places[place])
        yield Newer(f"images.{image}", f"vLLM {release}", f"vLLM {places[place]} ({place})", status, reason)


def _known(spec: Spec, services: Iterable[Service], release: str) -> tuple[str, str]:
    """Return what the catalog knows of a release for all that run it: broken where it is for one of them."""
    found = [("unknown", "")]
    for service in services:
        model = spec.deployment.models.get(service.model or "")
        known = repositories().get(model.repository) if model else None
        quantisation = (model.quantisation if model else None) or (known.format if known else "")
        for machine in spec.placement.machines_of[service.name]:
            target = machine.hardware.target if machine.hardware else None
            judged = verdict(release, target or "", quantisation)
            if judged is not None:
                found.append((judged.status, f"{judged.reason} ({judged.source})"))
    return min(found, key=lambda entry: ("broken", "works", "unknown").index(entry[0]))
