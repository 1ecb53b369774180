"""Where the files are that travel with the program: the static Nix tier, its tests, the schemas."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SUFFIXES = (".nix", ".toml", ".md", ".sh", ".py")


def _root() -> Path:
    """Return the folder that holds ``nix/``, ``tests/nix/`` and ``schema/``: inside a wheel, or the repository."""
    packaged = _PACKAGE / "_static"
    return packaged if packaged.is_dir() else _PACKAGE.parent


def schema_path() -> Path:
    """Return the path of the deployment spec's JSON Schema."""
    return _root() / "schema" / "deployment.schema.json"


def lock_schema_path() -> Path:
    """Return the path of the lock's JSON Schema."""
    return _root() / "schema" / "lock.schema.json"


def release_data(name: str) -> Path:
    """Return the path of a data file that Nix and Python both read (``nix/data``)."""
    return _root() / "nix" / "data" / name


def static_files() -> dict[str, str]:
    """Return the static tier as ``{path in the generated flake: text}``, sorted by path.

    The programs that run on the machines go with it, as the Python package that they are here.
    """
    root = _root()
    found = {}
    for folder in ("nix", "tests/nix"):
        for below, _, names in os.walk(root / folder):
            inside = Path(below).relative_to(root).as_posix()
            for name in names:
                if name.endswith(_SUFFIXES):
                    found[f"{inside}/{name}"] = _read(f"{below}/{name}")
    for path in (_PACKAGE / "__init__.py", *sorted((_PACKAGE / "machine").glob("*.py"))):
        found[f"nix/programs/{path.relative_to(_PACKAGE.parent).as_posix()}"] = _read(path)
    return dict(sorted(found.items()))


def _read(path: Path | str) -> str:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a Path for each of 130 files takes as long as reading them
        return file.read()
