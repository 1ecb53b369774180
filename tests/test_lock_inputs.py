"""Flake inputs, locked by the real Nix from flakes in local git repositories."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from generator.emit import inputs as emitted
from generator.lock.inputs import renew, subtree
from tests import nix_program
from tests.nix_program import ROOT
from tests.test_nix import git

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Nix


def flake(folder: Path, text: str) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet")
    return commit(folder, text)


def commit(folder: Path, text: str) -> Path:
    (folder / "flake.nix").write_text(text, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "x")
    return folder


@pytest.fixture
def repositories(nix: Nix, tmp_path: Path) -> dict[str, Path]:
    if not nix_program.reads_nixpkgs(nix):
        pytest.skip(nix_program.NEED_FLAKES)
    inner = flake(tmp_path / "inner", "{ outputs = _: { }; }")
    outer = flake(tmp_path / "outer", f'{{ inputs.inner.url = "git+{inner.as_uri()}"; outputs = _: {{ }}; }}')
    other = flake(tmp_path / "other", "{ outputs = _: { }; }")
    return {"inner": inner, "outer": outer, "other": other}


def declared(repositories: dict[str, Path]) -> dict[str, Any]:
    return {name: {"url": f"git+{repositories[name].as_uri()}"} for name in ("outer", "other")}


def locked(node: dict[str, Any]) -> str:
    return str(node["locked"]["rev"])


def test_one_input_is_renewed_with_what_it_brings_and_the_others_stay(repositories: dict[str, Path]) -> None:
    declarations = declared(repositories)
    empty = {"nodes": {"root": {"inputs": {}}}, "root": "root", "version": 7}
    outer = renew("outer", declarations, empty, timeout=60)
    assert locked(outer) == git(repositories["outer"], "rev-parse", "HEAD")
    (inner,) = outer["nodes"].values()
    assert locked(inner) == git(repositories["inner"], "rev-parse", "HEAD")
    commit(repositories["other"], "{ outputs = _: { a = 1; }; }")
    other = renew("other", declarations, empty, timeout=60)
    assert locked(other) == git(repositories["other"], "rev-parse", "HEAD")
    assert "nodes" not in other


def test_a_renewed_input_gives_a_flake_lock_that_nix_accepts(
    nix: Nix, repositories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock that is emitted agrees with the declarations: Nix neither asks the network nor changes it."""
    outer = repositories["outer"]
    pins = {
        name: {
            "follows": [],
            "original": {"type": "git", "url": repositories[name].as_uri(), "ref": "main"},
            "locked": {"type": "git", "rev": "0" * 40},
        }
        for name in ("outer", "other")
    }
    for name in pins:
        git(repositories[name], "branch", "--quiet", "-M", "main")
    monkeypatch.setattr(emitted, "_pins", lambda: pins)
    names = list(pins)
    declarations = emitted.declarations(names)
    renewed = {}
    for name in names:
        empty = {"nodes": {"root": {"inputs": {}}}, "root": "root", "version": 7}
        renewed[name] = renew(name, declarations, empty, timeout=60)
    folder = tmp_path / "flake"
    folder.mkdir()
    text = "{ inputs = { " + "".join(f'{name}.url = "{declarations[name]["url"]}"; ' for name in names)
    (folder / "flake.nix").write_text(text + "}; outputs = _: { }; }", encoding="utf-8")
    (folder / "flake.lock").write_text(json.dumps(emitted.lock(names, renewed)), encoding="utf-8")
    metadata = nix_program.Flakes(nix, {}).metadata(folder)
    nodes = metadata["locks"]["nodes"]
    assert nodes["outer"]["locked"]["rev"] == git(outer, "rev-parse", "HEAD")
    assert nodes["inner"]["locked"]["rev"] == git(repositories["inner"], "rev-parse", "HEAD")


def test_a_subtree_keeps_paths_below_itself_and_drops_those_that_lead_elsewhere() -> None:
    def node(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"locked": {"type": "x"}, "original": {"type": "x"}, "inputs": inputs}

    lock = {
        "nodes": {
            "root": {"inputs": {"a": "a", "nixpkgs": "nixpkgs"}},
            "a": node({"nixpkgs": ["nixpkgs"], "b": "b_2"}),
            "b_2": node({"c": ["a", "c"], "nixpkgs": ["nixpkgs"]}),
            "nixpkgs": node({}),
        }
    }
    found = subtree(lock, "a")
    assert found["inputs"] == {"b": "b_2"}
    assert found["nodes"]["b_2"]["inputs"] == {"c": ["c"]}


def test_our_own_lock_is_made_of_its_subtrees() -> None:
    """Taking an input out of the emitted lock and putting it back changes nothing: nothing is lost on the way."""
    names = emitted.input_names(strix_halo=True)
    whole = emitted.lock(names)
    pin = json.loads((ROOT / "generator/catalog/pins.json").read_text(encoding="utf-8"))["inputs"]["nix-strix-halo"]
    found = subtree(whole, "nix-strix-halo")
    assert found["locked"] == pin["locked"]
    assert len(found["nodes"]) == len(pin["nodes"])
