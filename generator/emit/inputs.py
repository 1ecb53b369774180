"""The inputs of a generated flake: what flake.nix declares and what flake.lock pins, from one table, so they agree."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator import catalog
from generator.errors import Location, OutputError, Problem

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

_PINS = Path(catalog.__file__).resolve().parent / "pins.json"
_STRIX_HALO = "nix-strix-halo"


@cache
def _pins() -> dict[str, Any]:
    inputs: dict[str, Any] = json.loads(_PINS.read_text(encoding="utf-8"))["inputs"]
    return inputs


def input_names(*, strix_halo: bool) -> list[str]:
    """Return the names of the inputs; nix-strix-halo only where a service takes its vLLM from there."""
    return [name for name in _pins() if strix_halo or name != _STRIX_HALO]


def original(name: str) -> dict[str, Any]:
    """Return where an input comes from, as flake.lock writes it."""
    found: dict[str, Any] = _pins()[name]["original"]
    return found


def declarations(names: list[str]) -> dict[str, Any]:
    """Return the ``inputs`` of flake.nix: a URL each, and ``follows`` so that there is one nixpkgs and one of each."""
    declared: dict[str, Any] = {}
    for name in names:
        entry: dict[str, Any] = {"url": _url(_pins()[name]["original"])}
        follows = _pins()[name]["follows"]
        if follows:
            entry["inputs"] = {inner: {"follows": "nixpkgs" if inner == "nixpkgs-lib" else inner} for inner in follows}
        declared[name] = entry
    return declared


def caches(names: list[str]) -> dict[str, list[str]]:
    """Return the inputs' binary caches as Nix settings, empty where there is none; Nix asks before it uses one."""
    found = [_pins()[name]["cache"] for name in names if "cache" in _pins()[name]]
    if not found:
        return {}
    return {
        "extra-substituters": [cache["url"] for cache in found],
        "extra-trusted-public-keys": [cache["key"] for cache in found],
    }


def lock(names: list[str], renewed: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return flake.lock (version 7) for the same inputs; ``renewed`` are nodes instead of llmflake's own."""
    nodes: dict[str, Any] = {}
    for name in names:
        pin = _pins()[name]
        if renewed and name in renewed:
            pin = {"follows": pin["follows"], **renewed[name]}
        node: dict[str, Any] = {"locked": pin["locked"], "original": pin["original"]}
        inputs = {inner: ["nixpkgs" if inner == "nixpkgs-lib" else inner] for inner in pin["follows"]}
        # This flake keeps its own nixpkgs: with ours, nothing that its binary cache holds would be the same.
        inputs.update({inner: _below(name, to) for inner, to in pin.get("inputs", {}).items()})
        nodes[name] = {"inputs": inputs, **node} if inputs else node
        for inner, own in pin.get("nodes", {}).items():
            moved = dict(own)
            if "inputs" in own:
                moved["inputs"] = {key: _below(name, to) for key, to in own["inputs"].items()}
            nodes[f"{name}/{inner}"] = moved
    nodes["root"] = {"inputs": {name: name for name in names}}
    return {"nodes": {name: nodes[name] for name in sorted(nodes)}, "root": "root", "version": 7}


def lock_text(wanted: dict[str, Any], existing: str | None, path: str, renewed: Container[str] = frozenset()) -> str:
    """Return the text of flake.lock: inputs that are locked already stay as they are, and so do their hashes.

    Pins belong to the flake's owner once they are there: ``nix flake update`` changes them, generating again does not,
    but for those that the owner ``renewed`` with ``llmflake lock --update``.
    Raises OutputError when the existing lock cannot be read.
    """
    if existing is None:
        return _text(wanted)
    nodes = _nodes(existing, path)
    owners: dict[str, Any] = nodes["root"]["inputs"]
    names = wanted["nodes"]["root"]["inputs"]
    if owners.keys() == names.keys() and not any(name in renewed for name in names):
        return existing
    merged = dict(wanted["nodes"])
    for name in names:
        if name not in renewed and isinstance(owners.get(name), str):
            merged = {node: entry for node, entry in merged.items() if not _belongs(node, name)}
            merged.update(_taken(nodes, owners[name], name))
    return _text({**wanted, "nodes": {node: merged[node] for node in sorted(merged)}})


def _text(lock: dict[str, Any]) -> str:
    return json.dumps(lock, indent=2, ensure_ascii=False) + "\n"


def _belongs(node: str, name: str) -> bool:
    return node == name or node.startswith(f"{name}/")


def _taken(nodes: dict[str, Any], start: str, name: str) -> dict[str, Any]:
    """Return an input's node of a lock with all below it, named as ours are; Nix numbers them, as ``nixpkgs_2``."""

    def renamed(to: str | list[str]) -> str | list[str]:
        if isinstance(to, list):  # a path from the root, which names inputs and no nodes
            return to
        return name if to == start else f"{name}/{to.removeprefix(f'{name}/')}"

    found: dict[str, Any] = {}
    todo = [start]
    while todo:
        node = todo.pop()
        entry = dict(nodes[node])
        if "inputs" in entry:
            inputs = entry["inputs"].items()
            entry["inputs"] = {inner: renamed(to) for inner, to in inputs}
            todo += [to for _, to in inputs if isinstance(to, str) and renamed(to) not in found]
        found[str(renamed(node))] = entry
    return found


def _nodes(text: str, path: str) -> dict[str, Any]:
    """Return the nodes of a lock, each of whose references leads to one."""
    try:
        nodes: dict[str, Any] = json.loads(text)["nodes"]
        whole = all(
            to in nodes if isinstance(to, str) else isinstance(to, list)
            for node in (nodes["root"], *nodes.values())
            for to in node.get("inputs", {}).values()
        )
        whole = whole and isinstance(nodes["root"]["inputs"], dict)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole, nodes = False, {}
    if not whole:
        raise OutputError(
            (Problem(Location(path), "", "this is not a lock file of Nix", "delete it, and generate again"),)
        )
    return nodes


def _below(name: str, to: str | list[str]) -> str | list[str]:
    """Return a reference of another flake's lock as one of ours: nodes are renamed, paths start at our root."""
    return f"{name}/{to}" if isinstance(to, str) else [name, *to]


def _url(original: dict[str, Any]) -> str:
    match original:
        case {"type": "github", "owner": owner, "repo": repo, **rest}:
            return "/".join([f"github:{owner}", repo, *([rest["ref"]] if "ref" in rest else [])])
        case {"type": "git", "url": url, "ref": ref}:
            return f"git+{url}?ref={ref}" + ("&shallow=1" if original.get("shallow") else "")
        case {"type": "tarball", "url": url}:
            return str(url)
    raise ValueError(f"pins.json: no URL for {original}")
