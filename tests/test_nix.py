"""The one place that starts Nix's programs, with the real ones: what they say of real files, and what they refuse."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from generator import nix as programs
from generator.errors import ToolError
from tests import nix_program
from tests.loopback import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.nix_program import Nix

SCRIPTS = {"nix-prefetch-git": "fetchgit", "nix-prefetch-docker": "docker"}


def sri(body: bytes) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(body).digest()).decode()


def put(folder: Path, program: str) -> None:
    """Put a program into a folder; scripts of nixpkgs come from the offline inputs. Skips where there is none."""
    found = shutil.which(program)
    if program in SCRIPTS and found is None:
        script = nix_program.inputs_folder() / "nixpkgs/pkgs/build-support" / SCRIPTS[program] / program
        if not script.exists():
            pytest.skip(nix_program.NEED_INPUTS.format(nix_program.inputs_folder()))
        found_nix = nix_program.find_nix()
        if program == "nix-prefetch-docker" and (found_nix is None or not nix_program.reads_nixpkgs(found_nix)):
            pytest.skip(nix_program.NEED_FLAKES)  # it calls nix-hash with --sri
        text = f'#!/bin/sh\nexec bash {script} "$@"\n'
    elif found is None:
        pytest.skip(f"no {program} on PATH; install it (Debian: apt-get install {program})")
    else:
        text = f'#!/bin/sh\nexec {found} "$@"\n'  # a link would not do: Nix looks at its own name and place
    (folder / program).write_text(text, encoding="utf-8")
    (folder / program).chmod(0o755)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("one\n", encoding="utf-8")
    (folder / "run").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "run").chmod(0o755)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "tag", "-a", "v1", "-m", "v1")
    commit_all(folder, "two")
    return folder


def commit_all(folder: Path, text: str) -> None:
    (folder / "file").write_text(f"{text}\n", encoding="utf-8")
    git(folder, "commit", "--quiet", "-am", text)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that leaves only some programs on PATH; scripts of nixpkgs come from the offline inputs."""

    def leave(*programs: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for program in programs:
            put(folder, program)
        monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin" if SCRIPTS.keys() & set(programs) else str(folder))

    return leave


@pytest.mark.usefixtures("nix")
def test_nix_prefetch_url_gives_the_files_hash(tmp_path: Path, only: Callable[..., None]) -> None:
    (tmp_path / "a.tar").write_bytes(b"content")
    only("nix-prefetch-url")
    assert hash_of(tmp_path / "a.tar") == sri(b"content")


@pytest.mark.usefixtures("nix")
def test_nix_store_prefetch_file_gives_the_same(tmp_path: Path, only: Callable[..., None]) -> None:
    (tmp_path / "a.tar").write_bytes(b"content")
    only("nix")
    assert hash_of(tmp_path / "a.tar") == sri(b"content")


def hash_of(path: Path) -> str:
    return programs.prefetch_file(path.as_uri(), timeout=60)


@pytest.mark.usefixtures("nix")
def test_a_url_whose_end_is_no_store_name_is_hashed(tmp_path: Path) -> None:
    path = tmp_path / "ä (1).tar.gz"
    path.write_bytes(b"content")
    assert hash_of(path) == sri(b"content")


@pytest.mark.usefixtures("nix")
def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"nix-prefetch-url file://.*nothing failed: .*"):
        hash_of(tmp_path / "nothing")


def test_a_missing_program_is_told_with_its_packages(only: Callable[..., None]) -> None:
    only()
    with pytest.raises(ToolError, match=r"not on PATH; install it: nixpkgs has it as nix, Debian in nix-bin"):
        programs.prefetch_file("file:///x", timeout=5)
    with pytest.raises(ToolError, match=r"nixpkgs has it as nix-prefetch-git; Debian does not have it"):
        programs.prefetch_git("file:///x", "0" * 40, timeout=5)
    with pytest.raises(ToolError, match=r"nixpkgs has it as nix-prefetch-docker; Debian does not have it"):
        programs.prefetch_docker("a/b", "sha256:0", "amd64", timeout=5)


def test_branches_and_tags_are_the_commits_that_they_name(repository: Path) -> None:
    url = repository.as_uri()
    head, first = git(repository, "rev-parse", "HEAD"), git(repository, "rev-parse", "HEAD~1")
    assert programs.resolve_git(url, "HEAD", timeout=20) == head
    assert programs.resolve_git(url, "main", timeout=20) == head
    assert programs.resolve_git(url, "v1", timeout=20) == first, "an annotated tag is the commit that it points at"


def test_an_unknown_branch_is_told(repository: Path) -> None:
    with pytest.raises(ToolError, match='there is no branch or tag "nothing"'):
        programs.resolve_git(repository.as_uri(), "nothing", timeout=20)


def fetch_git_says(nix: Nix, repository: Path, commit: str) -> str:
    """Return what builtins.fetchGit computes, as an independent witness."""
    expression = f'(builtins.fetchGit {{ url = "{repository.as_uri()}"; rev = "{commit}"; allRefs = true; }}).narHash'
    return str(nix.evaluate(expression))


@pytest.mark.parametrize("program", ["nix", "nix-prefetch-git"])
def test_a_commits_hash_is_that_of_fetch_git(
    nix: Nix, repository: Path, program: str, only: Callable[..., None]
) -> None:
    commit = git(repository, "rev-parse", "HEAD~1")
    expected = fetch_git_says(nix, repository, commit)
    only("nix", "git", *([program] if program != "nix" else []), "nix-hash", "nix-store")
    pin = programs.prefetch_git(repository.as_uri(), commit, timeout=60)
    assert (pin.revision, pin.hash) == (commit, expected)


@pytest.mark.usefixtures("nix")
def test_an_images_hash_is_that_of_the_archive_that_skopeo_makes(
    tmp_path: Path, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real nix-prefetch-docker and the real skopeo, from a registry on loopback."""
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("no skopeo on PATH; install it (Debian: apt-get install skopeo)")
    only("nix-prefetch-docker", "skopeo", "jq", "nix", "nix-hash", "nix-store")
    server = RegistryServer("someone/vllm")
    digest = server.add_index("v1", server.add_image(empty_tar()))
    with server.running():
        registries = tmp_path / ".config" / "containers" / "registries.conf"
        registries.parent.mkdir(parents=True)
        registries.write_text(f'[[registry]]\nlocation = "{server.host}"\ninsecure = true\n', encoding="utf-8")
        monkeypatch.setenv("HOME", str(tmp_path))
        name = f"{server.host}/someone/vllm"
        found = programs.prefetch_docker(name, digest, "amd64", timeout=60)
        archive = tmp_path / "image.tar"
        copy = [skopeo, "--insecure-policy", "--override-os", "linux", "--override-arch", "amd64", "copy"]
        where = f"docker-archive:{archive}:{name}:pinned"
        subprocess.run([*copy, f"docker://{name}@{digest}", where], check=True, capture_output=True)
    assert found == sri(archive.read_bytes())


def empty_tar() -> bytes:
    return bytes(10240)


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = slow_program(tmp_path, monkeypatch)
    with pytest.raises(ToolError, match=r"took longer than 0\.5 s; try again, or allow more with --timeout"):
        programs.run("nix", timeout=0.5)
    assert_ended(mark)


def test_stopping_ends_what_still_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = slow_program(tmp_path, monkeypatch)
    failures: list[BaseException] = []

    def call() -> None:
        try:
            programs.run("nix", timeout=60)
        except ToolError as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while not mark.exists():
        time.sleep(0.01)
    programs.stop()
    thread.join(10)
    assert len(failures) == 1
    assert_ended(mark)


def slow_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a "nix" on PATH that starts another program, and writes down its process ID, and waits."""
    mark = folder / "child"
    script = folder / "nix"
    script.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {mark}.new\nmv {mark}.new {mark}\nwait\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return mark


def assert_ended(mark: Path) -> None:
    process = int(mark.read_text(encoding="utf-8"))
    for _ in range(100):
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or status.read_text(encoding="utf-8").split()[2] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the child still runs")


def test_arguments_are_words_and_no_shell_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "nix"
    script.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    words = ["a b", "$(touch x)", "`x`", "; x", "'", '"', "ä"]
    assert json.loads(programs.run("nix", *words, timeout=10)) == words
