"""``llmflake plan`` as it is typed: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from generator.cli import main
from generator.show.lines import plain
from generator.show.page import page
from generator.show.table import table
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT
from tests.shown import CROWDED, example

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

ASPEN1 = ROOT / "examples" / "aspen1.toml"
ANSI = re.compile(r"\x1b\[[\d;]*m")


def run(*arguments: str | Path, columns: int = 100) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(main, ["plan", *map(str, arguments)])


def aspen1(change: Callable[[str], str]) -> str:
    text = ASPEN1.read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    return changed


def test_the_plan_is_printed() -> None:
    done = run(ASPEN1)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == plain(table(example("aspen1.toml")))


def test_the_plan_is_as_wide_as_the_terminal() -> None:
    assert max(map(len, run(ASPEN1, columns=70).stdout.splitlines())) <= 70


def test_the_plan_comes_from_standard_input_too() -> None:
    done = CliRunner().invoke(main, ["plan", "-"], input=ASPEN1.read_text(encoding="utf-8"))
    assert done.exit_code == 0
    assert "llm: FEASIBLE WITH CAVEATS" in done.stdout


def test_json_is_the_plan_and_its_problems() -> None:
    done = run(ASPEN1, "--json")
    data = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, data["problems"]) == (0, "", [])
    assert data["machines"][0]["services"][0]["verdict"] == "feasible with caveats"


@pytest.mark.parametrize("name", ["aspen1", "aspen1-llamacpp", "nvidia", "two-machines", "vllm-native"])
def test_a_feasible_plan_ends_with_0(name: str) -> None:
    (path,) = (path for path in EXAMPLES if path.stem == name)
    assert run(path).exit_code == 0


@pytest.mark.parametrize("name", ["ollama", "openai-compatible"])
def test_a_plan_that_nothing_is_known_of_ends_with_0_where_that_is_accepted(name: str) -> None:
    done = run(ROOT / "examples" / f"{name}.toml")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "UNKNOWN" in done.stdout


def test_what_does_not_fit_is_shown_all_the_same_and_then_told(spec_file: Callable[[str], Path]) -> None:
    path = spec_file(CROWDED)
    done = run(path)
    assert done.exit_code == 1
    assert "seed: NOT FEASIBLE" in done.stdout
    problems = done.stderr.splitlines()
    assert any("services.seed.model: ArliAI/gpt-oss-120b-Derestricted has 217.6 GiB of weights" in p for p in problems)
    assert any("its services take" in problem for problem in problems)
    assert all(problem.startswith(f"{path}:") for problem in problems)
    places = [tuple(map(int, problem.removeprefix(f"{path}:").split(":")[:2])) for problem in problems]
    assert places == sorted(places)


def test_json_holds_what_does_not_fit_too(spec_file: Callable[[str], Path]) -> None:
    done = run(spec_file(CROWDED), "--json")
    data = json.loads(done.stdout)
    assert (done.exit_code, done.stderr) == (1, "")
    assert "services.seed.model" in [problem["path"] for problem in data["problems"]]
    assert len(data["machines"]) == 2


def test_a_plan_that_is_not_accepted_ends_with_1(spec_file: Callable[[str], Path]) -> None:
    done = run(spec_file(aspen1(lambda text: text.replace('accept = ["slow", "unproven"]', 'accept = ["slow"]'))))
    assert done.exit_code == 1
    assert "unproven, NOT accepted" in done.stdout
    assert 'set accept = ["slow", "unproven"]' in done.stderr


def test_a_spec_that_is_wrong_is_told_and_not_planned(spec_file: Callable[[str], Path]) -> None:
    path = spec_file(aspen1(lambda text: text.replace("port = 8000", "port = 22")))
    done = run(path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"{path}:42:8: services.llm.port: port 22 is sshd's; choose another port\n"


@pytest.mark.parametrize("command", [["validate"], ["generate", "-o", "out"]], ids=["validate", "generate"])
def test_other_commands_refuse_what_does_not_fit_all_at_once(
    command: list[str], spec_file: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = spec_file(CROWDED)
    done = CliRunner().invoke(main, [command[0], str(path), *command[1:]])
    assert (done.exit_code, done.stdout) == (1, "")
    told = [
        line for line in done.stderr.splitlines() if "is not in the lock" not in line
    ]  # of which a plan needs nothing
    assert told == run(path).stderr.splitlines()
    assert list(tmp_path.iterdir()) == [path]


def test_the_page_is_written_beside_what_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    done = run(ASPEN1, "--html", path)
    assert done.exit_code == 0
    assert done.stdout.endswith(f"\n\n{path}: written\n")
    assert path.read_text(encoding="utf-8") == page(example("aspen1.toml"), "aspen")
    assert run(ASPEN1, "--html", path).stdout.endswith(f"\n\n{path}: unchanged\n")


def test_with_json_nothing_but_json_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    assert json.loads(run(ASPEN1, "--json", "--html", path).stdout)["problems"] == []
    assert path.exists()


def test_a_plan_that_does_not_fit_has_a_page_too(spec_file: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    assert run(spec_file(CROWDED), "--html", path).exit_code == 1
    assert "NOT FEASIBLE" in path.read_text(encoding="utf-8")


def test_a_page_of_somebody_else_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    path.write_text("<p>mine", encoding="utf-8")
    done = run(ASPEN1, "--html", path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{path}: this file is not llmflake's")
    assert path.read_text(encoding="utf-8") == "<p>mine"
    assert json.loads(run(ASPEN1, "--html", path, "--json").stdout)["problems"][0]["file"] == str(path)


def test_writing_a_page_leaves_the_flake_beside_it_alone(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["generate", str(ASPEN1), "-o", str(tmp_path)])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run(ASPEN1, "--html", tmp_path / "plan.html")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after.keys() - before.keys() == {tmp_path / "plan.html"}
    assert before.items() <= after.items()


def test_a_terminal_gets_colours_and_a_pipe_none() -> None:
    shown = in_terminal(ASPEN1)
    assert "\x1b[33m\x1b[1mFEASIBLE WITH CAVEATS\x1b[0m" in shown
    assert "\x1b[34m█" in shown
    assert ANSI.sub("", shown).replace("\r\n", "\n") == plain(table(example("aspen1.toml"), 90))
    command = [sys.executable, "-m", "generator", "plan", str(ASPEN1)]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    piped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    assert "\x1b" not in piped.stdout
    assert piped.stdout == plain(table(example("aspen1.toml")))


def in_terminal(spec: Path) -> str:
    """Return what the command prints to a terminal of 90 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "90", "TERM": "xterm"}
    command = [sys.executable, "-m", "generator", "plan", str(spec)]
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        data = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says that the other side is closed
                break
            if not chunk:
                break
            data += chunk
        process.wait(30)
    os.close(ours)
    return data.decode()
