"""Keys of services: from files by service, with what is wrong with each said, and shown nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from generator.cli import main
from generator.spec.service import build_service
from generator.verify.keys import read_keys
from generator.verify.load import Server
from tests.faulty_server import FaultyServer, serving
from tests.nix_program import ROOT
from tests.verified import spec_of

if TYPE_CHECKING:
    from pathlib import Path

    from generator.spec.service import Service

KEY = "a-key-of-nobody"


def services() -> list[Service]:
    return [
        build_service("batch", {"engine": "vllm", "api_key": True}),
        build_service("chat", {"engine": "llamacpp", "health": {"key_file": "/run/key"}}),
        build_service("open", {"engine": "llamacpp"}),
    ]


def put(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_one_file_is_for_all_services_that_ask_for_a_key(tmp_path: Path) -> None:
    assert read_keys([put(tmp_path, "key", "k1\n")], services()) == {"batch": "k1", "chat": "k1"}
    assert read_keys([], services()) == {}


def test_a_service_has_its_own_file_beside_that_of_all(tmp_path: Path) -> None:
    given = [put(tmp_path, "all", "k1"), f"chat={put(tmp_path, 'chat', 'k2')}"]
    assert read_keys(given, services()) == {"batch": "k1", "chat": "k2"}


def test_a_file_whose_name_has_an_equals_sign_is_a_file(tmp_path: Path) -> None:
    assert read_keys([put(tmp_path, "a=b", "k1\n")], services())["batch"] == "k1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty; put the key into it"),
        (b" \n\n", "is empty; put the key into it"),
        (b"one\ntwo\n", "has more than one line; put one key into it, and nothing else"),
        (b"one two\n", "holds blanks, or characters outside of ASCII"),
        ("schlüssel\n".encode(), "holds blanks, or characters outside of ASCII"),
        (b"one\x00", "holds blanks, or characters outside of ASCII"),
        (b"x" * 9000, "is longer than 8192 bytes"),
    ],
)
def test_a_file_that_holds_no_key_is_refused_and_not_shown(text: bytes, said: str, tmp_path: Path) -> None:
    path = put(tmp_path, "key", text)
    with pytest.raises(ValueError, match=f"^{path}: {said}") as error:
        read_keys([f"chat={path}"], services())
    assert "one two" not in str(error.value).partition(":")[2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["caht=/k"], "no service caht here asks for a key; those that do are batch, chat"),
        (["open=/k"], "no service open here asks for a key; those that do are batch, chat"),
        (["ch\x1b[1mat=/k"], r"no service ch\\x1b\[1mat here"),
        (["/nowhere/k"], "^/nowhere/k: cannot be read: no such file or directory; name the file that holds the key"),
        (["/etc"], "^/etc: cannot be read: is a directory"),
        (["/k", "/l"], "all services has two files; give one, or SERVICE=FILE for each service"),
        (["chat=/k", "chat=/l"], "service chat has two files"),
    ],
)
def test_what_is_wrong_with_a_choice_is_said(given: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_keys(given, services())


def test_where_nobody_asks_for_a_key_none_is_taken() -> None:
    with pytest.raises(ValueError, match="none here does, so leave it out"):
        read_keys(["open=/k"], services()[2:])


def test_a_key_is_not_in_what_python_shows_of_a_server() -> None:
    assert KEY not in repr(Server("http://127.0.0.1:1", None, KEY))


def test_a_key_comes_on_standard_input_and_is_in_no_output(tmp_path: Path) -> None:
    with serving(FaultyServer(rate=200, model="smollm2", key=KEY)) as url:
        spec = spec_of(tmp_path, int(url.rpartition(":")[2]), runtime="api_key = true")
        reports = [tmp_path / f"r.{ending}" for ending in ("md", "json", "xml")]
        command = [sys.executable, "-m", "generator", "verify", str(spec), "here", "--local", "--phase", "api"]
        command += [word for path in reports for word in ("--report", str(path))]
        done = subprocess.run(
            [*command, "--key-file", "llm=-"], cwd=ROOT, input=KEY + "\n", capture_output=True, text=True, check=False
        )
    assert "passed      api.llm.key: HTTP 401" in done.stdout, done.stdout + done.stderr
    assert "passed      api.llm.answer: " in done.stdout
    assert KEY not in "".join([done.stdout, done.stderr, *(path.read_text() for path in reports)])


def test_a_server_that_repeats_the_key_that_it_refuses_does_not_put_it_into_the_report(tmp_path: Path) -> None:
    with serving(FaultyServer(model="smollm2", key="another", repeats=True)) as url:
        spec = spec_of(tmp_path, int(url.rpartition(":")[2]), runtime="api_key = true")
        arguments = ["verify", str(spec), "here", "--local", "--phase", "api", "--key-file", put(tmp_path, "k", KEY)]
        done = CliRunner().invoke(main, arguments)
    assert "no such key: Bearer ..." in done.output, done.output
    assert KEY not in done.output


@pytest.mark.parametrize("phase", ["api", "speed"])
def test_a_service_whose_key_was_not_given_is_not_checked(phase: str, tmp_path: Path) -> None:
    with serving(FaultyServer(model="smollm2", key=KEY)) as url:
        spec = spec_of(tmp_path, int(url.rpartition(":")[2]), runtime="api_key = true")
        done = CliRunner().invoke(main, ["verify", str(spec), "here", "--local", "--phase", phase, "--soak", "1s"])
    assert done.exit_code == 2, done.output
    assert f"not checked {phase}.llm.key-file: no key was given" in done.output
    assert "not checked soak.llm.key-file: no key was given" in done.output
    assert "give --key-file llm=FILE" in done.output


def test_a_wrong_file_is_wrong_usage(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, 8000, runtime="api_key = true")
    done = CliRunner().invoke(main, ["verify", str(spec), "here", "--local", "--key-file", f"llm={os.devnull}"])
    assert done.exit_code == 2
    assert "/dev/null: is empty; put the key into it" in " ".join(done.output.replace("│", " ").split())
