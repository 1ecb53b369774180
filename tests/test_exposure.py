"""What systemd says of the generated units: how far each could go if its program were taken over."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.conftest import write_flake
from tests.nix_program import ROOT
from tests.test_examples import evaluate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

DATA = ROOT / "tests" / "data"
RECORDED = tomllib.loads((DATA / "exposure.toml").read_text(encoding="utf-8"))
LIMITS = {"native": 3.0, "helper": 2.0}
KINDS = {name: kind for kind in ("native", "helper", "container") for name in RECORDED.get(kind, {})}
NO_ANALYZE = "no systemd-analyze on PATH; install systemd"


@pytest.fixture(scope="module")
def exposure(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Return the exposure of every unit of ours, 0 to 10, by name."""
    folder = tmp_path_factory.mktemp("exposure")
    facts = evaluate(flakes, write_flake(DATA / "every-unit.toml", folder / "flake"), "m", folder)
    assert facts["failed"] == []
    ours = {f"{unit}.service" for unit in facts["ours"]} | {f"{name}.service" for name in KINDS}
    ours |= {name for name in facts["units"] if re.fullmatch(r"(llm-.*|.*-watchdog)\.service", name)}
    return {name.removesuffix(".service"): measure(name, facts["units"][name], folder) for name in sorted(ours)}


def measure(name: str, text: str, folder: Path) -> float:
    """Return what systemd-analyze says of a unit's text."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip(NO_ANALYZE)
    (folder / name).write_text(text, encoding="utf-8")
    command = [analyze, "security", "--offline=true", "--no-pager", str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


def test_every_unit_is_recorded(exposure: dict[str, float]) -> None:
    print("\n".join(f"{KINDS.get(name, '?'):10} {value:4} {name}" for name, value in exposure.items()))  # noqa: T201
    assert {name: value for name, value in exposure.items() if name not in KINDS} == {}


def test_native_engines_and_helpers_keep_below_their_limits(exposure: dict[str, float]) -> None:
    above = {name: value for name, value in exposure.items() if value > LIMITS.get(KINDS.get(name, "helper"), 10)}
    assert above == {}


def test_no_unit_is_more_exposed_than_it_was(exposure: dict[str, float]) -> None:
    done = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True)
    version = int(done.stdout.split()[1])
    if version != RECORDED["systemd"]:
        pytest.skip(f"exposure was recorded with systemd {RECORDED['systemd']}, and this is {version}")
    recorded = {name: value for kind in set(KINDS.values()) for name, value in RECORDED[kind].items()}
    assert {name: value for name, value in exposure.items() if value > recorded[name]} == {}


def test_the_measure_sees_a_unit_that_is_open(tmp_path: Path) -> None:
    assert measure("open.service", "[Service]\nExecStart=/bin/true\n", tmp_path) > 9
