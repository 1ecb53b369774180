"""vLLM's own argument parser, and every list of arguments that an example generates."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import vllm_server
from tests.conftest import EXAMPLES, write_flake
from tests.nix_program import ROOT
from tests.test_examples import STRIX_HALO
from tests.vllm_server import ENVIRONMENT, NEED_VLLM, PYTHON

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

pytestmark = pytest.mark.skipif(not vllm_server.there(), reason=NEED_VLLM)


def complaints(lists: list[list[str]]) -> list[str]:
    """Return what vLLM's own parser says of argument lists."""
    done = subprocess.run(
        [str(PYTHON), str(ROOT / "tests" / "vllm_arguments.py")],
        input=json.dumps(lists),
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_vllm_takes_every_argument_list_that_an_example_generates(flakes: Flakes, tmp_path: Path) -> None:
    (tmp_path / "strix-halo").mkdir()
    (tmp_path / "strix-halo" / "flake.nix").write_text(STRIX_HALO)
    apply = """machine: builtins.concatMap (name: let server = machine.config.llmflake.resolved.${name}; in
      if machine.config.llmflake.servers.${name}.serviceType == "vllm" then [ server.arguments ] else [ ])
      (builtins.attrNames machine.config.llmflake.resolved)"""
    lists = []
    for example in EXAMPLES:
        flake = write_flake(example, tmp_path / example.stem)
        inputs: dict[str, Path | str] = {}
        if "nix-strix-halo" in (flake / "flake.lock").read_text():
            inputs["nix_strix_halo"] = tmp_path / "strix-halo"
        for machine in sorted(path.name for path in (flake / "machines").iterdir()):
            lists += flakes.eval(flake, f"nixosConfigurations.{machine}", apply, **inputs)
    assert len(lists) >= 3
    assert complaints(lists) == [""] * len(lists)


def test_the_parser_can_complain() -> None:
    wrong = [["m", "--max-model-length", "4"], ["m", "--swap-space", "4"], ["m", "--reasoning-parser", "openai_gpt"]]
    found = complaints([["m", "--reasoning-parser", "openai_gptoss", "--tool-call-parser", "openai"], *wrong])
    assert found[0] == ""
    assert all(found[1:]), found
