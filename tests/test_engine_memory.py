"""The GPU's memory as engines see it: from their own lines, held against what the GPU may take."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from generator.catalog.acceptance import facts
from generator.process import Output
from generator.spec.load import load_spec
from generator.verify import engine_memory
from generator.verify.expectation import expectations
from generator.verify.observe import commands
from generator.verify.transport import Local
from tests import llama
from tests.nix_program import ROOT
from tests.verified import GTT, aspen1, seen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from generator.verify.expectation import MachineExpectation
    from generator.verify.verdict import Verdict

LINES = facts()["memory_line"]
TORCH = next(line["example"] for line in LINES if "out of memory" in line["example"])
FULL = "ROCm0: AMD Radeon Graphics (117760 MiB, 124704 MiB free)"
STARTED = (
    "ActiveState=active\nExecStart={ path=/run/llmflake/with-keys.sh ; argv[]=with-keys.sh /k -- PROGRAM -m x ; }\n"
)


def judged(expected: MachineExpectation, found: Mapping[str, Output]) -> Verdict | None:
    verdicts = list(engine_memory.judge(expected, found))
    assert len(verdicts) <= 1
    return verdicts[0] if verdicts else None


@pytest.mark.parametrize("line", LINES, ids=[line["pattern"] for line in LINES])
def test_a_recorded_line_is_read_and_comes_through_the_machines_grep(line: dict[str, Any]) -> None:
    others = [other for other in LINES if other["engine"] == line["engine"]]
    matches = engine_memory.matches(others, line["example"])
    assert [(record["pattern"], float(match[1])) for record, match in matches] == [(line["pattern"], line["value"])]
    done = subprocess.run(
        ["grep", "-aE", line["pattern"]], input=line["example"], text=True, capture_output=True, check=False
    )
    assert done.stdout.rstrip("\n") == line["example"]


def test_weights_and_cache_are_a_share_of_what_vllm_sees() -> None:
    found = judged(aspen1(), seen())
    assert found is not None
    assert (found.outcome, found.value, found.unit) == ("passed", round((61.33 + 33.81) * 1024 / 0.85), "MiB")
    assert found.criterion.id == "rocm.llm.engine-memory"
    assert found.measured.startswith(
        "at least 114616 MiB: Model loading took 61.33 GiB, Available KV cache memory: 33.81"
    )


@pytest.mark.parametrize(
    ("cache", "outcome"),
    [("33.81", "passed"), ("24.3", "passed"), ("24.1", "failed"), ("0.5", "failed")],
)
def test_parts_may_be_an_eighth_less_for_what_a_step_computes_in(cache: str, outcome: str) -> None:
    found = judged(
        aspen1(), seen(log__vllm=f"Model loading took 61.33 GiB x\nAvailable KV cache memory: {cache} GiB\n")
    )
    assert found is not None
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, "the kernel gives more than HIP takes"),
        ({"gtt_total": f"{62 * 1024**3}\n"}, "the kernel gives no more: ttm.pages_limit takes effect at boot"),
        ({"log__vllm": "GPU 0 has a total capacity of 0.50 GiB of which"}, "HIP sees the firmware's carve-out alone"),
    ],
)
def test_an_engine_that_sees_less_fails_with_what_is_known_to_be_the_cause(
    changes: dict[str, str], advice: str
) -> None:
    found = judged(aspen1(), seen(**{"log__vllm": TORCH, **changes}))
    assert found is not None
    assert found.outcome == "failed"
    assert advice in found.advice


def test_what_was_said_last_counts() -> None:
    healthy = "Model loading took 61.33 GiB memory\nAvailable KV cache memory: 33.81 GiB\n"
    before, after = (
        judged(aspen1(), seen(log__vllm=TORCH + "\n" + healthy)),
        judged(aspen1(), seen(log__vllm=healthy + TORCH)),
    )
    assert before is not None
    assert after is not None
    assert (before.outcome, after.outcome) == ("passed", "failed")
    assert after.measured.startswith("63969 MiB: GPU 0 has a total capacity of 62.47 GiB")


@pytest.mark.parametrize("log", ["", "Model loading took 61.33 GiB memory\n"])
def test_a_log_that_does_not_say_it_is_not_checked(log: str) -> None:
    found = judged(aspen1(), seen(log__vllm=log))
    assert found is not None
    assert found.outcome == "not checked"
    assert "systemctl restart vllm" in found.advice


def test_a_cache_of_a_size_that_was_asked_for_says_nothing_of_the_rest() -> None:
    expected = aspen1()
    (llm,) = expected.services
    fixed = replace(llm, service=replace(llm.service, extra_args=("--kv-cache-memory-bytes", "30G")))
    found = judged(replace(expected, services=(fixed,)), seen())
    assert found is not None
    assert found.outcome == "not checked"


def test_a_machine_without_rocm_or_a_service_without_a_gpu_has_no_verdict() -> None:
    expected = aspen1()
    (llm,) = expected.services
    on_cpu = replace(expected, services=(replace(llm, service=replace(llm.service, gpu=False)),))
    assert judged(on_cpu, seen()) is None
    other = replace(expected, machine=replace(expected.machine, hardware=None))
    assert judged(other, seen()) is None


def llama_machine(folder: Path, more: str = 'backend = "rocm"') -> tuple[MachineExpectation, dict[str, Output]]:
    """Return a machine with llama.cpp, and what it shows while its server runs and says nothing of devices."""
    text = (ROOT / "examples" / "aspen1-llamacpp.toml").read_text(encoding="utf-8")
    (folder / "spec.toml").write_text(text.replace(".llamacpp]\n", f".llamacpp]\n{more}\n", 1), encoding="utf-8")
    expected = expectations(load_spec(folder / "spec.toml"), "aspen1")
    found = {name: Output(0, "", "") for name in commands(expected)}
    found["gtt_total"] = Output(0, f"{GTT * 1024**2}\n", "")
    (unit,) = (one.service.unit for one in expected.services)
    found[f"unit:{unit}"] = Output(0, STARTED.replace("PROGRAM", "/nix/store/x-llama/bin/llama-server"), "")
    return expected, found


def test_a_server_that_says_nothing_is_asked_for_its_devices_by_its_own_program(tmp_path: Path) -> None:
    expected, found = llama_machine(tmp_path)
    asked = engine_memory.questions(expected, found)
    assert asked == {"devices:llama-cpp": ["/nix/store/x-llama/bin/llama-server", "--list-devices"]}
    verdict = judged(expected, {**found, "devices:llama-cpp": Output(0, f"Available devices:\n  {FULL}\n", "")})
    assert verdict is not None
    assert (verdict.outcome, verdict.value) == ("passed", GTT)


def test_a_server_whose_log_says_it_is_not_asked(tmp_path: Path) -> None:
    expected, found = llama_machine(tmp_path)
    found["log:llama-cpp"] = Output(0, "ggml_cuda_init: found 1 ROCm devices (Total VRAM: 63968 MiB):\n", "")
    assert engine_memory.questions(expected, found) == {}
    verdict = judged(expected, found)
    assert verdict is not None
    assert (verdict.outcome, verdict.value) == ("failed", 63968)


def test_a_server_that_is_stopped_is_not_asked_and_not_checked(tmp_path: Path) -> None:
    expected, found = llama_machine(tmp_path)
    found["unit:llama-cpp"] = Output(0, "ActiveState=inactive\n", "")
    assert engine_memory.questions(expected, found) == {}
    verdict = judged(expected, found)
    assert verdict is not None
    assert (verdict.outcome, verdict.advice) == ("not checked", "'systemctl start llama-cpp', then verify again")


def test_vulkan_is_no_measure_of_gtt(tmp_path: Path) -> None:
    expected, found = llama_machine(tmp_path, 'backend = "vulkan"')
    assert engine_memory.questions(expected, found) == {}
    assert judged(expected, found) is None


def test_a_container_is_asked_inside(tmp_path: Path) -> None:
    expected, found = llama_machine(tmp_path)
    (one,) = expected.services
    contained = replace(one, service=replace(one.service, runtime="container"))
    (asked,) = engine_memory.questions(replace(expected, services=(contained,)), found).values()
    assert asked[:5] == ["podman", "exec", "llama-cpp", "sh", "-c"]


def test_a_real_llama_server_without_rocm_lists_no_such_device(tmp_path: Path) -> None:
    programs = llama.required()
    expected, found = llama_machine(tmp_path)
    found["unit:llama-cpp"] = Output(0, STARTED.replace("PROGRAM", programs[0]), "")
    (command,) = engine_memory.questions(expected, found).values()
    assert command == [programs[0], "--list-devices"]
    verdict = judged(expected, {**found, "devices:llama-cpp": Local().run(command)})
    assert verdict is not None
    assert (verdict.outcome, verdict.measured) == ("not checked", "it lists no ROCm device: (none)")
