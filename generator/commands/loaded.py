"""Specs as commands read them: held against the planner, and as their lock pins them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from generator.spec.load import Spec


def checked(spec: str) -> Spec:
    """Return the spec, held against the planner too: one whose plan does not fit, or is not accepted, is wrong."""
    from generator.plan import findings
    from generator.spec.load import load_spec

    return load_spec(spec, findings.check)


def locked(spec: str, lock_file: Path | None = None) -> Spec:
    """Return the spec as its lock pins it, held against the planner too; the lock is beside the spec unless given."""
    from generator.plan import findings
    from generator.spec.load import load_spec
    from generator.spec.lockfile import lock_path, read_pins

    pins = read_pins(lock_file or lock_path(spec))
    return load_spec(spec, findings.check, locked=pins, lock=str(lock_file) if lock_file else None)


def deployed(spec: str) -> Spec:
    """Return the spec of what runs already, as its lock pins it if it has one; no planner refuses what is measured."""
    from generator.spec.load import load_spec
    from generator.spec.lockfile import lock_path, read_pins

    path = lock_path(spec)
    return load_spec(spec, locked=read_pins(path) if path is not None and path.exists() else None)
