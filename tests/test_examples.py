"""Every example: its flake is the golden one, parses, evaluates to a system, and systemd accepts its units."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from generator import resources
from generator.emit import tree
from generator.lock.store import lock_text
from generator.spec.lockfile import lock_path, read_pins
from tests.conftest import EXAMPLES, load, write_flake
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes, Nix

GOLDEN = ROOT / "tests" / "golden"
# A stand-in for hellas-ai/nix-strix-halo, whose forty source inputs no offline folder holds: it has the one attribute
# that the overlay takes, and test_overlay.py looks at the real flake for it.
STRIX_HALO = """{ outputs = _: { packages.x86_64-linux.vllm-rocm = derivation {
  name = "vllm-0.25.1"; system = "x86_64-linux"; builder = "/bin/sh"; outputs = [ "out" ];
} // { version = "0.25.1"; }; }; }"""
SERVERS = """machine: let c = machine.config; in {
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) c.assertions);
  toplevel = c.system.build.toplevel.drvPath;
  servers = builtins.attrNames c.llmflake.resolved;
  units = builtins.mapAttrs (_: unit: unit.text) c.systemd.units;
  ours = map (server: server.unit) (builtins.attrValues c.llmflake.resolved);
}"""
ids = [path.stem for path in EXAMPLES]


def generated(example: Path) -> dict[str, str]:
    """Return what is particular to an example's flake: the static tier is the same in all, and has its own tests."""
    files = tree.render(load(example), None)
    return {path: text for path, text in files.items() if path not in resources.static_files()}


@pytest.mark.parametrize("example", EXAMPLES, ids=ids)
def test_the_flake_is_the_golden_one(example: Path, *, update_golden: bool) -> None:
    folder = GOLDEN / example.stem
    files = generated(example)
    if update_golden:
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    golden = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    assert sorted(files) == sorted(golden), "to accept: pytest --update-golden, and read the change"
    for path, text in files.items():
        difference = "\n".join(
            difflib.unified_diff(golden[path].splitlines(), text.splitlines(), "golden", "generated", lineterm="")
        )
        assert difference == "", f"{path}: to accept: pytest --update-golden, and read the change\n{difference}"


@pytest.mark.parametrize("example", EXAMPLES, ids=ids)
def test_the_lock_is_one_that_llmflake_wrote(example: Path) -> None:
    lock = lock_path(str(example))
    assert lock is not None
    pins = read_pins(lock)
    if lock.exists():
        assert lock_text(pins) == lock.read_text(encoding="utf-8")


def test_there_is_no_golden_without_its_example() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {*ids, "plan"}
    assert {path.stem for path in (GOLDEN / "plan").iterdir()} <= set(ids)


@pytest.mark.parametrize("example", EXAMPLES, ids=ids)
def test_every_nix_file_parses(nix: Nix, example: Path, tmp_path: Path) -> None:
    flake = write_flake(example, tmp_path)
    nix.parse(*sorted(flake.rglob("*.nix")))


@pytest.mark.parametrize("example", EXAMPLES, ids=ids)
def test_the_machines_evaluate_and_systemd_accepts_their_units(flakes: Flakes, example: Path, tmp_path: Path) -> None:
    flake = write_flake(example, tmp_path / "flake")
    spec = load(example)
    for machine in spec.deployment.machines:
        facts = evaluate(flakes, flake, machine, tmp_path)
        assert facts["failed"] == []
        assert f"nixos-system-{machine}" in facts["toplevel"]
        assert facts["servers"] == sorted(service.name for service in spec.placement.services_on[machine])
        names = [f"{unit}.service" for unit in facts["ours"]]
        names += [
            name
            for name in facts["units"]
            if name.startswith(("llm-model-", "llm-image-")) or name.endswith("-watchdog.service")
        ]
        verify_units(facts["units"], names, tmp_path)


def evaluate(flakes: Flakes, flake: Path, machine: str, folder: Path) -> dict[str, Any]:
    """Evaluate a machine of an example's flake."""
    inputs = {}
    if "nix-strix-halo" in (flake / "flake.lock").read_text(encoding="utf-8"):
        stand_in = folder / "strix-halo"
        stand_in.mkdir(exist_ok=True)
        (stand_in / "flake.nix").write_text(STRIX_HALO, encoding="utf-8")
        inputs["nix_strix_halo"] = stand_in
    facts: dict[str, Any] = flakes.eval(flake, f"nixosConfigurations.{machine}", SERVERS, **inputs)
    return facts


def verify_units(units: dict[str, str], names: list[str], folder: Path) -> None:
    """Let systemd-analyze read units; the programs that they start are in a Nix store that nobody built."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on PATH; install systemd")
    for name in names:
        text = re.sub(r"(?m)^(Exec\w+=[-+!@:]*).+$", r"\1/bin/true", units[name])
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", *(str(folder / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
    )
    # The machine that runs the tests has units of its own, with complaints of their own.
    complaints = [line for line in done.stderr.splitlines() if any(name in line for name in names)]
    assert complaints == []


def test_the_check_of_units_sees_a_misspelt_directive(tmp_path: Path) -> None:
    unit = {"x.service": "[Service]\nExecStart=/nix/store/x\nWatchdogSecs=300\n"}
    with pytest.raises(AssertionError, match="WatchdogSecs"):
        verify_units(unit, ["x.service"], tmp_path)
