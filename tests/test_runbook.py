"""RUNBOOK.md: the plan's phases with a deployment's values, and commands that do what they say."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from generator.emit.runbook import runbook
from generator.spec.load import load_spec
from tests.conftest import write_flake
from tests.nix_program import ROOT
from tests.rule_checks import CLAN, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.nix_program import Flakes

HOSTILE = "${x} \"q\" 'q' \\ $(reboot) `reboot` %n $HOME ; & | \n``` é 🎉"
GO_BACK = """git revert --no-edit "$(git log --format=%H '--grep=^Deploy aspen$' | sed '$d;q')\""""
MACHINE = '[machines.m]\nhardware = "strix-halo-128"\n'
CHAT = '[services.chat]\nengine = "llamacpp"\nmachines = ["m"]\nmodel = "gguf"\n'


@pytest.fixture
def book(spec_file: Callable[[str], Path]) -> Callable[..., str]:
    """Return a function that makes the runbook of a spec in TOML; machine and clan are added where they lack."""

    def make(services: str = CHAT, machine: str = MACHINE, models: str = MODELS) -> str:
        return runbook(load_spec(spec_file(machine + services + models + CLAN)))

    return make


def commands(text: str) -> list[str]:
    """Return the commands of all blocks, without their prompts."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def test_the_example_has_the_plans_phases_in_their_order() -> None:
    text, alarms, _ = runbook(load_spec(ROOT / "examples" / "aspen1.toml")).partition("## Alarms\n")
    assert alarms
    assert re.findall(r"^#+ .*$", text, re.MULTILINE) == [
        *("# Runbook of aspen", "## aspen1", "### 1. Prepare", "### 2. Deploy", "### 3. Verify"),
        *("### Where a server hangs", "### 4. Roll back"),
        "### 5. What stays for that",
    ]
    assert [line for line in commands(text) if "curl" not in line] == [
        *("git init", "git add .", "clan machines update-hardware-config aspen1", "git add .", "nix flake check"),
        *("git add .", "git diff --cached --quiet || git commit --message 'Deploy aspen'"),
        *("clan machines update aspen1", "ssh root@aspen1 reboot"),
        *("llmflake verify SPEC aspen1 --soak 1h", "ssh root@aspen1 uname -r"),
        "ssh root@aspen1 'cat /sys/class/drm/card*/device/mem_info_gtt_total'",
        *("ssh root@aspen1 rocminfo", "ssh root@aspen1 rocm-smi"),
        "ssh root@aspen1 journalctl -f -u llm-model-gpt-oss-120b-derestricted -u llm-image-vllm -u vllm",
        *("ssh root@aspen1 journalctl -n 50 -u vllm-watchdog", "ssh root@aspen1 journalctl -k -g amdgpu -n 50"),
        *("ssh root@aspen1 systemctl restart --no-block vllm", "ssh root@aspen1 systemctl stop vllm-watchdog"),
        "ssh root@aspen1 systemctl stop vllm",
        "ssh root@aspen1 /run/current-system/specialisation/ollama/bin/switch-to-configuration switch",
        "ssh root@aspen1 /nix/var/nix/profiles/system/bin/switch-to-configuration switch",
        f"{GO_BACK} && clan machines update aspen1",
        "ssh root@aspen1 'nixos-rebuild boot --rollback && reboot'",
        (
            "ssh root@aspen1 'nix-env --profile /nix/var/nix/profiles/system "
            '--set "$(readlink --canonicalize-existing /nix/var/nix/gcroots/llmflake-accepted)" '
            "&& /nix/var/nix/gcroots/llmflake-accepted/bin/switch-to-configuration switch'"
        ),
        *("ssh root@aspen1 llmflake-kept", "ssh root@aspen1 llmflake-kept --remove"),
    ]


def test_the_expected_size_is_in_the_unit_that_the_kernel_prints() -> None:
    text = runbook(load_spec(ROOT / "examples" / "aspen1.toml"))
    assert "The GPU may take 123480309760 bytes (117760 MiB):" in text  # 115 GiB


def test_every_machine_has_its_own_chapter() -> None:
    text = runbook(load_spec(ROOT / "examples" / "two-machines.json"))
    assert re.findall(r"^## .*$", text, re.MULTILINE) == ["## aspen1", "## aspen2"]
    assert [line.rpartition("&& ")[2] for line in commands(text) if "clan machines update " in line] == [
        *("clan machines update aspen1", "clan machines update aspen1", "clan machines update aspen2"),
        *("clan machines update aspen2", "clan machines update aspen2", "clan machines update aspen1"),
    ]


def test_a_containers_image_of_before_is_named() -> None:
    text = runbook(load_spec(ROOT / "examples" / "two-machines.json"))
    assert re.findall(r"localhost/\S+:previous", text) == ["localhost/llmflake/vllm:previous"]


def asked(text: str, folder: Path) -> list[str]:
    """Return the words that curl gets, and its input: in a shell, with an ssh that runs what it gets in another one."""
    (question,) = [line for line in commands(text) if "curl" in line]
    for program, script in (
        ("ssh", 'shift; exec sh -c "$*"'),
        ("curl", f'printf "%s\\0" "$@" > {folder}/words; cat >> {folder}/words'),
    ):
        (folder / program).write_text(f"#!/bin/sh\n{script}\n")
        (folder / program).chmod(0o755)
    subprocess.run(["sh", "-c", question], check=True, env={"PATH": f"{folder}:/usr/bin:/bin"})
    return (folder / "words").read_text().split("\0")


@pytest.mark.parametrize("name", ["openai/gpt-oss-120b", HOSTILE])
def test_the_question_reaches_the_server_as_it_was_written(book: Callable[..., str], tmp_path: Path, name: str) -> None:
    named = f'file = "a.gguf"\nserved_name = {json.dumps(name, ensure_ascii=False)}'
    words = asked(book(models=MODELS.replace('file = "a.gguf"', named)), tmp_path)
    assert words[:3] == ["--silent", "--json", "@-"]
    assert json.loads(words[-1])["model"] == name


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("::", "[::1]"),
        ("fd7a::1", "[fd7a::1]"),
        ("100.64.0.7", "100.64.0.7"),
    ],
)
def test_the_question_goes_where_the_server_listens(
    book: Callable[..., str], tmp_path: Path, host: str, reached: str
) -> None:
    words = asked(book(f'{CHAT}host = "{host}"\napi_key = true\n'), tmp_path)
    assert words[-2] == f"http://{reached}:8080/v1/chat/completions"


def test_ollama_is_asked_for_its_first_model(book: Callable[..., str]) -> None:
    text = book('[services.o]\nengine = "ollama"\nmachines = ["m"]\nmodels = ["b:c", "a:b"]\n')
    assert '"model": "b:c"' in text
    assert ":11434/" in text


@pytest.mark.parametrize(
    ("target", "login"),
    [("root@m.lan", "ssh root@m.lan"), ("root@m:2222", "ssh -p 2222 root@m"), ("m", "ssh m")],
)
def test_a_login_uses_the_targets_port(book: Callable[..., str], target: str, login: str) -> None:
    found = commands(book(machine=f'{MACHINE}target_host = "{target}"\n'))
    assert f"{login} systemctl stop llama-cpp" in found


def test_a_machine_whose_kernel_does_not_change_needs_no_reboot(book: Callable[..., str]) -> None:
    assert "ssh m reboot" not in commands(book())
    assert "ssh m reboot" in commands(book(machine=f"{MACHINE}gtt_mib = 117760\n"))


@pytest.mark.parametrize(
    ("hardware", "programs"),
    [
        ('"strix-halo-128"', ["rocminfo", "rocm-smi"]),
        ('"rtx-4090"', ["nvidia-smi"]),
        ('{ accelerator = "cpu", memory_mib = 65536 }', []),
    ],
)
def test_the_gpu_is_looked_at_with_its_makers_programs(
    book: Callable[..., str], hardware: str, programs: list[str]
) -> None:
    found = commands(book(machine=f"[machines.m]\nhardware = {hardware}\n"))
    assert [line.removeprefix("ssh m ") for line in found if re.search("rocm|nvidia", line)] == programs


def test_every_service_of_the_machine_can_be_stopped(book: Callable[..., str]) -> None:
    text = book(CHAT + '[services.o]\nengine = "ollama"\nmachines = ["m"]\nmodels = ["a:b"]\n')
    assert {"ssh m systemctl stop llama-cpp", "ssh m systemctl stop ollama"} <= set(commands(text))


@pytest.mark.parametrize(
    ("service", "there"),
    [
        ('engine = "llamacpp"\nmodel = "gguf"\nllamacpp = { backend = "rocm" }', True),
        ('engine = "llamacpp"\nmodel = "gguf"', False),
        ('engine = "ollama"\nmodels = ["a:b"]', True),
        ('engine = "ollama"\nmodels = ["a:b"]\ngpu = false', False),
        ('engine = "vllm"\nmodel = "safe"', False),
        ('engine = "vllm"\nmodel = "safe"\nruntime = "native"', True),
    ],
)
def test_hip_is_checked_where_the_machine_has_its_program(
    service: str, flakes: Flakes, tmp_path: Path, *, there: bool
) -> None:
    """The plan's phase 2. The machine has hipconfig for the same servers as those for which the runbook asks it."""
    spec = tmp_path / "spec.toml"
    more = 'accept = ["unproven", "slow"]\n'
    safe = '[models.safe]\nrepository = "openai/gpt-oss-20b"\nformat = "safetensors"\nrevision = "COMMIT"\n'
    text = f'{MACHINE}gtt_mib = 98304\n[services.s]\nmachines = ["m"]\n{more}{service}\n{MODELS}{CLAN}'
    spec.write_text(text + (safe.replace("COMMIT", "0" * 40) if '"safe"' in service else ""))
    asked = "$ ssh m hipconfig --check\n" in runbook(load_spec(spec))
    flake = write_flake(spec, tmp_path / "flake")
    has = flakes.eval(
        flake,
        "nixosConfigurations.m",
        'm: builtins.any (p: p.pname or "" == "clr") m.config.environment.systemPackages',
    )
    assert (asked, has) == (there, there)


def test_it_is_said_what_to_do_where_verify_does_not_accept(book: Callable[..., str]) -> None:
    section = book().partition("### 3. Verify")[2].partition("### ")[0]
    assert re.search(r"ends with 0 .*, with 1 .*, and with 2 ", section)
    assert "roll back (section 4 below" in section
