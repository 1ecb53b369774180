"""What an accepted machine is asked to record, and when it is not asked."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from generator.spec.load import load_spec
from generator.verify import accept
from generator.verify.expectation import expectations
from generator.verify.run import Plan
from generator.verify.transport import Local
from generator.verify.verdict import PHASES, Criterion
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASPEN1 = expectations(load_spec(ROOT / "examples" / "aspen1.toml"), "aspen1")
CRITERION = Criterion("system", "kernel", "here", "a kernel", "a rule")
PASSED = [CRITERION.passed("it is")]


@pytest.fixture
def asked(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a llmflake-kept on PATH that refuses, and says why."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "llmflake-kept"
    program.write_text('#!/bin/sh\necho one\necho "no $*"\nexit 69\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return [str(program)]


def test_the_machine_records_the_system_that_was_verified(asked: list[str]) -> None:
    assert asked
    why = accept.record(Local(), ASPEN1, "/nix/store/x", Plan(PHASES), PASSED)
    assert why == "no --accept /nix/store/x; run 'llmflake-kept --accept' as root on the machine"


def test_a_part_of_the_phases_accepts_nothing(asked: list[str]) -> None:
    assert asked
    assert accept.record(Local(), ASPEN1, "/nix/store/x", Plan(PHASES[1:]), PASSED) is None


@pytest.mark.parametrize("verdict", [CRITERION.failed("it is not", "mend it"), CRITERION.not_checked("unseen")])
def test_what_did_not_pass_accepts_nothing(asked: list[str], verdict: object) -> None:
    assert asked
    assert accept.record(Local(), ASPEN1, "/nix/store/x", Plan(PHASES), [*PASSED, verdict]) is None  # type: ignore[list-item]


def test_a_machine_without_the_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    why = accept.record(Local(), ASPEN1, "/nix/store/x", Plan(PHASES), PASSED)
    assert why is not None
    assert "llmflake-kept" in why


def test_without_a_system_nothing_is_recorded(asked: list[str]) -> None:
    assert asked
    assert accept.record(Local(), ASPEN1, "", Plan(PHASES), PASSED) is None


def test_a_machine_with_a_gateway_alone_has_nothing_to_record(
    asked: list[str], spec_file: Callable[[str], Path]
) -> None:
    """Its system has no llmflake-kept."""
    assert asked
    text = (ROOT / "examples" / "aspen1-hybrid.toml").read_text(encoding="utf-8")
    text = text.replace('expose = ["gateway"]', 'expose = ["gateway", "tailscale0"]')
    text = text.replace('accept = ["slow"', 'accept = ["derestricted-exposed", "open-endpoints", "slow"')
    more = '[machines.front]\nhardware = { accelerator = "cpu", memory_mib = 8192 }\n'
    moved = re.sub(r'(?m)^(\[gateways\.\w+\]\nmachine = )"\w+"', r'\1"front"', text)
    assert moved != text
    expected = expectations(load_spec(spec_file(moved + more)), "front")
    assert accept.record(Local(), expected, "/nix/store/x", Plan(PHASES), PASSED) is None


@pytest.mark.skipif(os.path.lexists("/run/current-system"), reason="a system runs here; run the tests elsewhere")
def test_where_no_system_runs_there_is_none() -> None:
    assert accept.running(Local()) == ""
