"""Verdicts on a machine's kernel, GPU, ROCm and services, from what its programs print."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from generator.process import Output
from generator.verify import rocm, service, system
from generator.verify.floors import Bound
from generator.verify.system import numbers
from tests.verified import GTT, ROCMINFO, SEEN, UNIT, aspen1, seen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.verify.verdict import Verdict

GONE = Output(127, "", "sh: rocminfo: not found")
DENIED = Output(1, "", "cat: /sys/kernel/debug: Permission denied")


def verdicts(found: Mapping[str, Output]) -> dict[str, Verdict]:
    expected = aspen1()
    judged = [
        *system.judge(expected, found),
        *rocm.judge(expected, found),
        *service.judge(expected, found),
    ]
    assert len({verdict.criterion.id for verdict in judged}) == len(judged)
    return {verdict.criterion.id: verdict for verdict in judged}


def test_the_plans_machine_as_it_should_be_is_accepted() -> None:
    found = verdicts(seen())
    assert {name: verdict.measured for name, verdict in found.items() if verdict.outcome != "passed"} == {}
    assert found["system.aspen1.gtt"].measured == "117760 MiB (123480309760 bytes)"
    assert len(found) >= 16


@pytest.mark.parametrize(
    ("change", "output", "criterion", "measured"),
    [
        ("kernel", "6.16.9\n", "system.aspen1.kernel", "6.16.9"),
        ("kernel", "6.18.3-rc2\n", "system.aspen1.kernel", "6.18.3-rc2"),
        ("gtt_total", f"{62 * 1024**3}\n", "system.aspen1.gtt", "63488 MiB"),
        ("pages_limit", "25165824\n", "system.aspen1.ttm", "25165824"),
        ("kernel_log", "amdgpu: 63488M of GTT memory ready.", "system.aspen1.kernel-log", "63488 MiB"),
        ("cmdline", "init=/init quiet", "system.aspen1.cmdline", "missing: amd_iommu=off"),
        (
            "firmware",
            "MES feature version: 1, firmware version: 0x00000083",
            "system.aspen1.firmware-MES",
            "0x00000083",
        ),
        ("nodes", "/dev/kfd 660 render\n/dev/dri/renderD128 666 render", "system.aspen1.nodes", "/dev/kfd 660"),
        ("gpu_users", "0::/system.slice/ollama.service", "system.aspen1.gpu-users", "ollama.service"),
        ("meminfo", "MemAvailable:    200000 kB", "system.aspen1.free-memory", "195 MiB"),
        ("rocminfo", ROCMINFO.replace("gfx1151", "gfx1100"), "rocm.aspen1.agent", "gfx1100"),
        ("rocminfo", ROCMINFO.replace(str(GTT * 1024), str(GTT * 512)), "rocm.aspen1.memory", "58880 MiB"),
        ("hipconfig", Output(1, "", "clang not found"), "rocm.aspen1.hip", "clang not found"),
        ("unit__vllm", UNIT.replace("=active", "=failed"), "service.llm.active", "failed"),
        ("unit__vllm", UNIT.replace("NRestarts=0", "NRestarts=3"), "service.llm.restarts", "3 restarts"),
        (
            "unit__vllm",
            UNIT.replace("DropInPaths=", "DropInPaths=/run/x.conf"),
            "service.llm.unit-files",
            "/run/x.conf",
        ),
        ("unit__vllm", UNIT.replace("Reload=no", "Reload=yes"), "service.llm.unit-files", "changed on disk"),
        ("image__vllm", "docker.io/rocm/vllm:latest 99", "service.llm.image", "latest"),
        ("log__vllm", "INFO Using 'EMULATION' Mxfp4 MoE backend.", "service.llm.fast-path", "EMULATION"),
        ("model__vllm", "LoadState=loaded\nResult=success\nDescription=another", "service.llm.model", "another"),
    ],
)
def test_what_is_not_as_it_should_be_fails(change: str, output: str | Output, criterion: str, measured: str) -> None:
    found = verdicts(seen(**{change: output}))
    failed = {name for name, verdict in found.items() if verdict.outcome == "failed"}
    assert failed == {criterion}
    assert measured in found[criterion].measured
    assert found[criterion].advice


@pytest.mark.parametrize(
    ("change", "output", "criteria"),
    [
        ("gtt_total", DENIED, {"system.aspen1.gtt"}),
        ("pages_limit", DENIED, {"system.aspen1.ttm"}),
        ("kernel_log", "", {"system.aspen1.kernel-log"}),
        ("firmware", DENIED, {"system.aspen1.firmware-MES"}),
        ("user", "1000\n", {"system.aspen1.gpu-users"}),
        ("rocminfo", GONE, {"rocm.aspen1.agent", "rocm.aspen1.memory"}),
        ("image__vllm", Output(125, "", "no such container"), {"service.llm.image"}),
        ("log__vllm", "a log that says nothing of it", {"service.llm.fast-path", "rocm.llm.engine-memory"}),
        ("unit__vllm", Output(1, "", "no systemd"), {"service.llm.active"}),
    ],
)
def test_what_cannot_be_seen_is_not_checked_and_never_passed(
    change: str, output: str | Output, criteria: set[str]
) -> None:
    found = verdicts(seen(**{change: output}))
    assert {name for name, verdict in found.items() if verdict.outcome == "not checked"} == criteria
    assert not [name for name, verdict in found.items() if verdict.outcome == "failed"]


@pytest.mark.parametrize(
    ("engine", "runtime", "flags", "asked"),
    [
        ("vllm", "container", {}, False),
        ("llamacpp", "native", {"backend": "vulkan"}, False),
        ("llamacpp", "native", {}, False),
        ("llamacpp", "native", {"backend": "rocm"}, True),
        ("vllm", "native", {}, True),
        ("ollama", "native", {}, True),
    ],
)
def test_a_machine_without_hipconfig_is_asked_for_it_where_an_engine_uses_its_hip(
    engine: str,
    runtime: str,
    flags: dict[str, Any],
    asked: bool,  # noqa: FBT001
) -> None:
    expected = aspen1()
    (llm,) = expected.services
    one = replace(llm, service=replace(llm.service, engine=engine, runtime=runtime, flags=flags))
    judged = rocm.judge(replace(expected, services=(one,)), seen(hipconfig=GONE))
    found = [verdict.outcome for verdict in judged if verdict.criterion.name == "hip"]
    assert found == (["not checked"] if asked else [])


def test_a_machine_with_hipconfig_is_judged_by_it_whoever_uses_it() -> None:
    found = {verdict.criterion.name: verdict for verdict in rocm.judge(aspen1(), seen())}
    assert found["hip"].outcome == "passed"


@pytest.mark.parametrize(("mib", "outcome"), [(100096, "passed"), (105200, "failed"), (117760, "failed")])
def test_more_memory_than_vllms_share_and_a_twentieth_fails(mib: int, outcome: str) -> None:
    found = verdicts(seen(gtt_used=f"{mib * 1024**2}\n"))["service.llm.memory"]
    assert (found.outcome, found.value) == (outcome, float(mib))


def test_a_machine_of_which_nothing_is_known_passes_nothing_of_the_gpu() -> None:
    found = verdicts({name: Output(127, "", "not found") for name in SEEN})
    assert [name for name, verdict in found.items() if verdict.outcome == "passed"] == []


def test_a_service_that_starts_by_hand_says_how() -> None:
    expected = aspen1()
    (llm,) = expected.services
    by_hand = replace(expected, services=(replace(llm, service=replace(llm.service, start_on_boot=False)),))
    stopped = UNIT.replace("ActiveState=active", "ActiveState=inactive")
    (active, *_) = service.judge(by_hand, seen(unit__vllm=stopped))
    assert active.outcome == "failed"
    assert "systemctl start vllm" in active.advice


@pytest.mark.parametrize(("limit", "outcome"), [(80000.0, "passed"), (60000.0, "failed")])
def test_memory_in_use_is_held_against_the_plan(limit: float, outcome: str) -> None:
    expected = aspen1()
    (llm,) = expected.services
    planned = replace(llm, floors=replace(llm.floors, memory=Bound(limit, "plan: weights and KV cache")))
    found = {
        verdict.criterion.name: verdict for verdict in service.judge(replace(expected, services=(planned,)), seen())
    }
    assert (found["memory"].outcome, found["memory"].value) == (outcome, 70000.0)


@pytest.mark.parametrize(
    ("text", "parts"), [("6.18.4", (6, 18, 4)), ("7.0-rc3", (7, 0)), ("6.18.40-zen1", (6, 18, 40))]
)
def test_versions_are_numbers(text: str, parts: tuple[int, ...]) -> None:
    assert numbers(text) == parts
