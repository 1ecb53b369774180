"""A lock as a file: where it is, how it is read and checked, and what is written into it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator import resources
from generator.errors import Location, LockError, Problem, SpecError
from generator.spec.pins import FilePin, ImagePin, ModelPin, Pins, SourcePin
from generator.spec.schema import validate
from generator.spec.source import read_source

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
MARKER = "Managed by llmflake: `llmflake lock` writes this file, and nobody else."
_RESTORE = "restore it, or delete it and run llmflake lock"


def lock_path(spec: str) -> Path | None:
    """Return where the lock of a spec is, ``aspen1.lock.toml`` beside ``aspen1.toml``; None for stdin, directories."""
    return Path(spec).with_suffix(".lock.toml") if spec != "-" and Path(spec).name else None


def read_pins(path: Path | None) -> Pins:
    """Return what a lock says; nothing where there is none.

    Raises LockError when it cannot be read, breaks its schema, was edited by hand, or is of a newer llmflake.
    """
    if path is None or not path.exists():
        return Pins()
    try:
        source = read_source(path)
    except SpecError as error:  # nobody writes a lock by hand, so there is one way out of all of them
        raise LockError(tuple(replace(problem, hint=_RESTORE) for problem in error.problems)) from error
    version = source.data.get("version")
    if isinstance(version, int) and version > VERSION:
        what = f"this lock has format {version}, and this llmflake reads format {VERSION}"
        raise LockError((source.problem(("version",), what, "use the newer llmflake that wrote it"),))
    schema = json.loads(resources.lock_schema_path().read_text(encoding="utf-8"))
    problems, _ = validate(source, schema)
    if problems:
        raise LockError((*problems, Problem(Location(str(path)), "", "this lock was edited by hand", _RESTORE)))
    said, real = source.data["checksum"], checksum(source.data)
    if said != real:
        what = f"this lock was edited by hand: its checksum is {real}, and it says {said}"
        raise LockError((source.problem(("checksum",), what, _RESTORE),))
    return _pins(source.data, source.text)


def checksum(data: Mapping[str, Any]) -> str:
    """Return the SRI hash of a lock's data but for the checksum itself."""
    rest = {name: value for name, value in data.items() if name != "checksum"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256-" + base64.b64encode(hashlib.sha256(canonical.encode()).digest()).decode()


def pins_data(pins: Pins) -> dict[str, Any]:
    """Return a lock's data, sorted; the inverse of reading it."""
    data: dict[str, Any] = {
        "version": VERSION,
        "models": {name: _model_data(pin) for name, pin in sorted(pins.models.items())},
        "images": {
            name: {"digest": pin.digest, **({"hashes": dict(sorted(pin.hashes.items()))} if pin.hashes else {})}
            for name, pin in sorted(pins.images.items())
        },
        "sources": {name: _source_data(pin) for name, pin in sorted(pins.sources.items())},
        "inputs": {name: dict(node) for name, node in sorted(pins.inputs.items())},
    }
    data = {name: value for name, value in data.items() if value != {}}
    return {"version": VERSION, "checksum": checksum(data), **data}


def _model_data(pin: ModelPin) -> dict[str, Any]:
    return {
        "repository": pin.repository,
        "requested": pin.requested,
        "revision": pin.revision,
        "include": list(pin.include),
        "exclude": list(pin.exclude),
        **(
            {"to_resolve": True}
            if pin.files is None
            else {"files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in pin.files]}
        ),
    }


def _source_data(pin: SourcePin) -> dict[str, Any]:
    git = {} if pin.kind == "url" else {"requested": pin.requested, "revision": pin.revision}
    return {pin.kind: pin.location, **git, "hash": pin.hash}


def _pins(data: dict[str, Any], text: str) -> Pins:
    return Pins(
        models={name: _model(entry) for name, entry in data.get("models", {}).items()},
        images={
            name: ImagePin(entry["digest"], entry.get("hashes", {})) for name, entry in data.get("images", {}).items()
        },
        sources={name: _source(entry) for name, entry in data.get("sources", {}).items()},
        inputs=data.get("inputs", {}),
        text=text,
    )


def _model(entry: dict[str, Any]) -> ModelPin:
    files = entry.get("files")
    return ModelPin(
        entry["repository"],
        entry["requested"],
        entry["revision"],
        tuple(entry["include"]),
        tuple(entry["exclude"]),
        None if files is None else tuple(FilePin(file["path"], file["size"], file["sha256"]) for file in files),
    )


def _source(entry: dict[str, Any]) -> SourcePin:
    kind = "url" if "url" in entry else "git"
    return SourcePin(kind, entry[kind], entry.get("requested"), entry.get("revision"), entry["hash"])
