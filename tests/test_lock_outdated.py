"""What is newer than a lock: tags, commits and the catalog's own images, each with what the catalog knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generator.lock.outdated import Newer, outdated
from generator.lock.resolve import Options, resolve
from generator.spec.load import load_spec
from generator.spec.pins import Pins
from tests.loopback import HubServer, RegistryServer, Repository
from tests.test_nix import commit_all, git, repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from generator.spec.load import Spec
    from tests.nix_program import Nix

__all__ = ["repository"]  # a fixture
OLD, NEW = "a" * 40, "b" * 40
SPEC = """
[clan]
name = "t"
[machines.m]
hardware = "strix-halo-128"
gtt_mib = 98304
[models.tiny]
repository = "o/m"
format = "safetensors"
quantisation = "mxfp4"
size_gib = 1.0
[services.llm]
engine = "vllm"
machines = ["m"]
model = "tiny"
version = "0.18.1"
container.image = "{image}"
[sources.code]
git = "{git}"
"""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer(o__m=Repository(OLD, {"model.safetensors": b"w"}, frozenset({"model.safetensors"})))
    with server.running():
        yield server


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    server = RegistryServer("someone/vllm")
    for tag in ("vllm0.18.1", "rocm-vllm_0.20.0", "vllm-v0.33.0", "vllm0.17.0", "latest"):
        server.add_index(tag, server.add_image(tag.encode()))
    with server.running():
        yield server


@pytest.fixture
def spec(tmp_path: Path, registry: RegistryServer, repository: Path) -> Spec:
    path = tmp_path / "t.toml"
    image = f"{registry.host}/someone/vllm:vllm0.18.1"
    path.write_text(SPEC.format(image=image, git=repository.as_uri()), encoding="utf-8")
    return load_spec(path)


def options(hub: HubServer, *, offline: bool = False) -> Options:
    return Options(seconds=20.0, endpoint=hub.url, offline=offline)


@pytest.fixture
def no_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the flake's own inputs, which are on hosts that no test may ask."""
    monkeypatch.setattr("generator.lock.outdated._repositories", lambda _spec: {})


@pytest.fixture
def pins(nix: Nix, spec: Spec, hub: HubServer) -> Pins:
    del nix  # only needed to be there
    return resolve(spec, Pins(), options(hub))


@pytest.mark.usefixtures("no_inputs")
def test_newer_releases_are_judged_by_the_catalog(spec: Spec, pins: Pins, hub: HubServer) -> None:
    found = {entry.newer: entry.status for entry in outdated(spec, pins, options(hub)) if "images." in entry.path}
    tags = {newer.rpartition(":")[2].rstrip(")"): status for newer, status in found.items() if "someone" in newer}
    assert tags["vllm-v0.33.0"] == "works"
    assert not any("0.17.0" in newer for newer in found), "what is older is not newer"


@pytest.mark.usefixtures("no_inputs")
def test_a_release_that_is_known_to_be_broken_is_told_with_why(spec: Spec, pins: Pins, hub: HubServer) -> None:
    found = [entry for entry in outdated(spec, pins, options(hub)) if "0.20.0" in entry.newer]
    assert [(entry.status, "vllm-project/vllm#40301" in entry.reason) for entry in found] == [("broken", True)]


@pytest.mark.usefixtures("no_inputs")
def test_offline_there_is_only_what_the_catalog_knows(spec: Spec, pins: Pins, hub: HubServer) -> None:
    hub.asked.clear()
    found = outdated(spec, pins, options(hub, offline=True))
    assert hub.asked == []
    assert {entry.status for entry in found} == {"works"}
    assert any("docker.io/kyuz0/vllm-therock-gfx1151@sha256:" in entry.newer for entry in found)


@pytest.mark.usefixtures("no_inputs")
def test_a_branch_and_a_tag_that_moved_are_told(
    spec: Spec, pins: Pins, hub: HubServer, registry: RegistryServer, repository: Path
) -> None:
    hub.repositories["o/m"] = Repository(NEW, {"model.safetensors": b"v"}, frozenset({"model.safetensors"}))
    digest = registry.add_index("vllm0.18.1", registry.add_image(b"again"))
    before = git(repository, "rev-parse", "HEAD")
    commit_all(repository, "three")
    found = outdated(spec, pins, options(hub))
    image = f"{registry.host}/someone/vllm:vllm0.18.1"
    assert Newer("models.tiny", OLD, NEW) in found
    assert Newer(f"images.{image}", pins.images[image].digest, digest) in found
    assert Newer("sources.code", before, git(repository, "rev-parse", "HEAD")) in found


@pytest.mark.usefixtures("no_inputs")
def test_what_is_as_new_as_it_can_be_is_not_listed(spec: Spec, pins: Pins, hub: HubServer) -> None:
    paths = {entry.path.partition(".")[0] for entry in outdated(spec, pins, options(hub))}
    assert paths == {"images"}
