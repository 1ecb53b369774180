# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Which models and images configurations of this machine use: those that run or may be booted, and the accepted one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.machine.files import State, selection_of

SYSTEMS = ("run/current-system", "run/booted-system", "nix/var/nix/profiles/system")
GENERATIONS = "nix/var/nix/profiles/system-*-link"
"""The systems of the boot menu."""
USES = "etc/llmflake/uses.json"
"""In a system, what it uses; nix/lib/kept.nix writes it."""
ACCEPTED = "var/lib/llmflake/accepted.json"
"""The same of the system that was accepted last, and which system that was."""


class UnknownError(Exception):
    """What a configuration uses cannot be told, so nothing may be removed."""


@dataclass(frozen=True, slots=True)
class Files:
    """A choice of a repository's files (`selection_of`), and their hashes where they are known."""

    selection: str
    hashes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Uses:
    """What one system uses: files of models by directory, images by unit, the program that runs containers."""

    models: dict[Path, Files]
    images: dict[str, str]
    runtime: str | None

    @classmethod
    def parse(cls, text: str) -> Uses:
        """Read what nix/lib/kept.nix or `data` wrote. Raises ValueError, KeyError or TypeError."""
        data: dict[str, Any] = json.loads(text)
        models = {
            Path(model["directory"]): Files(
                model.get("selection") or selection_of(model),
                None if model["hashes"] is None else frozenset(model["hashes"]),
            )
            for model in data["models"]
        }
        return cls(models, dict(data["images"]), data["runtime"])

    def data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        models = [
            {
                "directory": str(path),
                "selection": files.selection,
                "hashes": None if files.hashes is None else sorted(files.hashes),
            }
            for path, files in self.models.items()
        ]
        return {"models": models, "images": self.images, "runtime": self.runtime}


def read(path: Path) -> Uses:
    """Read one file. Raises UnknownError."""
    try:
        return Uses.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnknownError(f"what is used cannot be told from {path}; deploy, reboot and verify again") from error


def held(root: Path) -> list[Uses]:
    """Return what is used by the accepted system, the running one, and each that may be booted or switched to.

    Raises UnknownError where one of them does not tell, and where none was accepted yet. A generation without the file
    is of a time when llmflake wrote none, or has no servers.
    """
    if not (root / ACCEPTED).exists():
        raise UnknownError("no state of this machine was accepted yet; llmflake verify records it")
    found = [read(root / ACCEPTED)]
    generations = sorted(path for path in root.glob(GENERATIONS) if os.path.lexists(path / USES))
    for system in (*(root / name for name in SYSTEMS), *generations):
        found.append(read(system / USES))
        # A specialisation is of the same making as its system: one without the file has no servers.
        found += [read(path) for path in sorted(system.glob(f"specialisation/*/{USES}"))]
    return found


def hashes_by_directory(found: list[Uses]) -> dict[Path, frozenset[str] | None]:
    """Return the hashes of files that systems use, by directory; None where one of them does not know its own.

    A flake may not know them. The system that was accepted with the same files does, and so does their download.
    """
    known = {
        (path, files.selection): files.hashes
        for uses in found
        for path, files in uses.models.items()
        if files.hashes is not None
    }
    used: dict[Path, frozenset[str] | None] = {}
    for uses in found:
        for path, files in uses.models.items():
            before, hashes = used.get(path, frozenset()), known.get((path, files.selection)) or _listed(path, files)
            used[path] = None if before is None or hashes is None else before | hashes
    return used


def _listed(directory: Path, files: Files) -> frozenset[str] | None:
    state = State.read(directory)
    if state.selection != files.selection or state.listing is None:
        return None
    return frozenset(file.hash for file in state.listing)
