# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Directories into which models were ever downloaded here: what has no entry was not made by llmflake."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

REGISTRY = Path("/var/lib/llm-models/directories")
"""One symbolic link a directory, named by a hash of its path."""


def register(directory: Path) -> None:
    """Enter a directory, where the unit has a state directory to enter it into."""
    state = os.environ.get("STATE_DIRECTORY")
    if not state:
        return
    entry = Path(state) / REGISTRY.name / hashlib.sha256(os.fsencode(directory)).hexdigest()
    entry.parent.mkdir(exist_ok=True)
    if not entry.is_symlink():
        entry.symlink_to(directory)


def registered(registry: Path = REGISTRY) -> dict[Path, Path]:
    """Return the directories, each with its entry."""
    entries = sorted(registry.iterdir()) if registry.is_dir() else []
    return {entry.readlink(): entry for entry in entries if entry.is_symlink()}
