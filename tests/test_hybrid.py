"""The plan's section 11 B: vLLM and llama.cpp on one machine, at once where both fit, in turns where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generator.errors import SpecError
from generator.plan import findings
from generator.spec.load import load_spec
from tests.conftest import write_flake
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.nix_program import Flakes

    SpecFile = Callable[[str], Path]

HYBRID = (ROOT / "examples" / "aspen1-hybrid.toml").read_text(encoding="utf-8")
SMALL = """repository = "ggml-org/gpt-oss-20b-GGUF"
revision = "e1dc459feff949ff451ce107337a2026daa80df8"
include = ["gpt-oss-20b-mxfp4.gguf"]
file = "gpt-oss-20b-mxfp4.gguf\""""
LARGE = """repository = "ggml-org/gpt-oss-120b-GGUF"
revision = "d932fcea62f83e088d8f076a2cd2d7eb02dfa682"
include = ["gpt-oss-120b-mxfp4-*.gguf"]
file = "gpt-oss-120b-mxfp4-00001-of-00003.gguf\""""
TURNS = HYBRID.replace(SMALL, LARGE).replace(
    "[services.chat]\n", '[services.chat]\nconflicts = ["batch"]\nstart_on_boot = false\n'
)


def planned(path: Path | str) -> list[str]:
    """Return what the planner has against a spec."""
    try:
        load_spec(path, findings.check)
    except SpecError as error:
        return [problem.what for problem in error.problems]
    return []


def test_the_planner_proves_that_both_fit_at_once() -> None:
    assert planned(ROOT / "examples" / "aspen1-hybrid.toml") == []


@pytest.mark.parametrize(
    ("text", "sum_"),
    [
        (HYBRID.replace("gpu_memory_utilization = 0.72", "gpu_memory_utilization = 0.92"), "118.4 GiB"),
        (HYBRID.replace(SMALL, LARGE), "143.5 GiB"),
    ],
)
def test_a_split_that_does_not_fit_is_refused_with_its_sum(spec_file: SpecFile, text: str, sum_: str) -> None:
    (what,) = planned(spec_file(text))
    assert "aspen1's GPU has 115.0 GiB" in what
    assert f"= {sum_} at once" in what


def test_the_large_model_on_both_sides_fits_in_turns(spec_file: SpecFile) -> None:
    assert planned(spec_file(TURNS)) == []


def test_in_turns_one_stops_when_the_other_starts(flakes: Flakes, spec_file: SpecFile, tmp_path: Path) -> None:
    flake = write_flake(spec_file(TURNS), tmp_path / "flake")
    apply = "machine: builtins.mapAttrs (_: unit: unit.text) machine.config.systemd.units"
    units = flakes.eval(flake, "nixosConfigurations.aspen1", apply)
    assert "Conflicts=vllm.service" in units["llama-cpp.service"]
    assert "WantedBy" not in units["llama-cpp.service"]
    assert "WantedBy=multi-user.target" in units["vllm.service"]
