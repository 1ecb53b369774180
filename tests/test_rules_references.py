"""Names that nothing has: hardware, machines, tags, models, services."""

from __future__ import annotations

import pytest

from generator.catalog.load import hardware
from generator.spec.rules.references import check
from tests.rule_checks import ASPEN1, MODELS, told


def test_names_that_something_has_are_right() -> None:
    text = """
[machines.aspen2]
hardware = { accelerator = "cpu", memory_mib = 1024 }
tags = ["llm"]
[services.a]
engine = "vllm"
machines = ["aspen1"]
tags = ["llm", "all", "nixos"]
model = "weights"
conflicts = ["b"]
[services.b]
engine = "ollama"
machines = ["aspen2"]
"""
    assert told(check, text, ASPEN1, MODELS) == []


def test_hardware_that_the_catalog_has_not_is_told_with_the_nearest() -> None:
    assert told(check, '[machines.m]\nhardware = "strix-halo-129"') == [
        (
            '2:12: machines.m.hardware: the catalog has no hardware "strix-halo-129"; '
            'did you mean "strix-halo-128"?; or describe it in a table'
        )
    ]


def test_hardware_like_no_other_is_told_with_what_there_is() -> None:
    names = sorted(hardware())
    assert told(check, '[machines.m]\nhardware = "abacus"') == [
        (
            f'2:12: machines.m.hardware: the catalog has no hardware "abacus"; known are {", ".join(names[:8])} '
            f"and {len(names) - 8} more; or describe it in a table"
        )
    ]


@pytest.mark.parametrize("tag", ["all", "nixos", "darwin"])
def test_a_tag_that_clan_gives_by_itself_is_refused_on_a_machine(tag: str) -> None:
    assert told(check, f'[machines.m]\nhardware = "h100"\ntags = ["a", "{tag}"]') == [
        f'3:14: machines.m.tags[1]: clan gives the tag "{tag}" by itself; leave it out here; services may still use it'
    ]


def test_a_machine_that_every_machine_is_is_refused() -> None:
    assert told(check, '[machines.localhost]\nhardware = "h100"') == [
        "1:11: machines.localhost: every machine is localhost; use its own name"
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("aspen2", 'did you mean "aspen1"?'), ("zzz", "known are aspen1")],
)
def test_a_machine_that_is_not_there_is_told_with_those_that_are(name: str, hint: str) -> None:
    text = f'[services.a]\nengine = "ollama"\nmachines = ["aspen1", "{name}"]'
    assert told(check, text, ASPEN1) == [f'3:23: services.a.machines[1]: there is no machine "{name}"; {hint}']


def test_a_tag_that_no_machine_has_is_told_with_the_nearest() -> None:
    text = '[machines.m]\nhardware = "h100"\ntags = ["llm"]\n[services.a]\nengine = "ollama"\ntags = ["lllm"]'
    assert told(check, text) == ['6:9: services.a.tags[0]: no machine has the tag "lllm"; did you mean "llm"?']


def test_a_tag_where_there_are_none_is_told_how_to_make_it() -> None:
    assert told(check, '[services.a]\nengine = "ollama"\ntags = ["llm"]', ASPEN1) == [
        '3:9: services.a.tags[0]: no machine has the tag "llm"; add tags = ["llm"] to a machine'
    ]


def test_a_service_that_runs_nowhere_is_told_how_to_say_where() -> None:
    assert told(check, '[services.a]\nengine = "ollama"', ASPEN1) == [
        '1:11: services.a: the service runs on no machine; add machines = ["…"] or tags = ["…"]'
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("weight", 'did you mean "weights"?'), ("zzz", "known are gguf, mxfp4, weights")],
)
def test_a_model_that_is_not_there_is_told_with_those_that_are(name: str, hint: str) -> None:
    text = f'[services.a]\nengine = "vllm"\nmachines = ["aspen1"]\nmodel = "{name}"'
    assert told(check, text, ASPEN1, MODELS) == [f'4:9: services.a.model: there is no model "{name}"; {hint}']


def test_a_model_where_there_are_none_is_told_how_to_add_it() -> None:
    text = '[services.a]\nengine = "vllm"\nmachines = ["aspen1"]\nmodel = "m"'
    assert told(check, text, ASPEN1) == ['4:9: services.a.model: there is no model "m"; add [models.m]']


def test_conflicts_with_itself_and_with_nothing_are_refused() -> None:
    text = '[services.a]\nengine = "ollama"\nmachines = ["aspen1"]\nconflicts = ["a", "bb", "c"]\n'
    text += '[services.b]\nengine = "ollama"\nmachines = ["aspen1"]'
    assert told(check, text, ASPEN1) == [
        "4:14: services.a.conflicts[0]: a service cannot conflict with itself; leave it out",
        '4:19: services.a.conflicts[1]: there is no service "bb"; did you mean "b"?',
        '4:25: services.a.conflicts[2]: there is no service "c"; known are b',
    ]


def test_a_conflict_of_the_only_service_is_told_to_go() -> None:
    text = '[services.a]\nengine = "ollama"\nmachines = ["aspen1"]\nconflicts = ["b"]'
    assert told(check, text, ASPEN1) == ['4:14: services.a.conflicts[0]: there is no service "b"; leave it out']
