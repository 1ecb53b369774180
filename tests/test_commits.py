"""Going back as the runbook says it, by a real git: the tree of before, whatever clan committed in between."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from generator.emit import tree
from generator.spec.load import load_spec
from tests.nix_program import ROOT
from tests.test_runbook import commands

if TYPE_CHECKING:
    from pathlib import Path

ASPEN1 = (ROOT / "examples" / "aspen1.toml").read_text(encoding="utf-8")
CHANGED = ASPEN1.replace("max_num_seqs = 4", "max_num_seqs = 2")
ME = {f"GIT_{who}_{what}": "me@here" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Flake:
    """A directory in which a person does what the runbook says; clan and nix do nothing but say so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "flake"
        self.folder.mkdir()
        self.spec = folder / "spec.toml"
        self.log = folder / "log"
        programs = folder / "programs"
        programs.mkdir()
        for name in ("clan", "nix"):
            (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n')
            (programs / name).chmod(0o755)
        self.environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), **ME}

    def generate(self, text: str, name: str = "spec.toml") -> None:
        spec = self.spec.with_name(name)
        spec.write_text(text, encoding="utf-8")
        for path, content in tree.render(load_spec(spec), None).items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")

    def run(self, *lines: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def section(self, title: str, machine: str = "aspen1") -> list[str]:
        text = (self.folder / "RUNBOOK.md").read_text(encoding="utf-8")
        chapter = re.split(r"^## ", text.partition(f"\n## {machine}\n")[2], flags=re.MULTILINE)[0]
        return commands(chapter.partition(f"{title}")[2].partition("\n### ")[0])

    def deploy(self, machine: str = "aspen1") -> None:
        for line in self.section("### 2. Deploy", machine):
            if not line.startswith("ssh "):
                done = self.run(line)
                assert done.returncode == 0, line + done.stderr

    def back(self, machine: str = "aspen1") -> subprocess.CompletedProcess[str]:
        (line,) = (line for line in self.section("### 4. Roll back", machine) if line.startswith("git "))
        return self.run(line)

    def clan_commits(self, name: str) -> None:
        """Commit as clan-core's generator.py does it: these files and no others."""
        file = self.folder / "vars" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
        done = self.run(
            f"git add vars/{name}", f"git commit -m 'vars: update via generator {name}' --no-verify vars/{name}"
        )
        assert done.returncode == 0, done.stderr

    def tree(self) -> str:
        """Return what git has of the flake, but for what clan keeps."""
        assert self.run("git status --porcelain").stdout == ""
        return "".join(
            line for line in self.run("git ls-tree -r HEAD").stdout.splitlines(keepends=True) if "\tvars/" not in line
        )


@pytest.fixture
def flake(tmp_path: Path) -> Flake:
    """Return aspen1's flake, deployed once as its runbook says, with what clan commits on the way."""
    found = Flake(tmp_path)
    found.generate(ASPEN1)
    for line in found.section("### 1. Prepare"):
        assert found.run(line).returncode == 0, line
    found.deploy()
    found.clan_commits("llm-key-chat")
    return found


def test_going_back_brings_the_tree_of_before_and_deploys_it(flake: Flake) -> None:
    first = flake.tree()
    flake.generate(CHANGED)
    flake.deploy()
    flake.clan_commits("llm-key-other")
    assert flake.tree() != first
    flake.log.unlink()
    done = flake.back()
    assert done.returncode == 0, done.stderr
    assert flake.tree() == first
    assert (flake.folder / "vars" / "llm-key-other").exists()
    assert flake.log.read_text() == "clan machines update aspen1\n"


def test_a_new_file_is_deployed_too(flake: Flake) -> None:
    (flake.folder / "machines" / "aspen1" / "local.nix").write_text("{ }\n")
    flake.deploy()
    assert "machines/aspen1/local.nix" in flake.tree()


def test_deploying_what_is_deployed_makes_no_commit_that_going_back_would_take_for_the_last(flake: Flake) -> None:
    first = flake.tree()
    flake.generate(CHANGED)
    flake.deploy()
    flake.deploy()
    assert flake.back().returncode == 0
    assert flake.tree() == first


@pytest.mark.parametrize("times", [1, 2])
def test_where_nothing_is_before_git_says_so_and_nothing_is_deployed(flake: Flake, times: int) -> None:
    """After the first deployment, and after the last one was taken back already."""
    if times == 2:
        flake.generate(CHANGED)
        flake.deploy()
        assert flake.back().returncode == 0
    before = flake.tree()
    flake.log.unlink()
    done = flake.back()
    assert done.returncode != 0
    assert ("bad revision" if times == 1 else "nothing to commit") in done.stdout + done.stderr
    assert flake.tree() == before
    assert not flake.log.exists()


def test_two_machines_have_one_commit_and_go_back_together(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "two-machines.json").read_text(encoding="utf-8")
    flake = Flake(tmp_path)
    flake.generate(text, "spec.json")
    for machine in ("aspen1", "aspen2"):
        for line in flake.section("### 1. Prepare", machine):
            assert flake.run(line).returncode == 0, line
        flake.deploy(machine)
    first = flake.tree()
    changed = text.replace('"max_num_seqs": 16', '"max_num_seqs": 8')
    assert changed != text
    flake.generate(changed, "spec.json")
    flake.deploy("aspen1")
    flake.deploy("aspen2")
    assert flake.tree() != first
    assert flake.back("aspen1").returncode == 0
    assert flake.tree() == first
    assert "clan machines update aspen2" in flake.section("### 4. Roll back", "aspen1")
