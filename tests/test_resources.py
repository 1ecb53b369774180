"""Where the files are that travel with the program: in the repository, and inside a wheel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from generator import resources
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_the_schema_is_the_repositorys() -> None:
    assert resources.schema_path() == ROOT / "schema" / "deployment.schema.json"
    assert json.loads(resources.schema_path().read_text(encoding="utf-8"))["title"]


@pytest.mark.parametrize("name", ["images.toml", "vllm-releases.toml"])
def test_data_that_nix_reads_too_is_in_the_static_tier(name: str) -> None:
    assert resources.release_data(name) == ROOT / "nix" / "data" / name
    assert resources.release_data(name).is_file()


def test_the_static_tier_is_every_file_of_nix_and_its_tests_byte_for_byte() -> None:
    found = resources.static_files()
    wanted = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("nix", "tests/nix")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    programs = [ROOT / "generator" / "__init__.py", *(ROOT / "generator" / "machine").glob("*.py")]
    wanted |= {
        f"nix/programs/{path.relative_to(ROOT).as_posix()}": path.read_text(encoding="utf-8") for path in programs
    }
    assert found == wanted
    assert list(found) == sorted(found)


def test_what_an_editor_leaves_beside_them_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lib/a.nix", "lib/a.nix~", "lib/.a.nix.swp", "lib/__pycache__/a.pyc", "data/b.toml"):
        (tmp_path / "nix" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "nix" / name).write_text("x")
    for name in ("__init__.py", "machine/a.py", "machine/a.py~", "machine/__pycache__/a.pyc"):
        (tmp_path / "generator" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "generator" / name).write_text("x")
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "generator")
    programs = ["nix/programs/generator/__init__.py", "nix/programs/generator/machine/a.py"]
    assert list(resources.static_files()) == ["nix/data/b.toml", "nix/lib/a.nix", *programs]


def test_inside_a_wheel_the_packages_own_files_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_static").mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    assert resources.schema_path() == tmp_path / "_static" / "schema" / "deployment.schema.json"
