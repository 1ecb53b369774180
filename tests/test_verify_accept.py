"""What an accepted machine is asked to record, and when it is not asked."""

from __future__ import annotations

import pytest

from generator.verify import accept
from generator.verify.run import Plan
from generator.verify.transport import Local
from generator.verify.verdict import PHASES, Criterion

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
    why = accept.record(Local(), "/nix/store/x", Plan(PHASES), PASSED)
    assert why == "no --accept /nix/store/x; run 'llmflake-kept --accept' as root on the machine"


def test_a_part_of_the_phases_accepts_nothing(asked: list[str]) -> None:
    assert asked
    assert accept.record(Local(), "/nix/store/x", Plan(PHASES[1:]), PASSED) is None


@pytest.mark.parametrize("verdict", [CRITERION.failed("it is not", "mend it"), CRITERION.not_checked("unseen")])
def test_what_did_not_pass_accepts_nothing(asked: list[str], verdict: object) -> None:
    assert asked
    assert accept.record(Local(), "/nix/store/x", Plan(PHASES), [*PASSED, verdict]) is None  # type: ignore[list-item]


def test_a_machine_without_the_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    why = accept.record(Local(), "", Plan(PHASES), PASSED)
    assert why is not None
    assert "llmflake-kept" in why


def test_where_no_system_runs_there_is_none() -> None:
    assert accept.running(Local()) in {"", "/run/current-system"}
