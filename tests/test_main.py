"""The process: it ends as the command line says, with everything printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str, redirected: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, its output redirected as a shell would."""
    command = f'exec "$0" -m generator "$@" {redirected}'
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["schema"], 0), (["validate", "examples/aspen1.toml"], 0), (["validate", "none.toml"], 1), (["generate"], 2)],
    ids=["printed", "right", "wrong", "misused"],
)
def test_the_code_is_that_of_the_command(arguments: list[str], code: int) -> None:
    assert run(*arguments).returncode == code


def test_all_that_was_printed_arrives() -> None:
    assert run("schema").stdout == (ROOT / "schema" / "deployment.schema.json").read_text(encoding="utf-8")


def test_a_full_disk_is_told_of() -> None:
    done = run("schema", redirected="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == "<stdout>: cannot be written: no space left on device; free some space, or print elsewhere\n"


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0)])
def test_a_closed_stream_is_no_failure(closed: str, code: int) -> None:
    assert run("validate", "examples/aspen1.toml", redirected=closed).returncode == code


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m generator schema | head -c 1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{"
    assert done.stderr == ""
