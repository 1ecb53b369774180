"""The unit that has an image here before its server starts: with the real podman, from a registry on loopback."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest

from generator.machine import image
from generator.machine.uses import ACCEPTED
from tests.loopback import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "someone/vllm"


def layer(text: str) -> bytes:
    """Return a layer with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("release")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Podman:
    """A podman with a storage of its own, and the registry that it pulls from."""

    def __init__(self, program: Path, server: RegistryServer) -> None:
        self.program, self.server = str(program), server

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run([self.program, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def release(self, text: str) -> str:
        """Publish an image; return its reference by digest."""
        return f"{self.server.host}/{NAME}@{self.server.add_index(text, self.server.add_image(layer(text)))}"

    def bring(self, reference: str) -> int:
        return image.main([self.program, "vllm", reference])

    def deploy(self, *texts: str) -> list[str | None]:
        """Bring images in turn; return their IDs. One by the name ``accepted`` is accepted then."""
        found = []
        for text in texts:
            self.bring(self.release(text))
            found.append(self.named("current"))
            if text == "accepted":
                self("tag", str(found[-1]), "localhost/llmflake/vllm:accepted")
        return found

    def named(self, tag: str) -> str | None:
        return image.identity(self.program, f"localhost/llmflake/vllm:{tag}")

    def images(self) -> set[str]:
        return {entry["Id"] for entry in json.loads(self("images", "--all", "--format", "json"))}


@pytest.fixture
def short() -> Iterator[str]:
    """Give a folder whose path is short: podman refuses a runroot of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="llm-", dir="/tmp") as folder:
        yield folder


@pytest.fixture
def podman(tmp_path: Path, short: str) -> Iterator[Podman]:
    found = shutil.which("podman")
    if found is None:
        pytest.skip("no podman on PATH; install it (Debian: apt-get install podman)")
    server = RegistryServer(NAME)
    with server.running():
        registries = tmp_path / "registries.conf"
        registries.write_text(f'[[registry]]\nlocation = "{server.host}"\ninsecure = true\n', encoding="utf-8")
        program = tmp_path / "podman"
        options = f"--root {tmp_path}/storage --runroot {short} --storage-driver vfs --cgroup-manager cgroupfs"
        program.write_text(
            f'#!/bin/sh\nCONTAINERS_REGISTRIES_CONF={registries} exec {found} {options} --events-backend none "$@"\n',
            encoding="utf-8",
        )
        program.chmod(0o755)
        made = Podman(program, server)
        try:
            made("images")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"podman does not work here: {error.stderr.splitlines()[-1]}; run the tests as root")
        yield made


def test_an_image_is_pulled_by_its_digest_and_named(podman: Podman) -> None:
    reference = podman.release("one")
    assert podman.bring(reference) == 0
    assert podman.named("current") == image.identity(podman.program, reference) is not None
    assert podman.named("previous") is None


def test_an_image_that_is_here_needs_no_registry(podman: Podman) -> None:
    reference = podman.release("one")
    podman.bring(reference)
    podman.server.asked.clear()
    assert podman.bring(reference) == 0
    assert podman.server.asked == []


def test_the_image_of_before_stays_and_older_ones_go(podman: Podman) -> None:
    identities = podman.deploy("accepted", "two", "three", "four")
    assert (podman.named("current"), podman.named("previous")) == (identities[3], identities[2])
    assert podman.named("accepted") == identities[0]
    assert podman.images() == {identities[3], identities[2], identities[0]}


def test_while_no_image_was_accepted_all_of_them_stay(podman: Podman) -> None:
    """The last one that worked may be any of them."""
    identities = podman.deploy("one", "two", "three")
    podman("system", "prune", "--force")
    assert podman.images() == set(identities)


@pytest.mark.parametrize("tag", ["current", "previous", "accepted"])
def test_an_image_that_another_unit_has_stays(podman: Podman, tag: str) -> None:
    podman.deploy("accepted")
    shared = podman.release("shared")
    podman.bring(shared)
    theirs = image.name_of("other", tag)
    podman("tag", shared, theirs)
    podman.deploy("three", "four")
    assert image.identity(podman.program, theirs) == image.identity(podman.program, shared) is not None


def test_the_image_that_the_record_names_stays_whatever_has_its_name(podman: Podman, tmp_path: Path) -> None:
    """The record is written first: it may be that the names were not changed any more."""
    first, *others = (podman.release(text) for text in ("one", "two", "three", "four"))
    identity, record = None, tmp_path / ACCEPTED
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"models": [], "images": {"vllm": first}, "runtime": podman.program}))
    for reference in (first, *others):
        image.main([podman.program, "vllm", reference], tmp_path)
        identity = identity or podman.named("current")
    podman("system", "prune", "--force")
    assert identity in podman.images()
    assert len(podman.images()) == 3


def test_a_record_that_cannot_be_read_keeps_every_image(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / ACCEPTED).parent.mkdir(parents=True)
    (tmp_path / ACCEPTED).write_text("{half")
    for text in ("one", "two", "three"):
        image.main([podman.program, "vllm", podman.release(text)], tmp_path)
    assert len(podman.images()) == 3


def test_a_program_that_does_not_work_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert image.main(["/bin/false", "vllm", "a@sha256:00"]) == os.EX_UNAVAILABLE
    assert image.main(["/gone/podman", "vllm", "a@sha256:00"]) == os.EX_UNAVAILABLE
    assert capsys.readouterr().out.splitlines() == [
        "/bin/false images failed: exit code 1; correct that, and start again",
        "/gone/podman does not run: No such file or directory; correct that, and start again",
    ]


def test_an_image_that_somebody_else_named_stays(podman: Podman) -> None:
    podman.deploy("accepted")
    podman.bring(podman.release("theirs"))
    theirs = podman.named("current")
    assert theirs is not None
    podman("tag", theirs, "localhost/theirs:1")
    podman.deploy("three", "four")
    assert theirs in podman.images()
    assert image.tags(podman.program, theirs) == ["localhost/theirs:1"]


def test_what_stays_survives_the_pruning_of_nixos(podman: Podman) -> None:
    for text in ("one", "two"):
        podman.bring(podman.release(text))
    kept = podman.images()
    podman("system", "prune", "--force")
    assert len(kept) == 2
    assert podman.images() == kept


def test_rolling_back_takes_the_image_that_stayed_without_a_registry(podman: Podman) -> None:
    first = podman.release("one")
    podman.bring(first)
    identity = podman.named("current")
    podman.bring(podman.release("two"))
    newer = podman.named("current")
    podman.server.blobs.clear()
    podman.server.asked.clear()
    assert podman.bring(first) == 0
    assert (podman.named("current"), podman.named("previous"), podman.server.asked) == (identity, newer, [])


def test_the_same_image_again_changes_nothing(podman: Podman) -> None:
    podman.bring(podman.release("one"))
    reference = podman.release("two")
    podman.bring(reference)
    before = (podman.named("current"), podman.named("previous"))
    podman.bring(reference)
    assert (podman.named("current"), podman.named("previous")) == before


def test_a_registry_that_has_it_no_more_is_told(podman: Podman, capfd: pytest.CaptureFixture[str]) -> None:
    gone = f"{podman.server.host}/{NAME}@sha256:{'0' * 64}"
    assert image.pull(podman.program, gone, (0.0,)) is False
    assert capfd.readouterr().out.endswith("could not be pulled; see above, and whether the registry still has it\n")


def test_without_arguments_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert image.main([]) == 64
    assert "usage:" in capsys.readouterr().out
