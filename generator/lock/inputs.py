"""Flake inputs: locked anew by Nix itself, in a flake that has nothing but inputs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator import nix
from generator.emit.nix_text import Code, Dotted, print_nix

if TYPE_CHECKING:
    from collections.abc import Mapping


def renew(name: str, declarations: Mapping[str, Any], lock: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
    """Return an input's node of flake.lock as it is today; its own inputs, where it has some, under ``nodes``.

    ``declarations`` are the inputs as flake.nix says them, ``lock`` pins them all: the others stay as they are.
    """
    flake = {"inputs": Dotted(dict(declarations)), "outputs": Code("_: { }")}
    with tempfile.TemporaryDirectory(prefix="llmflake-") as scratch:
        folder = Path(scratch)
        (folder / "flake.nix").write_text(print_nix(flake) + "\n", encoding="utf-8")
        (folder / "flake.lock").write_text(json.dumps(_without(name, lock)), encoding="utf-8")
        return subtree(nix.lock_flake(folder, timeout=timeout), name)


def subtree(lock: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return one input of a flake.lock with all that it brings along, as if it stood alone.

    Its references to inputs of the flake that locked it are left out: those are the flake's own ``follows``.
    """
    nodes = lock["nodes"]
    key = nodes["root"]["inputs"][name]
    own: dict[str, Any] = {}
    todo = [key]
    while todo:
        at = todo.pop()
        node = {part: nodes[at][part] for part in ("locked", "original", "flake") if part in nodes[at]}
        kept = {
            inner: target if isinstance(target, str) else target[1:]
            for inner, target in nodes[at].get("inputs", {}).items()
            if isinstance(target, str) or target[:1] == [name]
        }
        own[at] = {**node, **({"inputs": kept} if kept else {})}
        todo += [target for target in kept.values() if isinstance(target, str) and target not in own]
    top = own.pop(key)
    return {**top, **({"nodes": {inner: own[inner] for inner in sorted(own)}} if own else {})}


def _without(name: str, lock: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lock that does not have an input, so that Nix locks it and nothing else."""
    nodes = {key: node for key, node in lock["nodes"].items() if key != name and not key.startswith(f"{name}/")}
    root = {key: target for key, target in nodes["root"]["inputs"].items() if key != name}
    return {**lock, "nodes": {**nodes, "root": {"inputs": root}}}
