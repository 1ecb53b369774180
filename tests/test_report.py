"""What a command tells people: trees, problems for machines, what to type next."""

from __future__ import annotations

import doctest
import subprocess
from typing import TYPE_CHECKING

import pytest

from generator import report
from generator.errors import Location, Problem
from tests.conftest import write_flake
from tests.nix_program import ROOT, NixError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes


def test_the_examples_in_the_texts_hold() -> None:
    failed, tried = doctest.testmod(report)
    assert (failed, tried) == (0, 1)


def test_a_tree_has_folders_and_files_in_the_order_of_their_names() -> None:
    assert report.tree("out", ["b", "a/d/e", "a/c", "a/d/f"]).splitlines() == [
        "out",
        "├── a",
        "│   ├── c",
        "│   └── d",
        "│       ├── e",
        "│       └── f",
        "└── b",
    ]


def test_the_static_tier_is_one_line_a_folder() -> None:
    found = report.tree("out", ["flake.nix", "nix/lib/a.nix", "nix/lib/b.nix", "tests/nix/c.nix"]).splitlines()
    assert found == [
        "out",
        "├── flake.nix",
        "├── nix/  (2 files, the same in every flake)",
        "└── tests/  (1 file, the same in every flake)",
    ]


def test_a_tree_of_nothing_is_its_root() -> None:
    assert report.tree("out", []) == "out"


def test_a_problem_for_machines_has_every_part() -> None:
    assert report.problem_json(Problem(Location("a", 1, 2), "p", "w", "h")) == {
        "file": "a",
        "line": 1,
        "column": 2,
        "path": "p",
        "what": "w",
        "hint": "h",
    }


def test_the_next_steps_are_shell_words_and_at_most_three_machines() -> None:
    assert report.next_steps("my out's", ["a", "b", "c", "d"], is_repository=False).splitlines() == [
        "Next:",
        """  cd 'my out'"'"'s'""",
        "  git init",
        "  git add .",
        "  nix flake check",
        "  clan machines update a",
        "  clan machines update b",
        "  clan machines update c",
    ]


def test_a_repository_is_not_made_again() -> None:
    assert report.next_steps("out", [], is_repository=True).splitlines() == [
        *("Next:", "  cd out", "  git add .", "  nix flake check")
    ]


def test_the_next_steps_make_nix_see_a_directory_that_another_repository_ignores(
    flakes: Flakes, tmp_path: Path
) -> None:
    """As out/ in a checkout of this repository: Nix takes the outer one for the flake's, and does not find it there."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/out/\n")
    flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path / "out")
    command = ["nix", "--extra-experimental-features", "nix-command flakes", "flake", "metadata", "--json", "--offline"]
    with pytest.raises(NixError, match="not tracked by Git"):
        flakes.nix.run(*command, cwd=flake)
    steps = report.next_steps(str(flake), ["aspen1"], is_repository=False).splitlines()
    before = [step.strip() for step in steps[1 : steps.index("  nix flake check")]]
    subprocess.run(["sh", "-euc", "\n".join(before)], check=True, capture_output=True)
    assert f"git+file://{flake}" in flakes.nix.run(*command, cwd=flake)
