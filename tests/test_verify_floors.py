"""What a service is accepted by: its spec's wishes, and what the plan says beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generator.plan.planner import make_plan
from generator.plan.result import Plan
from generator.spec.load import Spec, load_spec
from generator.verify.floors import Bound, floors
from tests.nix_program import ROOT

MIB = 1024**2
SLACK = 1.05  # what an engine takes beside its share is not known


def planned(name: str) -> tuple[Spec, Plan]:
    spec = load_spec(ROOT / "examples" / f"{name}.toml")
    return spec, make_plan(spec.deployment, spec.placement)


@pytest.mark.parametrize(("field", "value"), [("first_token", 5.0), ("decode", 10.0)])
def test_a_spec_that_asks_for_nothing_is_held_to_the_criteria_of_the_plan_of_old(field: str, value: float) -> None:
    spec, _ = planned("aspen1")
    bound: Bound = getattr(floors(spec.deployment.services["llm"], Plan(()), "aspen1"), field)
    assert bound.value == value
    assert bound.rule.startswith(f"spec: services.llm.expect.{field}")


def test_the_band_is_the_plans_estimate_of_one_user() -> None:
    spec, plan = planned("aspen1-llamacpp")
    (service,) = plan.machines[0].services
    assert service.speed is not None
    assert service.speed.decode is not None
    found = floors(spec.deployment.services[service.service], plan, "aspen1")
    assert found.band == (service.speed.decode.low, service.speed.decode.high)


def test_memory_is_held_against_what_the_plan_says_at_most() -> None:
    spec, plan = planned("aspen1-llamacpp")
    (service,) = plan.machines[0].services
    found = floors(spec.deployment.services[service.service], plan, "aspen1").memory
    assert found is not None
    assert found.value == round(SLACK * sum(part.high for part in service.memory.parts) / MIB)
    assert service.memory.claim is not None
    assert service.memory.claim / MIB <= found.value <= service.memory.available / MIB


def test_a_service_that_is_accepted_as_slow_is_held_to_the_plans_worst_case() -> None:
    spec, plan = planned("aspen1-llamacpp")
    (machine,) = plan.machines
    (service,) = machine.services
    assert service.speed is not None
    assert service.speed.decode is not None
    asked = spec.deployment.services[service.service]
    eager = replace(
        asked, accept=("slow",), expect=replace(asked.expect, decode_tokens_s=service.speed.decode.high * 2)
    )
    slow = replace(service, needs=("slow",))
    found = floors(eager, Plan((replace(machine, services=(slow,)),)), "aspen1")
    assert found.decode.value == service.speed.decode.low
    assert found.decode.rule.startswith("plan: ")
    impatient = floors(replace(eager, accept=()), Plan((replace(machine, services=(slow,)),)), "aspen1")
    assert impatient.decode.value == service.speed.decode.high * 2


def test_a_service_whose_plan_knows_nothing_has_its_specs_floors_alone() -> None:
    spec, _ = planned("aspen1")
    found = floors(spec.deployment.services["llm"], Plan(()), "aspen1")
    assert (found.band, found.memory) == (None, None)


def test_the_first_tokens_band_is_the_plans_estimate_at_the_length_of_prompt_that_the_spec_names() -> None:
    spec, plan = planned("aspen1-llamacpp")
    (service,) = plan.machines[0].services
    assert service.speed is not None
    assert service.speed.first_token is not None
    assert service.speed.prompt == spec.deployment.services[service.service].expect.prompt_tokens
    found = floors(spec.deployment.services[service.service], plan, "aspen1")
    assert found.first_band == (service.speed.first_token.low, service.speed.first_token.high)


@pytest.mark.parametrize(
    ("example", "service", "most"),
    [
        ("aspen1.toml", "llm", 0.85 * 117760),
        ("two-machines.json", "batch", 0.85 * 117760),
        ("vllm-native.toml", "llm-gptoss", 0.85 * 117760),
    ],
)
def test_vllm_takes_its_share_at_most_whatever_its_parts_may_be(example: str, service: str, most: float) -> None:
    spec = load_spec(ROOT / "examples" / example)
    plan = make_plan(spec.deployment, spec.placement)
    found = floors(spec.deployment.services[service], plan, "aspen1").memory
    assert found is not None
    assert found.value == round(SLACK * most)
    assert found.rule == f"plan: {service}, at most"


def test_services_beside_each_other_take_the_sum_of_what_each_takes_at_most() -> None:
    spec, plan = planned("aspen1-hybrid")
    batch, chat = plan.machines[0].services
    assert batch.memory.claim is not None
    found = floors(spec.deployment.services["batch"], plan, "aspen1").memory
    assert found is not None
    most = batch.memory.claim + sum(part.high for part in chat.memory.parts)
    assert found.value == round(min(SLACK * most, batch.memory.available) / MIB)


def test_no_bound_of_memory_is_beyond_what_the_gpu_has() -> None:
    spec, plan = planned("aspen1-llamacpp")
    (machine,) = plan.machines
    (service,) = machine.services
    wide = tuple(replace(part, high=part.high * 3) for part in service.memory.parts)
    much = replace(service, memory=replace(service.memory, parts=wide))
    found = floors(spec.deployment.services["chat"], Plan((replace(machine, services=(much,)),)), "aspen1").memory
    assert found is not None
    assert found.value == round(service.memory.available / MIB)
    assert found.rule == "plan: chat, at most, which is all that the GPU has"


def test_a_cache_of_a_size_that_was_asked_for_is_beside_estimates_and_in_no_share() -> None:
    spec, plan = planned("aspen1")
    (machine,) = plan.machines
    (service,) = machine.services
    weights, cache, rest = service.memory.parts
    fixed = replace(cache, bytes=8e9, low=8e9, high=8e9)
    taken = replace(service.memory, parts=(weights, fixed, rest), claim=weights.bytes + 8e9 + rest.bytes)
    sized = replace(machine, services=(replace(service, memory=taken),))
    found = floors(spec.deployment.services["llm"], Plan((sized,)), "aspen1").memory
    assert found is not None
    assert found.value == round(SLACK * (weights.high + 8e9 + rest.high) / MIB)
