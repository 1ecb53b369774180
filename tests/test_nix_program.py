"""The tests' own way to Nix, where a run with everything at hand does not go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import nix_program

if TYPE_CHECKING:
    from tests.nix_program import Nix


def test_the_inputs_that_a_lock_pins_are_fetched_into_the_store(nix: Nix, tmp_path: Path) -> None:
    if not nix_program.reads_nixpkgs(nix):
        pytest.skip(nix_program.NEED_FLAKES)
    for name, inputs in (("first", ""), ("flake", f'inputs.first.url = "path:{tmp_path}/first"; ')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flake.nix").write_text(f"{{ {inputs}outputs = _: {{ }}; }}")
    found = nix_program.fetch_inputs(nix, tmp_path / "flake")
    assert found is not None
    assert list(found) == ["first"]
    assert (Path(found["first"]) / "flake.nix").read_text() == "{ outputs = _: { }; }"


def test_an_input_that_cannot_be_fetched_is_none(nix: Nix, tmp_path: Path) -> None:
    (tmp_path / "flake.nix").write_text('{ inputs.first.url = "path:/nowhere"; outputs = _: { }; }')
    assert nix_program.fetch_inputs(nix, tmp_path) is None
