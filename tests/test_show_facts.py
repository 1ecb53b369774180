"""What is said of a service, and in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generator.plan.result import Limits, MachinePlan
from generator.show import facts
from generator.show.facts import Fact
from tests.shown import CROWDED, GIB, example, machine, plan_of, service

ASPEN1 = service(example("aspen1.toml"), "llm")
LLAMA = service(example("aspen1-llamacpp.toml"), "chat")
SMALL = service(example("two-machines.json"), "small")
OLLAMA = service(example("ollama.toml"), "ollama")


def test_the_verdict_is_worded_as_the_plan_words_it() -> None:
    assert facts.verdict(ASPEN1) == "FEASIBLE WITH CAVEATS"


def test_what_runs_is_named_with_release_model_and_format() -> None:
    assert facts.serves(ASPEN1) == "vLLM 0.23.0 serves justinjja/gpt-oss-120b-Derestricted-MXFP4 (mxfp4)"
    assert facts.serves(OLLAMA) == "Ollama"


def test_a_service_on_the_cpu_says_so() -> None:
    assert facts.serves(service(plan_of(CROWDED), "on-cpu")).endswith(", on the CPU")


def test_parts_that_are_arithmetic_have_no_band() -> None:
    bands = {fact.label: fact.band for fact in facts.memory(LLAMA)}
    assert bands["KV cache"] == bands["weights"] == bands["claim"] == ""
    assert bands["compute buffers"] == "0.3 to 0.4"


def test_what_is_too_much_for_vllms_share_is_said() -> None:
    lines = list(facts.memory(service(plan_of(CROWDED), "seed")))
    assert Fact("too much for the claim", "122.4") in lines
    assert "too much for the claim" not in [fact.label for fact in facts.memory(ASPEN1)]


def test_each_measurement_stands_beside_the_estimate_of_its_kind() -> None:
    paces = list(facts.paces(LLAMA))
    assert [pace.kind for pace in paces] == ["decode", "deep", "batch", "prompt", "first"]
    for pace in paces:
        assert {entry.kind for entry in pace.measured} <= {pace.kind}
    assert sum(len(pace.measured) for pace in paces) == len(LLAMA.measured) > 0


def test_measurements_are_shown_where_no_estimate_is() -> None:
    bare = replace(LLAMA, speed=None)
    shown = [entry for pace in facts.paces(bare) for entry in pace.measured]
    assert sorted(shown, key=str) == sorted(LLAMA.measured, key=str)


def test_an_estimate_that_does_not_exist_is_unknown() -> None:
    (pace,) = facts.paces(OLLAMA)
    assert (pace.value, pace.band, pace.known) == ("unknown", "", False)


def test_the_first_token_is_in_seconds() -> None:
    first = next(pace for pace in facts.paces(LLAMA) if pace.kind == "first")
    assert (first.value, first.band) == ("0.83", "0.59 to 1.3")


def test_a_source_is_listed_once() -> None:
    entry = LLAMA.measured[0]
    assert facts.sources(replace(LLAMA, measured=(entry, replace(entry, value=1.0)))) == [entry.source]


@pytest.mark.parametrize(
    ("engine", "limits", "asked", "context", "concurrency"),
    [
        (
            "vllm",
            Limits(4096, 4, 131072, 82),
            "4 sequences of 4096 tokens",
            "131072 tokens for one sequence",
            "82 sequences of 4096 tokens",
        ),
        (
            "llamacpp",
            Limits(4096, 4, 9000, 1),
            "4 sequences of 4096 tokens",
            "9000 tokens for each of 4",
            "1 sequence of 4096 tokens",
        ),
        (
            "llamacpp",
            Limits(4096, 4, 131072, None, shared=True),
            "4096 tokens, shared by 4 sequences",
            "131072 tokens shared by 4 sequences",
            "unknown",
        ),
        ("llamacpp", Limits(4096, 1, 0, 0), "1 sequence of 4096 tokens", "none", "none"),
    ],
)
def test_context_and_concurrency_in_words(
    engine: str, limits: Limits, asked: str, context: str, concurrency: str
) -> None:
    lines = [fact.value for fact in facts.sizes(replace(ASPEN1, engine=engine, limits=limits))]
    assert lines == [asked, context, concurrency]


def test_unknown_sizes_are_unknown() -> None:
    assert list(facts.sizes(OLLAMA)) == [Fact("asked", "unknown")]


def test_without_the_disks_speed_loading_says_what_to_set() -> None:
    values = [fact.value for fact in facts.start(SMALL)]
    assert values == ["11.3 GiB", "unknown: set machines.aspen1.disk.read_mib_s"]


def test_loading_takes_at_least_as_long_as_the_disk() -> None:
    assert [fact.value for fact in facts.start(ASPEN1)][1] == "10 s at least, by the disk's speed"


def test_needs_say_whether_they_are_accepted() -> None:
    half = replace(ASPEN1, accepted=("slow",))
    assert [(need, accepted) for need, accepted, _ in facts.needs(half)] == [("slow", True), ("unproven", False)]


def test_a_machines_memory_is_a_sentence() -> None:
    assert facts.machine_memory(example("aspen1.toml").machines[0]) == (
        "the GPU may use 115.0 GiB, the system keeps 10.2 GiB of the memory that they share, "
        "services take 97.8 GiB at once"
    )


def test_a_gpu_with_memory_of_its_own_leaves_the_system_out() -> None:
    assert "system" not in facts.machine_memory(example("nvidia.toml").machines[0])


def test_what_the_system_keeps_is_unknown_where_nobody_looked() -> None:
    told = facts.machine_memory(replace(machine(plan_of(CROWDED), "one"), system=None))
    assert "the system keeps the rest of nominally 128.0 GiB; what it sees of them is unknown" in told


def test_a_machine_without_a_gpu_speaks_of_none() -> None:
    assert facts.machine_memory(machine(plan_of(CROWDED), "two")).startswith("services may use 64.0 GiB")


def test_hardware_that_the_catalog_does_not_know_is_unknown() -> None:
    unknown = MachinePlan("m", "x", "", "", unified=False, available=None, system=None, total=0.0, together=None)
    assert "unknown" in facts.machine_memory(unknown)
    assert facts.headroom(unknown) is None


def test_headroom_is_negative_where_services_take_too_much() -> None:
    left = facts.headroom(machine(plan_of(CROWDED), "one"))
    assert left is not None
    assert left < -20 * GIB
