"""A comparison as text and as data."""

from __future__ import annotations

import json

import pytest

from generator.plan.compare import Option, compare
from generator.show.lines import Line, plain
from generator.show.ranking import ranking, ranking_data
from generator.spec.load import load_spec
from tests.nix_program import ROOT

EXAMPLES = {"aspen1": "aspen1", "nvidia": "tower"}


def compared(name: str) -> tuple[str, str, tuple[Option, ...]]:
    loaded = load_spec(ROOT / "examples" / f"{name}.toml")
    machine = loaded.deployment.machines[EXAMPLES[name]]
    (service,) = loaded.placement.services_on[machine.name]
    options = compare(service, machine, loaded.deployment.models[service.model or ""])
    return service.name, machine.name, options


def lines(name: str) -> list[Line]:
    service, machine, options = compared(name)
    return ranking(service, machine, options)


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_line_is_wider_than_a_terminal(name: str) -> None:
    assert max(len(line) for line in plain(lines(name)).splitlines()) <= 100


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_specs_own_choice_is_marked_once(name: str) -> None:
    assert sum(line.startswith("  > ") for line in plain(lines(name)).splitlines()) == 1


def test_llama_cpp_stands_before_vllm_for_one_user_of_the_plans_machine() -> None:
    first, *_ = (line for line in plain(lines("aspen1")).splitlines() if line.startswith("    "))
    assert first.split()[:3] == ["llamacpp", "vulkan,", "ggml-org/gpt-oss-120b-GGUF"]


def test_the_plans_repository_is_named_as_what_does_not_fit_at_any_context() -> None:
    text = plain(lines("aspen1"))
    assert "vllm rocm, ArliAI/gpt-oss-120b-Derestricted" in text.partition("does not fit")[2]
    assert text.rstrip().endswith("not feasible at 4096, 8192, 32768, 131072")


def test_the_data_has_the_options_in_the_same_order_and_is_json() -> None:
    service, machine, options = compared("nvidia")
    data = json.loads(json.dumps(ranking_data(service, machine, options)))
    assert (data["service"], data["machine"]) == ("chat", "tower")
    fits = [option["verdict"].startswith("feasible") for option in data["options"]]
    assert fits == sorted(fits, reverse=True)
    chosen = next(option for option in data["options"] if option["asked"])
    assert chosen["decode"]["low"] < chosen["decode"]["value"] < chosen["decode"]["high"]


def test_nothing_is_said_where_nothing_can_be_compared() -> None:
    assert plain(ranking("a", "m", ())) == "a on m\n"
