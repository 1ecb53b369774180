"""The command line, as processes: what it prints, where, with which exit code, and what it leaves alone."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from generator import __version__, resources
from tests.directories import mounted, state
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = ROOT / "examples" / "aspen1.toml"
BROKEN = EXAMPLE.read_text(encoding="utf-8").replace("port = 8000", 'port = 0\nhots = "x"')
PROBLEMS = [
    "broken.toml:42:8: services.llm.port: 0 is less than 1; write 1 or more",
    'broken.toml:43:1: services.llm.hots: unknown key "hots"; did you mean "host"?',
]


def llmflake(
    *arguments: str, cwd: Path, text: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "generator", *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory with a spec that is right and one that is wrong."""
    (tmp_path / "good.toml").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "broken.toml").write_text(BROKEN, encoding="utf-8")
    for name in ("good", "broken"):
        (tmp_path / f"{name}.lock.toml").write_bytes(EXAMPLE.with_suffix(".lock.toml").read_bytes())
    return tmp_path


# What is wrong with a spec


@pytest.mark.parametrize("arguments", [["validate"], ["generate", "-o", "out"], ["generate", "-o", "out", "--check"]])
def test_every_problem_of_a_spec_is_printed_and_nothing_written(folder: Path, arguments: list[str]) -> None:
    before = state(folder)
    done = llmflake(*arguments, "broken.toml", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == PROBLEMS
    assert state(folder) == before


@pytest.mark.parametrize("arguments", [["validate"], ["generate", "-o", "out"]])
def test_machines_get_the_problems_as_json(folder: Path, arguments: list[str]) -> None:
    done = llmflake(*arguments, "broken.toml", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    problems = json.loads(done.stdout)["problems"]
    assert [
        f"{p['file']}:{p['line']}:{p['column']}: {p['path']}: {p['what']}; {p['hint']}" for p in problems
    ] == PROBLEMS


def test_a_wrong_spec_leaves_a_directory_that_is_there_as_it_was(folder: Path) -> None:
    assert llmflake("generate", "good.toml", "-o", "out", cwd=folder).returncode == 0
    before = state(folder)
    assert llmflake("generate", "broken.toml", "-o", "out", cwd=folder).returncode == 1
    assert state(folder) == before


def bad_files(folder: Path) -> dict[str, str]:
    """Write files that are no specs; return what is said of each."""
    (folder / "empty.toml").write_bytes(b"")
    (folder / "large.toml").write_bytes(b"#" * (10 << 20))
    (folder / "latin.toml").write_bytes(b'[clan]\nname = "\xe9"\n')
    (folder / "nul.toml").write_bytes(b'[clan]\nname = "a\0"\n')
    (folder / "twice.toml").write_bytes(b'[clan]\nname = "a"\nname = "b"\n')
    (folder / "syntax.toml").write_bytes(b"[clan\n")
    (folder / "folder.toml").mkdir()
    empty = "the file is empty; describe a deployment in it; the folder examples shows how"
    return {
        "missing.toml": "there is no such file; give the path of a spec, or - to read it from standard input",
        "folder.toml": "this is a directory; give the path of a spec file in it",
        "empty.toml": empty,
        "large.toml": "the file is larger than 4 MiB; give a spec; models and logs do not belong in one",
        "latin.toml:2:9": "byte 0xe9 is not UTF-8 text; save the file as UTF-8",
        "nul.toml:2:10": "the control character U+0000 is not allowed; remove it; Nix cannot hold it",
        "twice.toml:3:1": "clan.name: this key is defined twice; it is first defined at line 2, column 1; keep one",
        "syntax.toml:1:6": "expected ']' at the end of a table declaration; close what is open",
        "/dev/null": empty,
    }


def test_what_is_no_spec_is_one_line_and_an_untouched_directory(folder: Path) -> None:
    for place, what in bad_files(folder).items():
        before = state(folder)
        done = llmflake("generate", place.partition(":")[0], "-o", "out", cwd=folder)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{place}: {what}\n")
        assert state(folder) == before


@pytest.mark.parametrize("command", [("validate",), ("generate", "-o", "out"), ("lock",)])
@pytest.mark.parametrize("spec", [".", "./", "/"])
def test_a_directory_without_a_name_is_no_spec(folder: Path, command: tuple[str, ...], spec: str) -> None:
    done = llmflake(command[0], spec, *command[1:], cwd=folder)
    said = f"{spec}: this is a directory; give the path of a spec file in it\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("command", [("validate",), ("generate", "-o", "out"), ("lock",)])
def test_an_empty_name_is_no_spec(folder: Path, command: tuple[str, ...]) -> None:
    done = llmflake(command[0], "", *command[1:], cwd=folder)
    assert (done.returncode, done.stderr) == (
        1,
        '"": there is no such file; give the path of a spec, or - to read it from standard input\n',
    )


# generate


def test_what_was_written_is_listed_with_what_to_do_next(folder: Path) -> None:
    done = llmflake("generate", "good.toml", "-o", "my out", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:8] == [
        *("my out", "├── RUNBOOK.md", "├── deployment.json", "├── flake.lock", "├── flake.nix"),
        *("├── llmflake.lock.toml", "├── machines", "│   └── aspen1"),
    ]
    written = sum(path.is_file() for path in (folder / "my out").rglob("*"))
    assert f"{written} created" in lines
    assert lines[lines.index("Next:") - 2].startswith("note: models.gpt-oss-120b-derestricted: ")
    assert lines[lines.index("Next:") :] == [
        *("Next:", "  cd 'my out'", "  git init", "  git add .", "  nix flake check", "  clan machines update aspen1")
    ]


def test_the_same_again_changes_nothing(folder: Path) -> None:
    llmflake("generate", "good.toml", "-o", "out", cwd=folder)
    before = state(folder)
    done = llmflake("generate", "good.toml", "-o", "out", cwd=folder)
    assert re.search(r"^\d+ unchanged$", done.stdout, re.MULTILINE)
    assert state(folder) == before


def test_a_repository_is_not_told_to_become_one(folder: Path) -> None:
    (folder / "out" / ".git").mkdir(parents=True)
    assert "git init" not in llmflake("generate", "good.toml", "-o", "out", cwd=folder).stdout


def test_machines_get_the_files_as_json(folder: Path) -> None:
    done = llmflake("generate", "good.toml", "-o", "out", "--json", cwd=folder)
    data = json.loads(done.stdout)
    files = sorted(p.relative_to(folder / "out").as_posix() for p in (folder / "out").rglob("*") if p.is_file())
    (note,) = data.pop("notes")
    assert data == {"output": "out", "created": files, "updated": [], "unchanged": [], "deleted": [], "written": True}
    assert note.startswith("models.gpt-oss-120b-derestricted: the lock has its commit and not its files' hashes;")


def test_a_file_of_somebody_else_is_refused_and_nothing_written(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "flake.nix").write_text("{ }\n")
    before = state(folder)
    done = llmflake("generate", "good.toml", "-o", "out", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "out/flake.nix: this file is not llmflake's (no line of its first 5 says so); "
        "move it away, or choose another directory than out\n"
    )
    assert state(folder) == before


def test_a_full_disk_and_a_read_only_one_are_told_and_left_as_they_were(folder: Path) -> None:
    disk = folder / "disk"
    with mounted(disk) as remount:
        done = llmflake("generate", "good.toml", "-o", "disk/out", cwd=folder)
        assert (done.returncode, done.stdout, done.stderr) == (
            1,
            "",
            f"disk/out: no space left on {disk}; nothing was changed; free some, or choose another directory\n",
        )
        remount("ro")
        done = llmflake("generate", "good.toml", "-o", "disk", cwd=folder)
        assert (done.returncode, done.stdout, done.stderr) == (
            1,
            "",
            f"{disk}: the directory is not writable; nothing was changed; allow it, or choose another directory\n",
        )
        assert list(disk.iterdir()) == []


def test_an_output_without_a_name_is_not_the_working_directory(folder: Path) -> None:
    before = state(folder)
    done = llmflake("generate", "good.toml", "-o", "", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Invalid value for '-o' / '--output': the name is empty" in done.stderr
    assert state(folder) == before


def test_a_working_directory_that_is_gone_is_told(folder: Path) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m generator generate ../good.toml -o out'
    done = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert "the directory that you are in is gone; go to another" in done.stderr


# generate --check


def test_a_directory_as_it_should_be_passes_the_check_silently(folder: Path) -> None:
    llmflake("generate", "good.toml", "-o", "out", cwd=folder)
    done = llmflake("generate", "good.toml", "-o", "out", "--check", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_check_prints_a_diff_that_git_applies_and_writes_nothing(folder: Path) -> None:
    llmflake("generate", "good.toml", "-o", "out", cwd=folder)
    spec = folder / "good.toml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("max_model_len = 4096", "max_model_len = 2048"))
    before = state(folder)
    done = llmflake("generate", "good.toml", "-o", "out", "--check", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert '-          "maxModelLen": 4096,' in done.stdout.splitlines()
    assert '+          "maxModelLen": 2048,' in done.stdout.splitlines()
    assert state(folder) == before
    subprocess.run(["git", "apply", "-"], cwd=folder / "out", input=done.stdout, text=True, check=True)
    assert llmflake("generate", "good.toml", "-o", "out", "--check", cwd=folder).returncode == 0


def test_the_check_for_machines_says_what_would_change(folder: Path) -> None:
    llmflake("generate", "good.toml", "-o", "out", cwd=folder)
    (folder / "out" / "RUNBOOK.md").unlink()
    done = llmflake("generate", "good.toml", "-o", "out", "--check", "--json", cwd=folder)
    data = json.loads(done.stdout)
    assert (done.returncode, data["created"], data["updated"], data["written"]) == (1, ["RUNBOOK.md"], [], False)
    assert not (folder / "out" / "RUNBOOK.md").exists()


# validate, schema, help


def test_a_right_spec_is_counted(folder: Path) -> None:
    done = llmflake("validate", "good.toml", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "ok: good.toml: 1 machine, 1 model, 1 service\n")
    done = llmflake("validate", str(ROOT / "examples" / "two-machines.json"), "--json", cwd=folder)
    assert json.loads(done.stdout) == {"problems": [], "machines": 2, "models": 2, "services": 2}


@pytest.mark.parametrize("name", ["aspen1.toml", "two-machines.json"])
def test_standard_input_is_a_spec_in_either_language(folder: Path, name: str) -> None:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert llmflake("validate", "-", cwd=folder, text=text).stdout.startswith("ok: <stdin>: ")
    done = llmflake("validate", "-", cwd=folder, text=text.replace("8000", "0").replace("32768", "0"))
    assert (done.returncode, done.stderr.startswith("<stdin>:")) == (1, True)


def test_the_schema_is_printed_as_it_is(folder: Path) -> None:
    assert llmflake("schema", cwd=folder).stdout == resources.schema_path().read_text(encoding="utf-8")


def test_the_version_is_the_projects(folder: Path) -> None:
    assert llmflake("--version", cwd=folder).stdout == f"llmflake, version {__version__}\n"


@pytest.mark.parametrize("command", ["generate", "validate", "schema"])
def test_the_help_of_a_command_has_examples_that_work(folder: Path, command: str) -> None:
    text = llmflake(command, "--help", cwd=folder).stdout
    examples = [line.strip() for line in text.partition("Examples:\n")[2].splitlines()]
    assert examples
    for example in examples:
        words = example.replace("examples/aspen1.toml", "good.toml").replace("deployment.toml", "good.toml")
        script = words.replace("spec.toml", "good.toml").replace("llmflake", f"{sys.executable} -m generator")
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=folder,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == (1 if "--check" in example else 0), done.stderr


def test_every_command_is_told_in_one_whole_line(folder: Path) -> None:
    text = llmflake("--help", cwd=folder).stdout
    lines = text.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == ["generate", "lock", "plan", "schema", "validate", "verify"]
    assert not [line for line in lines if line.endswith("...")]


@pytest.mark.parametrize(("words", "reply"), [("gen", "plain,generate\n"), ("generate --ch", "plain,--check\n")])
def test_a_shell_completes_commands_and_options(folder: Path, words: str, reply: str) -> None:
    line = f"llmflake {words}"
    env = {"_LLMFLAKE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    program = "import sys; sys.argv[0] = 'llmflake'; from generator.cli import main; main(prog_name='llmflake')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )
    assert done.stdout == reply


@pytest.mark.parametrize("words", ["validate ", "generate ", "generate good.toml -o "])
def test_a_shell_completes_files_where_one_is_wanted(folder: Path, words: str) -> None:
    line = f"llmflake {words}"
    env = {"_LLMFLAKE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    program = "from generator.cli import main; main(prog_name='llmflake')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )
    assert done.stdout == "file,\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_readmes_completion_is_a_script_for_its_shell(folder: Path, shell: str) -> None:
    env = {"_LLMFLAKE_COMPLETE": f"{shell}_source"}
    assert env["_LLMFLAKE_COMPLETE"].removesuffix("_source") in (ROOT / "README.md").read_text(encoding="utf-8")
    program = "from generator.cli import main; main(prog_name='llmflake')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )
    assert f"{shell}_complete" in done.stdout


# Where it prints


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """Run the program with a terminal for its output, and return what it printed there."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal to be had: {error}; mount devpts on /dev/pts")
    with subprocess.Popen(
        [sys.executable, "-m", "generator", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    ):
        os.close(theirs)
        printed = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            printed += data
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def test_colour_is_for_terminals_alone(folder: Path) -> None:
    on_terminal = on_a_terminal("validate", "broken.toml", cwd=folder)
    assert on_terminal.splitlines()[0] == (
        "\x1b[1mbroken.toml:42:8\x1b[0m: services.llm.port: 0 is less than 1; \x1b[36mwrite 1 or more\x1b[0m"
    )
    assert re.sub(r"\x1b\[\d*m", "", on_terminal).splitlines() == PROBLEMS
    assert "\x1b[32mok\x1b[0m" in on_a_terminal("validate", "good.toml", cwd=folder)
    diff = on_a_terminal("generate", "good.toml", "-o", "out", "--check", cwd=folder)
    assert "\x1b[32m+# Managed by llmflake" in diff


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "good.toml"],
        ["validate", "good.toml", "--json"],
        ["schema"],
        ["generate", "good.toml", "-o", "out"],
    ],
)
def test_a_full_disk_behind_the_output_is_said_without_a_traceback(folder: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "generator", *arguments],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert (done.returncode, done.stderr) == (
        1,
        "<stdout>: cannot be written: no space left on device; free some space, or print elsewhere\n",
    )


def test_a_reader_that_goes_away_ends_it_quietly(folder: Path) -> None:
    script = f"{sys.executable} -m generator generate good.toml -o out --check | head -n 1"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.stdout, done.stderr) == ("diff --git a/RUNBOOK.md b/RUNBOOK.md\n", "")


@pytest.mark.parametrize("encoding", ["latin-1", "iso8859-2"])
def test_a_terminal_without_the_lines_of_a_tree_gets_something_else(folder: Path, encoding: str) -> None:
    done = llmflake("generate", "good.toml", "-o", "out", cwd=folder, env={"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, "")
    assert "??? flake.nix" in done.stdout


def test_a_name_that_a_terminal_would_obey_is_shown_instead(folder: Path) -> None:
    done = llmflake("validate", "a\nb\x1b[31m", cwd=folder)
    assert done.stderr.startswith(r"a\nb\x1b[31m: there is no such file; ")
    assert len(done.stderr.splitlines()) == 1


def test_a_name_that_is_no_utf_8_is_shown_and_is_json(folder: Path) -> None:
    name = os.fsdecode(b"bad\xff.toml")
    (folder / name).write_text(BROKEN, encoding="utf-8")
    assert llmflake("validate", name, cwd=folder).stderr.startswith(r"bad\udcff.toml:42:8: ")
    data = json.loads(llmflake("validate", name, "--json", cwd=folder).stdout)
    assert os.fsencode(data["problems"][0]["file"]) == b"bad\xff.toml"
