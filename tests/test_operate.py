"""The runbook's chapters on operating: each command parses, and does what the chapter says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from generator.emit.runbook import runbook
from generator.machine import kept
from generator.spec.load import load_spec
from tests import nix_program
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPEC = """
clan.name = "home"
machines.m = { hardware = "strix-halo-128", target_host = "root@m" }
models.gguf = { repository = "ggml-org/gpt-oss-20b-GGUF", revision = "COMMIT", format = "gguf", file = "a.gguf" }
services.chat = { engine = "llamacpp", machines = ["m"], model = "gguf", api_key = true }
""".replace("COMMIT", "0" * 40)
CLAN = """import json, sys
from clan_cli.cli import create_parser
for words in json.load(sys.stdin):
    create_parser().parse_args(words)
"""


def clan_python() -> str | None:
    """Return a Python that clan's command line runs on, None where there is none that starts."""
    for name in ("python3.13", "python3.14"):
        if shutil.which(name) and subprocess.run([name, "-c", ""], capture_output=True, check=False).returncode == 0:
            return name
    return None


def commands(text: str) -> list[str]:
    """Return the commands of a runbook."""
    return [
        line.removeprefix("$ ")
        for part in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
        for line in part.splitlines()
    ]


def every_command() -> list[str]:
    specs = [*EXAMPLES, ROOT / "tests" / "data" / "every-unit.toml"]
    return sorted({command for path in specs for command in commands(runbook(load_spec(path)))})


@pytest.fixture
def chat(spec_file: Callable[[str], Path]) -> list[str]:
    return commands(runbook(load_spec(spec_file(SPEC))))


@pytest.mark.parametrize("command", every_command())
def test_a_shell_can_read_the_command(command: str) -> None:
    done = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_clans_own_command_line_takes_the_commands() -> None:
    clan = nix_program.inputs_folder() / "clan-core" / "pkgs" / "clan-cli"
    python = clan_python()
    if python is None or not clan.is_dir():
        pytest.skip(f"clan's command line needs Python 3.13 or newer on PATH, and clan-core's sources at {clan}")
    lines = [line for command in every_command() for line in re.split(r" && | \| ", command)]
    words = [shlex.split(line)[1:] for line in lines if line.startswith("clan ")]
    assert {line[0] for line in words} == {"machines", "vars"}
    done = subprocess.run(
        [python, "-c", CLAN],
        input=json.dumps(words),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(clan)},
    )
    assert done.returncode == 0, done.stderr


def test_a_key_is_shown_and_replaced_by_one_command_each(chat: list[str]) -> None:
    assert "clan vars get m llm-key-chat/api-key" in chat
    assert "clan vars generate m --generator llm-key-chat --regenerate && clan machines update m" in chat


@pytest.mark.parametrize(
    ("more", "read"),
    [
        ("", ["the-key-of-chat"]),
        (
            """services.batch = { engine = "vllm", machines = ["m"], model = "safe", api_key = true }
models.safe = { repository = "a/b", revision = "COMMIT", format = "safetensors", size_gib = 1 }
[services.other]
engine = "openai-compatible"
machines = ["m"]
port = 9000
health = { key_file = "/run/a-key" }
container = { image = "IMAGE" }
""",
            ["the-key-of-batch", "the-key-of-chat", "ssh root@m cat /run/a-key"],
        ),
    ],
)
def test_verify_reads_every_key_from_where_it_is_and_nobody_sees_it(
    more: str, read: list[str], spec_file: Callable[[str], Path], tmp_path: Path
) -> None:
    """Run as it stands, by programs that write down what they are told and what they read."""
    more = more.replace("COMMIT", "0" * 40).replace("IMAGE", f"a/b@sha256:{'0' * 64}")
    lines = commands(runbook(load_spec(spec_file(SPEC + more))))
    line = next(command for command in lines if "llmflake verify" in command)
    programs = {
        "clan": 'echo "the-key-of-$(echo "$4" | cut -d- -f3 | cut -d/ -f1)"',
        "ssh": 'echo "ssh $*"',
        "llmflake": f'echo "$@" >{tmp_path}/words; for word; do case "$word" in '
        f'*=-) cat;; *=/*) cat "${{word#*=}}";; esac; done >{tmp_path}/read',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    subprocess.run(["bash", "-c", line], check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (tmp_path / "read").read_text().splitlines() == read
    assert "the-key" not in (tmp_path / "words").read_text()


def test_on_the_machine_itself_verify_reads_the_keys_of_systemd(chat: list[str]) -> None:
    (line,) = (command for command in chat if "--local" in command)
    assert line.endswith(" --key-file chat=/run/credentials/llama-cpp.service/api-key")


def test_nobody_sees_the_key_that_the_question_carries(chat: list[str], tmp_path: Path) -> None:
    """Run as it stands, but for ssh and the place of the key: curl gets the key on its standard input."""
    ask = next(command for command in chat if "/v1/chat/completions" in command)
    (tmp_path / "api-key").write_text("a-key\n")
    remote = shlex.split(ask)[-1].replace("/run/credentials/llama-cpp.service/", f"{tmp_path}/")
    (tmp_path / "curl").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\ncat >{tmp_path}/input\n')
    (tmp_path / "curl").chmod(0o755)
    subprocess.run(["sh", "-c", remote], check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (tmp_path / "input").read_text() == "Authorization: Bearer a-key\n"
    assert "a-key" not in (tmp_path / "words").read_text()
    assert "@-" in (tmp_path / "words").read_text().splitlines()


@pytest.fixture
def way_back(spec_file: Callable[[str], Path]) -> str:
    """Return what runs on the machine to go back to the accepted state."""
    (command,) = (line for line in commands(runbook(load_spec(spec_file(SPEC)))) if kept.GC_ROOT in line)
    ssh, login, remote = shlex.split(command)
    assert (ssh, login) == ("ssh", "root@m")
    return remote


def accepted(folder: Path) -> Path:
    """Make a system that writes down, when it is switched to, what the next boot would take."""
    switch = folder / "accepted" / "bin" / "switch-to-configuration"
    switch.parent.mkdir(parents=True)
    switch.write_text(f'#!/bin/sh\n[ "$1" = switch ] && readlink -f {folder}/profiles/system >{folder}/next\n')
    switch.chmod(0o755)
    for name in ("profiles", "gcroots"):
        (folder / name).mkdir()
    return folder / "accepted"


def go_back(way_back: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run as it stands, but for the places."""
    local = way_back.replace("/nix/var/nix/", f"{folder}/")
    path = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", local], capture_output=True, text=True, check=False, env=path)


def test_the_way_back_to_the_accepted_state_sets_the_next_boot_before_it_switches(
    way_back: str, tmp_path: Path
) -> None:
    (tmp_path / "nix-env").write_text('#!/bin/sh\n[ "$1 $3" = "--profile --set" ] && ln -s "$4" "$2"\n')
    (tmp_path / "nix-env").chmod(0o755)
    system = accepted(tmp_path)
    (tmp_path / "gcroots/llmflake-accepted").symlink_to(system)
    assert go_back(way_back, tmp_path).returncode == 0
    assert (tmp_path / "next").read_text() == f"{system}\n"


def test_nix_env_takes_the_way_back(
    nix: nix_program.Nix, way_back: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one, in a store of its own."""
    if shutil.which("nix-env") is None:
        pytest.skip("no nix-env on PATH; install the whole of Nix")
    monkeypatch.setenv("NIX_STORE_DIR", f"{tmp_path}/store")
    monkeypatch.setenv("NIX_STATE_DIR", f"{tmp_path}/state")
    monkeypatch.setenv("NIX_LOG_DIR", f"{tmp_path}/log")
    store_path = nix.run("nix-store", "--add", str(accepted(tmp_path))).strip()
    (tmp_path / "gcroots/llmflake-accepted").symlink_to(store_path)
    done = go_back(way_back, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "next").read_text() == f"{store_path}\n"


def test_where_no_state_was_accepted_the_way_back_changes_nothing(way_back: str, tmp_path: Path) -> None:
    (tmp_path / "nix-env").write_text(f'#!/bin/sh\n[ -n "$4" ] && touch {tmp_path}/set\n')
    (tmp_path / "nix-env").chmod(0o755)
    assert go_back(way_back, tmp_path).returncode != 0
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("more", "insecure"),
    [
        ("", True),
        ('tls = { resolver = "tailscale" }', False),
        ('proxy = "existing"', False),
    ],
)
def test_a_key_goes_unverified_to_our_own_unsigned_certificate_alone(
    more: str, spec_file: Callable[[str], Path], *, insecure: bool
) -> None:
    front = f'\n[gateways.front]\nmachine = "m"\nhost = "m.a.ts.net"\nexpose = ["tailscale0"]\n{more}\n'
    spec = SPEC.replace("api_key = true", 'api_key = true, expose = ["gateway"]') + front
    (ask,) = (line for line in commands(runbook(load_spec(spec_file(spec)))) if "https://" in line)
    assert ("--insecure" in ask) is insecure
