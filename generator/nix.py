"""The one place that starts Nix's programs: argument lists, a time limit for each, never a shell."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from generator.errors import Location, Problem, ToolError

# Packages that have a program: of nixpkgs, of Debian.
_PACKAGES = {
    "git": ("git", "git"),
    "nix": ("nix", "nix-bin"),
    "nix-prefetch-docker": ("nix-prefetch-docker", ""),
    "nix-prefetch-git": ("nix-prefetch-git", ""),
    "nix-prefetch-url": ("nix", "nix-bin"),
}
# Instead of the registry of flakes, which Nix would download first: every reference here is a whole one.
_NO_REGISTRY = str(Path(__file__).resolve().parent / "no-registry.json")
_FEATURES = ("--extra-experimental-features", "nix-command flakes", "--option", "flake-registry", _NO_REGISTRY)
_NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"
_SHA256_BYTES = 32
_SHOWN_LINES = 3

_running: set[subprocess.Popen[str]] = set()
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class GitPin:
    """A commit of a git repository, and the SRI hash of its tree: what ``fetchgit`` and ``fetchGit`` check."""

    revision: str
    hash: str


def available(program: str) -> bool:
    """Return whether a program is on PATH."""
    return shutil.which(program) is not None


def run(program: str, *arguments: str, timeout: float, cwd: Path | None = None) -> str:
    """Run a program and return what it printed; ``timeout`` is in seconds.

    Raises ToolError when it is missing, fails, or takes longer: then it is ended with all that it started.
    """
    if not available(program):
        _missing(program)
    with tempfile.TemporaryDirectory(prefix="llmflake-") as scratch:
        with _guard:  # so that stop() misses none that has been started
            process = subprocess.Popen(  # noqa: S603 - an argument list; every caller's program is a constant
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                cwd=cwd,
                env={**os.environ, "TMPDIR": scratch, "GIT_TERMINAL_PROMPT": "0"},
                start_new_session=True,  # so that what it starts can be ended with it
            )
            _running.add(process)
        try:
            output, complaint = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            _refuse(
                program,
                f"{_shown(program, arguments)} took longer than {timeout:g} s",
                "try again, or allow more with --timeout",
            )
        except BaseException:
            _end(process)
            raise
        finally:
            with _guard:
                _running.discard(process)
    if process.returncode != 0:
        lines = [line.strip() for line in complaint.splitlines() if line.strip()]
        said = "; ".join(lines[-_SHOWN_LINES:]) or f"it ended with {process.returncode} and said nothing"
        _refuse(program, f"{_shown(program, arguments)} failed: {said}", "")
    return output


def stop() -> None:
    """End every program that still runs: for whoever is interrupted while others wait for programs."""
    with _guard:
        processes = list(_running)
    for process in processes:
        _end(process)


def prefetch_file(url: str, *, timeout: float) -> str:
    """Return the SRI hash of the file at a URL, which is in the Nix store then."""
    name = _store_name(url)
    if available("nix-prefetch-url") or not available("nix"):
        return sri(run("nix-prefetch-url", "--type", "sha256", "--name", name, url, timeout=timeout).strip())
    text = run("nix", *_FEATURES, "store", "prefetch-file", "--json", "--name", name, url, timeout=timeout)
    return str(json.loads(text)["hash"])


def prefetch_git(url: str, revision: str, *, timeout: float) -> GitPin:
    """Return the pin of a commit, given by its 40 hex digits; without submodules."""
    if available("nix-prefetch-git"):
        data = json.loads(
            run("nix-prefetch-git", "--quiet", "--url", url, "--rev", revision, "--no-deepClone", timeout=timeout)
        )
        return GitPin(data["rev"], _hash(data))
    if not available("nix"):
        _missing("nix-prefetch-git")
    flake = f"git+{url}?rev={revision}&allRefs=1"
    data = json.loads(run("nix", *_FEATURES, "flake", "prefetch", "--json", flake, timeout=timeout))
    return GitPin(revision, data["hash"])


def resolve_git(url: str, reference: str, *, timeout: float) -> str:
    """Return the commit that a branch, a tag or HEAD of a git repository names now; of a tag, what it points at."""
    text = run("git", "ls-remote", "--", url, reference, f"{reference}^{{}}", timeout=timeout)
    found: dict[str, str] = {}
    for line in text.splitlines():
        commit, _, name = line.partition("\t")
        found[name] = commit
    for name in (
        reference,
        f"refs/heads/{reference}",
        f"refs/tags/{reference}^{{}}",
        f"refs/tags/{reference}",
    ):
        if name in found:
            return found[name]
    raise ToolError((Problem(Location(url), "", f'there is no branch or tag "{reference}"', "name one that is there"),))


def prefetch_docker(name: str, digest: str, architecture: str, *, timeout: float) -> str:
    """Return the SRI hash of an image as ``dockerTools.pullImage`` checks it; downloads the image, which is large."""
    text = run(
        *("nix-prefetch-docker", "--json", "--quiet", "--os", "linux", "--arch", architecture),
        *("--image-name", name, "--image-digest", digest, "--final-image-tag", "pinned"),
        timeout=timeout,
    )
    return _hash(json.loads(text))


def lock_flake(folder: Path, *, timeout: float) -> dict[str, Any]:
    """Lock the inputs of the flake in a directory that its lock does not have yet; return the lock."""
    run("nix", *_FEATURES, "flake", "lock", f"path:{folder}", timeout=timeout)
    data: dict[str, Any] = json.loads((folder / "flake.lock").read_text(encoding="utf-8"))
    return data


def sri(nix32: str) -> str:
    """Return a sha256 in Nix's own base 32 as an SRI hash.

    >>> sri("1r3v22qkypccqifzbww5lrn6hf1chi23m6zzkyvb8bvg457nxslq")
    'sha256-mOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q='
    """
    number = 0
    for char in nix32:
        number = number << 5 | _NIX32.index(char)
    return "sha256-" + base64.b64encode(number.to_bytes(_SHA256_BYTES, "little")).decode()


def _hash(data: dict[str, Any]) -> str:
    """Return the SRI hash that a script of nixpkgs reports; with an old Nix, or of old, only in base 32."""
    return str(data.get("hash") or sri(data["sha256"]))


def _store_name(url: str) -> str:
    """Return a name that the store allows, with the ending by which an archive is unpacked."""
    last = url.partition("?")[0].rpartition("/")[2]
    kept = "".join(char for char in last if char.isascii() and (char.isalnum() or char in "+-._"))
    return f"source-{kept[-100:]}" if kept else "source"


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _shown(program: str, arguments: tuple[str, ...]) -> str:
    return " ".join((program, *arguments[-1:]))


def _missing(program: str) -> NoReturn:
    nixpkgs, debian = _PACKAGES[program]
    where = f"nixpkgs has it as {nixpkgs}" + (f", Debian in {debian}" if debian else "; Debian does not have it")
    _refuse(program, "this program is not on PATH", f"install it: {where}")


def _refuse(program: str, what: str, hint: str) -> NoReturn:
    raise ToolError((Problem(Location(program), "", what, hint),))
