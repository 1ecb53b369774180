"""The one place of the tests that starts Nix, and the reasons for which it cannot."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
NEED_NIX = "no nix on PATH; install it (Debian: apt-get install nix-bin) or run `make test` as root, which does"
NEED_FLAKES = "this Nix is older than 2.18 and cannot evaluate nixpkgs; put a newer one on PATH"
NEED_INPUTS = (
    "no network to fetch the flake's inputs from, and none at {}; "
    "put plain checkouts of nixpkgs, clan-core, disko, sops-nix, flake-parts, systems, "
    "treefmt-nix, nix-select, data-mesher and nix-darwin there, or set LLMFLAKE_INPUTS to a folder that has them"
)
_OLDEST_FOR_NIXPKGS = (2, 18)
_OPTIONS = ("--extra-experimental-features", "nix-command flakes")


class NixError(Exception):
    """Nix failed; the text is what it printed."""


@dataclass(frozen=True, slots=True)
class Nix:
    """A Nix on PATH."""

    version: tuple[int, ...]

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the expression is
        """Return the value of an expression, forced whole. Runs on any Nix, without flakes and without a network."""
        text = self.run("nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", "-E", expression)
        return json.loads(text)

    def parse(self, *files: Path) -> None:
        """Parse files; raise NixError at the first that is no Nix."""
        self.run("nix-instantiate", "--parse", *map(str, files))

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """Run a command of Nix and return what it printed; raise NixError with its complaint."""
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
        if done.returncode != 0:
            raise NixError(done.stderr)
        return done.stdout


def find_nix() -> Nix | None:
    """Return the Nix on PATH, if there is one that starts."""
    if shutil.which("nix-instantiate") is None:
        return None
    done = subprocess.run(["nix-instantiate", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return Nix((int(found[1]), int(found[2]))) if found else None


def inputs_folder() -> Path:
    """Return where the offline inputs are looked for."""
    if given := os.environ.get("LLMFLAKE_INPUTS"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmflake" / "inputs"


@dataclass(frozen=True, slots=True)
class Flakes:
    """A Nix that evaluates flakes against the offline inputs. ``stores`` are the inputs' store paths by name."""

    nix: Nix
    stores: dict[str, str]

    def eval(self, flake: Path, attribute: str, apply: str | None = None, **inputs: Path | str) -> Any:  # noqa: ANN401
        """Return the value of an attribute of a flake in a directory; ``inputs`` replace further ones."""
        command = self.eval_command(flake, attribute, **inputs)
        return json.loads(self.nix.run(*command, *(("--apply", apply) if apply else ())))

    def eval_command(self, flake: Path, attribute: str, **inputs: Path | str) -> list[str]:
        """Return the command that evaluates an attribute, without Nix's evaluation cache."""
        options = ["--json", "--option", "eval-cache", "false", *self._offline(flake, inputs)]
        return ["nix", *_OPTIONS, "eval", *options, f"path:{flake}#{attribute}"]

    def check(self, flake: Path) -> str:
        """Run ``nix flake check`` without building; return what it printed; raise NixError when it fails."""
        command = ["nix", *_OPTIONS, "flake", "check", "--no-build", *self._offline(flake, {}), f"path:{flake}"]
        return self.nix.run(*command)

    def metadata(self, flake: Path) -> dict[str, Any]:
        """Return a flake's metadata by its own lock; raise NixError when flake.nix and flake.lock disagree."""
        text = self.nix.run(
            "nix", *_OPTIONS, "flake", "metadata", "--json", "--offline", "--no-update-lock-file", f"path:{flake}"
        )
        data: dict[str, Any] = json.loads(text)
        return data

    def _offline(self, flake: Path, inputs: Mapping[str, Path | str]) -> list[str]:
        lock = flake / "flake.lock"
        declared = json.loads(lock.read_text())["nodes"]["root"]["inputs"] if lock.exists() else {}
        replaced = {name: f"path:{store}" for name, store in self.stores.items() if name in declared}
        replaced.update({name.replace("_", "-"): f"path:{path}" for name, path in inputs.items()})
        return [
            "--offline",
            "--no-write-lock-file",
            *(word for name, url in replaced.items() for word in ("--override-input", name, url)),
        ]


def fetch_inputs(nix: Nix, flake: Path) -> dict[str, str] | None:
    """Let Nix fetch the inputs that a flake's lock pins; return their store paths by name, None without a network."""
    impatient = ["--option", "connect-timeout", "5", "--option", "download-attempts", "1"]
    try:
        text = nix.run("nix", *_OPTIONS, "flake", "archive", "--json", *impatient, f"path:{flake}")
    except NixError:
        return None
    inputs: dict[str, dict[str, str]] = json.loads(text)["inputs"]
    return {name: entry["path"] for name, entry in inputs.items()}


def add_to_store(nix: Nix, path: Path) -> str:
    """Copy a folder into the store, so that Nix does not read it again at every command; return its store path."""
    return nix.run("nix", *_OPTIONS, "store", "add-path", "--name", "source", str(path)).strip()


def reads_nixpkgs(nix: Nix) -> bool:
    """Return whether this Nix is new enough for today's nixpkgs."""
    return nix.version >= _OLDEST_FOR_NIXPKGS
