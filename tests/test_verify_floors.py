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
    assert found.value == round(sum(part.high for part in service.memory.parts) / MIB)
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
