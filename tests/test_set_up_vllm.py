"""bin/set-up-vllm before it fetches anything: room on the disk, and steps that are done."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.nix_program import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def set_up(folder: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    """Run it with a folder of programs before the others, and a Python that fails: nothing is to be installed."""
    return subprocess.run(
        [str(ROOT / "bin" / "set-up-vllm"), "false", str(folder)],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


def disk(programs: Path, small: Path, megabytes: int) -> None:
    """Put a df there that knows of so much room in one folder, and of plenty in others."""
    program = programs / "df"
    program.write_text(f"""#!/bin/sh
room=99999999
[ "$2" = "{small}" ] && room={megabytes * 1024}
echo "Filesystem 1024-blocks Used Available Capacity Mounted on"
echo "/dev/x 1 1 $room 1% /"
""")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("where", "megabytes", "told"),
    [
        ("vllm", 3599, "take 3600 MB, and {} has 3599; free some, or make {} a link to a folder of a larger disk"),
        ("programs", 699, "take 700 MB, and {} has 699; set TMPDIR to a folder of a larger disk"),
    ],
)
def test_a_disk_without_room_is_told_before_anything_is_fetched(
    where: str, megabytes: int, told: str, tmp_path: Path
) -> None:
    (tmp_path / "programs").mkdir()
    disk(tmp_path / "programs", tmp_path / where, megabytes)
    done = set_up(tmp_path / "vllm", tmp_path / "programs")
    assert done.returncode == 1
    assert told.replace("{}", str(tmp_path / where)) in done.stderr
    assert done.stdout == ""
    assert list((tmp_path / "vllm").iterdir()) == []


def test_what_was_interrupted_begins_anew(tmp_path: Path) -> None:
    half = tmp_path / "vllm" / "venv" / "bin"
    half.mkdir(parents=True)
    (tmp_path / "programs").mkdir()
    disk(tmp_path / "programs", tmp_path / "nowhere", 0)
    done = set_up(tmp_path / "vllm", tmp_path / "programs")
    assert done.returncode != 0  # its Python fails
    assert "installing vLLM" in done.stdout
    assert not half.exists()


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    for done_before in ("venv/ready", "ready"):
        path = tmp_path / "vllm" / done_before
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    done = set_up(tmp_path / "vllm", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
