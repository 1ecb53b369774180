"""The runbook's steps from a server's start to its answer, and where it hangs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from generator.emit.runbook import runbook
from generator.spec.load import load_spec
from tests.conftest import write_flake
from tests.nix_program import ROOT
from tests.rule_checks import CLAN, IMAGE, MODELS
from tests.test_runbook import CHAT, MACHINE, commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.nix_program import Flakes

EXAMPLES = ROOT / "examples"
OTHER = f'[services.o]\nengine = "openai-compatible"\nmachines = ["m"]\ncontainer = {{ {IMAGE} }}\n'
OLLAMA = '[services.o]\nengine = "ollama"\nmachines = ["m"]\nmodels = ["a:b"]\n'


@pytest.fixture
def book(spec_file: Callable[[str], Path]) -> Callable[..., str]:
    """Return a function that makes the runbook of a spec in TOML; machine and clan are added where they lack."""

    def make(services: str = CHAT, machine: str = MACHINE, models: str = MODELS) -> str:
        return runbook(load_spec(spec_file(machine + services + models + CLAN)))

    return make


def test_a_server_that_does_not_start_by_itself_is_started_first(book: Callable[..., str]) -> None:
    found = commands(book(f"{CHAT}start_on_boot = false\n"))
    start = found.index("ssh m systemctl start --no-block llama-cpp")
    assert found[start + 1] == "ssh m journalctl -f -u llm-model-gguf -u llama-cpp"


def test_a_server_that_starts_by_itself_is_not_started(book: Callable[..., str]) -> None:
    assert not [line for line in commands(book()) if "systemctl start" in line]


def test_servers_that_take_turns_are_each_started_looked_at_and_asked_before_the_next() -> None:
    """One's start stops the other, so that what is asked must be what was started last."""
    text = runbook(load_spec(EXAMPLES / "two-machines.json"))
    chapter = text.partition("### 3. Verify")[2].partition("### Where")[0]
    steps = [
        (found[1], found[2])
        for line in commands(chapter)
        if (found := re.search(r"(systemctl start --no-block|journalctl -f|/v1/chat)\D*(\S*)", line))
    ]
    assert [(what, rest.rpartition(" ")[2]) for what, rest in steps] == [
        *(("systemctl start --no-block", ""), ("journalctl -f", "120b"), ("/v1/chat", "")),
        *(("systemctl start --no-block", ""), ("journalctl -f", "20b"), ("/v1/chat", "")),
    ]
    assert "It takes turns with `small`: starting one stops the other." in chapter
    assert "It takes turns with `batch`: starting one stops the other." in chapter
    assert chapter.index("start --no-block vllm") < chapter.index(":8000/v1") < chapter.index("start --no-block llama")


def test_one_journal_shows_all_that_a_start_waits_for() -> None:
    """Several that follow would, pasted, stop at the first."""
    for path in (EXAMPLES / "aspen1.toml", EXAMPLES / "two-machines.json", EXAMPLES / "ollama.toml"):
        blocks = re.findall(r"^```console\n(.*?)^```$", runbook(load_spec(path)), re.DOTALL | re.MULTILINE)
        following = [block.splitlines() for block in blocks if re.search(r"journalctl\b.* -f\b", block)]
        assert following
        for lines in following:
            assert [bool(re.search(r"journalctl\b.* -f\b", line)) for line in lines].index(True) == len(lines) - 1


def test_ollamas_download_is_in_its_journal(book: Callable[..., str]) -> None:
    assert "ssh m journalctl -f -u ollama-model-loader -u ollama" in commands(book(OLLAMA))


@pytest.mark.parametrize("name", ["aspen1", "two-machines", "ollama"])
def test_every_unit_that_the_runbook_names_is_one_of_the_machine(name: str, flakes: Flakes, tmp_path: Path) -> None:
    (path,) = (path for path in EXAMPLES.iterdir() if path.stem == name and path.suffix in {".toml", ".json"})
    flake = write_flake(path, tmp_path)
    systems = flakes.eval(
        flake,
        "nixosConfigurations",
        "builtins.mapAttrs (_: machine: builtins.attrNames machine.config.systemd.services)",
    )
    units = {unit for found in systems.values() for unit in found}
    text = runbook(load_spec(path))
    named = set(re.findall(r"(?<=-u )[\w.-]+", text))
    named |= {
        unit
        for line in re.findall(r"systemctl (?:status|start|stop|restart|reset-failed)((?: [\w.-]+)+)", text)
        for unit in line.split()
        if unit != "--no-block"
    }
    assert named
    assert named <= units, named - units


def test_how_long_a_start_may_take_is_said_where_it_waits(book: Callable[..., str]) -> None:
    assert "within 20 minutes (`start_limit`)" in book(f"{CHAT}health = {{ start_limit = 1200 }}\n")
    assert "start_limit" not in book(OLLAMA)


def test_nothing_that_waits_for_a_model_blocks_a_terminal() -> None:
    for path in (EXAMPLES / "aspen1.toml", EXAMPLES / "two-machines.json"):
        text = runbook(load_spec(path))
        for line in re.findall(r"systemctl (?:start|restart) .*", "\n".join(commands(text))):
            assert "--no-block" in line or "watchdog" in line or "exporter" in line, line


def test_a_container_whose_model_nobody_knows_is_asked_what_it_serves(book: Callable[..., str]) -> None:
    asked = [line for line in commands(book(OTHER)) if "curl" in line]
    assert [re.sub(r".*(http://\S+?)'*$", r"\1", line) for line in asked] == [
        "http://127.0.0.1:8000/v1/models",
        "http://127.0.0.1:8000/v1/chat/completions",
    ]
    assert '"model": "MODEL"' in asked[1]


def test_a_container_that_asks_for_a_key_gets_it_from_its_file(book: Callable[..., str]) -> None:
    asked = [line for line in commands(book(f'{OTHER}health = {{ key_file = "/run/a-key" }}\n')) if "curl" in line]
    assert len(asked) == 2
    assert all("/run/a-key | curl" in line and "--header @-" in line for line in asked)


@pytest.mark.parametrize(("spec", "unsafe"), [("aspen1.toml", True), ("two-machines.json", False)])
def test_a_model_without_safety_training_is_flagged(spec: str, *, unsafe: bool) -> None:
    assert ("**Derestricted**: " in runbook(load_spec(EXAMPLES / spec))) is unsafe


# Where it hangs.


def test_a_watched_server_has_a_section_on_hanging_without_any_monitoring(book: Callable[..., str]) -> None:
    text = book()
    assert "## Alarms" not in text
    section = text.partition("### Where a server hangs")[2].partition("### ")[0]
    assert "`llama-cpp-watchdog` watches `chat`, and restarts it up to 2 times, then gives up and says so." in section
    assert commands(section) == [
        "ssh m journalctl -n 50 -u llama-cpp-watchdog",
        "ssh m journalctl -k -g amdgpu -n 50",
        "ssh m systemctl restart --no-block llama-cpp",
        "ssh m systemctl stop llama-cpp-watchdog",
    ]


def test_the_whole_ladder_is_told_in_its_order(book: Callable[..., str]) -> None:
    health = 'health = { restarts = 1, fallback = "o", reboot = true, reboot_interval_hours = 6 }\n'
    ladder = "restarts it once, then starts `o` in its place, then reboots the machine, at most once in 6 hours"
    assert f"{ladder}, then gives up and says so." in book(f"{CHAT}{health}{OLLAMA}")


def test_a_server_that_nothing_watches_has_no_such_section(book: Callable[..., str]) -> None:
    assert "watchdog" not in book(OLLAMA)
