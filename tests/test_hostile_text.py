"""Text that means something to Nix, a shell or systemd arrives as it was written, in every free field."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from generator import resources
from generator.machine.settings import parse
from tests.conftest import write_flake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nix_program import Flakes

HOSTILE = "${builtins.abort \"x\"} ''${y} \"q\" 'q' \\ $(reboot) `reboot` %n %% $HOME ; & | \n\tsecond é 🎉"
BARE = "${x}''${y}'q'\\$(z)`z`%n%%$HOME;&|é"  # for where neither spaces nor quotes may be
FACTS = """machine: let c = machine.config; in {
  cmd = c.virtualisation.oci-containers.containers.vllm.cmd;
  script = c.systemd.services.vllm.script;
  environment = c.virtualisation.oci-containers.containers.vllm.environment;
  session = c.system.build.setEnvironment.text;
  download = c.systemd.services.llm-model-m.serviceConfig.ExecStart;
  native = c.systemd.services.chat.serviceConfig.ExecStart;
  unit = c.systemd.units."chat.service".text;
  asked = c.llmflake.resolved.chat.health;
  inherit (c.boot) kernelParams;
  keys = c.users.users.root.openssh.authorizedKeys.keys;
}"""


# Every free string of the schema, and the test that follows it into the evaluated machine.
FOLLOWED = {
    "clan.description": "test_the_flakes_description_is_literal",
    "machines.*.rocm_environment.*": "test_a_sessions_environment_is_literal",
    "machines.*.kernel.parameters[]": "test_a_kernel_parameter_is_literal",
    "machines.*.ssh_keys[]": "test_a_keys_comment_is_literal",
    "models.*.include[]": "test_a_downloads_patterns_are_literal",
    "models.*.exclude[]": "test_a_downloads_patterns_are_literal",
    "models.*.served_name": "test_a_native_servers_words_and_environment_are_literal",
    "services.*.container.command[]": "test_a_containers_words_and_environment_are_literal",
    "services.*.extra_args[]": "test_a_native_servers_words_and_environment_are_literal",
    "services.*.extra_env.*": "test_a_native_servers_words_and_environment_are_literal",
    "services.*.health.answer": "test_the_known_question_and_its_answer_are_literal",
    "services.*.health.question": "test_the_known_question_and_its_answer_are_literal",
}
# Free in the schema, and then only taken when it is a name that the catalog or spec has; and what only editors read.
ELSEWHERE = {"machines.*.hardware", "services.*.source", "$schema"}


def free_strings(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of each string in a schema that takes text that means something elsewhere."""
    if "string" in schema["type"]:
        texts = [HOSTILE, BARE, f"ssh-ed25519 AAAA {BARE}"]
        if any(Draft202012Validator(schema).is_valid(text) for text in texts):
            yield path
    for name, entry in schema.get("properties", {}).items():
        yield from free_strings(entry, f"{path}.{name}".removeprefix("."))
    for keyword, step in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(keyword), dict):
            yield from free_strings(schema[keyword], path + step)


def test_every_free_string_of_the_schema_is_followed_by_a_test() -> None:
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))
    assert set(free_strings(schema)) == FOLLOWED.keys() | ELSEWHERE
    assert [test for test in FOLLOWED.values() if test not in globals()] == []


@pytest.fixture(scope="module")
def flake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    spec = {
        "clan": {"name": "c", "description": HOSTILE},
        "machines": {
            "m1": {
                "hardware": "strix-halo-128",
                "gtt_mib": 117760,
                "rocm_environment": {"A": HOSTILE},
                "kernel": {"parameters": [BARE]},
                "ssh_keys": ["ssh-ed25519 AAAA ${HOME} \"q\" 'q' \\ `x`"],
            }
        },
        "models": {
            "m": {
                "repository": "a/b",
                "revision": "0" * 40,
                "include": [HOSTILE],
                "exclude": [HOSTILE, BARE],
                "served_name": HOSTILE,
                "format": "safetensors",
            },
            "g": {
                "repository": "a/b",
                "revision": "0" * 40,
                "format": "gguf",
                "file": "a.gguf",
                "served_name": HOSTILE,
            },
        },
        "services": {
            "llm": {
                "engine": "vllm",
                "machines": ["m1"],
                "model": "m",
                "container": {"command": [HOSTILE]},
                "extra_env": {"B": HOSTILE},
                "extra_args": ["--seed", HOSTILE],
            },
            "chat": {
                "engine": "llamacpp",
                "machines": ["m1"],
                "model": "g",
                "unit": "chat",
                "health": {"question": HOSTILE, "answer": HOSTILE},
                "extra_args": [HOSTILE],
                "extra_env": {"B": HOSTILE},
            },
        },
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    return write_flake(path, folder / "out")


@pytest.fixture(scope="module")
def facts(flakes: Flakes, flake: Path) -> dict[str, Any]:
    found: dict[str, Any] = flakes.eval(flake, "nixosConfigurations.m1", FACTS)
    return found


def quoted_words(line: str) -> list[str]:
    """Return the quoted words of a line of a unit as systemd reads them: C escapes, and %% for a percent sign."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', line, re.DOTALL)
    return [json.loads(f'"{word}"').replace("%%", "%") for word in words]


def exec_words(command: str) -> list[str]:
    """Return the quoted words of a command: there a dollar sign is doubled too."""
    return [word.replace("$$", "$") for word in quoted_words(command)]


def test_a_containers_words_and_environment_are_literal(facts: dict[str, Any]) -> None:
    assert facts["cmd"][0] == HOSTILE
    assert facts["cmd"][-2:] == ["--seed", HOSTILE]
    assert facts["cmd"][facts["cmd"].index("--served-model-name") + 1] == HOSTILE
    assert facts["environment"]["A"] == HOSTILE
    assert facts["environment"]["B"] == HOSTILE


def test_a_shell_that_runs_the_containers_script_gets_the_words(facts: dict[str, Any], tmp_path: Path) -> None:
    """A shell script of nixpkgs starts containers: run it, with a podman that writes down its arguments."""
    podman = tmp_path / "podman"
    podman.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {tmp_path}/words\n', encoding="utf-8")
    podman.chmod(0o755)
    subprocess.run(
        ["sh", "-c", facts["script"]], check=True, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )
    words = (tmp_path / "words").read_text(encoding="utf-8").split("\0")
    assert words.count(HOSTILE) == facts["cmd"].count(HOSTILE)
    assert f"B={HOSTILE}" in words


def test_a_native_servers_words_and_environment_are_literal(facts: dict[str, Any]) -> None:
    words = exec_words(facts["native"])
    assert words[-1] == HOSTILE
    assert words[words.index("--alias") + 1] == HOSTILE
    line = next(line for line in facts["unit"].splitlines() if line.startswith('Environment="B='))
    assert quoted_words(line) == [f"B={HOSTILE}"]


def test_the_known_question_and_its_answer_are_literal(facts: dict[str, Any]) -> None:
    known = parse(json.dumps(facts["asked"])).known
    assert (known.question, known.answer) == (HOSTILE, HOSTILE)


def test_a_downloads_patterns_are_literal(facts: dict[str, Any]) -> None:
    manifest = json.loads(Path(exec_words(facts["download"])[-1]).read_text(encoding="utf-8"))
    assert manifest["include"] == [HOSTILE]
    assert manifest["exclude"] == [HOSTILE, BARE]


def test_a_kernel_parameter_is_literal(facts: dict[str, Any]) -> None:
    assert BARE in facts["kernelParams"]


def test_a_sessions_environment_is_literal(facts: dict[str, Any]) -> None:
    command = ["bash", "-c", facts["session"] + '\nprintf %s "$A"']
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == HOSTILE


def test_a_keys_comment_is_literal(facts: dict[str, Any]) -> None:
    assert facts["keys"] == ["ssh-ed25519 AAAA ${HOME} \"q\" 'q' \\ `x`"]


def test_the_flakes_description_is_literal(flakes: Flakes, flake: Path) -> None:
    assert flakes.metadata(flake)["description"] == HOSTILE
