"""What is expected of a machine comes from its spec, and from a plan where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog.acceptance import facts
from generator.catalog.metrics import counters, samples
from generator.spec.load import load_spec
from generator.verify.expectation import expectations
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_service_answers_under_its_models_name_with_its_context() -> None:
    (llm,) = expectations(load_spec(ROOT / "examples" / "aspen1.toml"), "aspen1").services
    assert (llm.name, llm.context, llm.concurrency) == ("ArliAI/gpt-oss-120b-Derestricted", 4096, 4)


def test_the_budget_of_a_question_fits_into_a_small_context(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "aspen1.toml").read_text(encoding="utf-8")
    (tmp_path / "small.toml").write_text(text.replace("max_model_len = 4096", "max_model_len = 600"))
    (llm,) = expectations(load_spec(tmp_path / "small.toml"), "aspen1").services
    assert (llm.context, llm.known.max_tokens) == (600, 300)


def test_llama_cpp_divides_its_context_among_its_slots() -> None:
    (chat,) = expectations(load_spec(ROOT / "examples" / "aspen1-llamacpp.toml"), "aspen1").services
    assert (chat.context, chat.concurrency) == (4096, 1)


def test_every_example_has_expectations_for_all_its_services() -> None:
    for example in EXAMPLES:
        spec = load_spec(example)
        for name in spec.deployment.machines:
            found = expectations(spec, name)
            assert [one.service.name for one in found.services] == [
                one.name for one in spec.placement.services_on[name]
            ]
            assert all(one.host not in {"0.0.0.0", "::"} for one in found.services)  # noqa: S104


def test_every_fact_has_its_source() -> None:
    assert all(record["source"] for kind in ("firmware", "log_line", "memory_line") for record in facts()[kind])
    assert all(record["source"] for record in counters().values())


def test_the_metrics_of_vllm_are_among_the_recorded_ones() -> None:
    recorded = (ROOT / "tests" / "data" / "vllm-0.32.0-metrics.txt").read_text(encoding="utf-8")
    for name in samples("vllm"):
        assert f"\n{name}{{" in recorded, name


def test_a_model_without_its_safety_training_is_noted_with_what_that_means() -> None:
    meaning = "the model's safety training was removed: whoever reaches it gets what they ask for"
    noted = expectations(load_spec(ROOT / "examples" / "aspen1.toml"), "aspen1").notes
    assert noted == (f"llm serves justinjja/gpt-oss-120b-Derestricted-MXFP4: {meaning}",)
    assert expectations(load_spec(ROOT / "examples" / "two-machines.json"), "aspen1").notes == ()
