"""The machine itself: kernel, memory of the GPU, firmware, device nodes, who else uses the GPU."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generator.catalog.acceptance import facts
from generator.verify.verdict import Criterion, Phase, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.process import Output
    from generator.verify.expectation import MachineExpectation

_MIB = 1024 * 1024
_REBOOT = "deploy the spec again and reboot: kernel and parameters take effect at boot"
_BY_HAND = "run verify as root on the machine, or look by hand"


def judge(expected: MachineExpectation, seen: Mapping[str, Output]) -> Iterator[Verdict]:
    """Judge what was seen of a machine."""
    machine = expected.machine
    if machine.kernel.minimum is not None:
        yield _kernel(expected, seen["kernel"])
    if machine.gtt_mib is not None:
        yield from _memory(expected, machine.gtt_mib, seen)
    if machine.iommu != "default" or machine.kernel.parameters:
        yield _parameters(expected, seen["cmdline"])
    hardware = machine.hardware
    if hardware is not None and hardware.accelerator == "rocm":
        yield from _firmware(expected, hardware.target, seen["firmware"])
        if machine.udev_rules:
            yield _nodes(expected, seen["nodes"])
    if hardware is not None and hardware.accelerator != "cpu":
        yield _gpu_users(expected, seen)
    yield _free_memory(expected, seen["meminfo"])


def criterion(expected: MachineExpectation, phase: Phase, name: str, what: str, rule: str) -> Criterion:
    """Return a criterion of a machine."""
    return Criterion(phase, name, expected.machine.name, what, rule)


def numbers(text: str) -> tuple[int, ...]:
    """Return a version's leading numbers: ``6.18.4-rc1`` is (6, 18, 4)."""
    return tuple(int(part) for part in re.findall(r"\d+", text.split("-", 1)[0]))


def unseen(output: Output) -> str:
    """Say why a command said nothing."""
    said = (output.err or output.out).strip().splitlines()
    return said[-1].strip()[:160] if said else f"exit code {output.code}"


def _kernel(expected: MachineExpectation, output: Output) -> Verdict:
    minimum = expected.machine.kernel.minimum or ""
    wanted = criterion(expected, "system", "kernel", f"kernel {minimum} or newer", "spec: machines.*.kernel.minimum")
    if output.code != 0:
        return wanted.not_checked(unseen(output))
    running = output.out.strip()
    return wanted.decide(numbers(running) >= numbers(minimum), running, _REBOOT)


def _memory(expected: MachineExpectation, gtt_mib: int, seen: Mapping[str, Output]) -> Iterator[Verdict]:
    rule = "spec: machines.*.gtt_mib"
    total = criterion(expected, "system", "gtt", f"the GPU may take {gtt_mib} MiB", rule)
    values = [int(line) for line in seen["gtt_total"].out.split() if line.isdigit()]
    if not values:
        yield total.not_checked(unseen(seen["gtt_total"]))
    else:
        mib = max(values) // _MIB
        yield total.decide(mib == gtt_mib, f"{mib} MiB ({max(values)} bytes)", _REBOOT, float(mib), "MiB")
    pages = criterion(expected, "system", "ttm", f"ttm.pages_limit is {gtt_mib * 256}", rule)
    limit = seen["pages_limit"].out.strip()
    if seen["pages_limit"].code != 0 or not limit.isdigit():
        yield pages.not_checked(unseen(seen["pages_limit"]))
    else:
        yield pages.decide(int(limit) == gtt_mib * 256, limit, _REBOOT)
    log = criterion(expected, "system", "kernel-log", "the kernel made that much GTT memory ready", rule)
    found = re.search(r"(\d+)M of GTT memory ready", seen["kernel_log"].out)
    if found is None:
        yield log.not_checked("the kernel's log does not say it", _BY_HAND)
    else:
        yield log.decide(int(found[1]) == gtt_mib, f"{found[1]} MiB", _REBOOT)


def _parameters(expected: MachineExpectation, output: Output) -> Verdict:
    machine = expected.machine
    asked = {"off": ["amd_iommu=off"], "passthrough": ["iommu=pt"]}.get(machine.iommu, [])
    asked = [*asked, *machine.kernel.parameters]
    wanted = criterion(
        expected,
        "system",
        "cmdline",
        f"the kernel was started with {' '.join(asked)}",
        "spec: machines.*.iommu, machines.*.kernel.parameters",
    )
    if output.code != 0:
        return wanted.not_checked(unseen(output))
    missing = [parameter for parameter in asked if parameter not in output.out.split()]
    return wanted.decide(not missing, f"missing: {' '.join(missing)}" if missing else "all there", _REBOOT)


def _firmware(expected: MachineExpectation, target: str | None, output: Output) -> Iterator[Verdict]:
    for record in facts()["firmware"]:
        if record["target"] != target:
            continue
        name, bad = record["name"], record["bad"]
        wanted = criterion(expected, "system", f"firmware-{name}", f"{name} firmware is not {bad}", record["source"])
        found = re.findall(rf"^{name}\b.*firmware version: (0x[0-9a-fA-F]+)", output.out, re.MULTILINE)
        if not found:
            yield wanted.not_checked(unseen(output), _BY_HAND)
        else:
            good = all(int(version, 16) != int(bad, 16) for version in found)
            yield wanted.decide(good, ", ".join(found), record["advice"])


def _nodes(expected: MachineExpectation, output: Output) -> Verdict:
    wanted = criterion(
        expected, "system", "nodes", "/dev/kfd and the render node: group render, mode 666", "docs/plan.md section 2 B"
    )
    lines = [line.split() for line in output.out.splitlines()]
    if output.code != 0 or not lines:
        return wanted.failed(unseen(output), "deploy the spec again; see whether amdgpu is loaded")
    holds = all(line[1:] == ["666", "render"] for line in lines)
    return wanted.decide(holds, "; ".join(" ".join(line) for line in lines), "deploy the spec again, then reboot")


def _gpu_users(expected: MachineExpectation, seen: Mapping[str, Output]) -> Verdict:
    names = {f"{service.service.unit}.service" for service in expected.services if service.service.gpu}
    wanted = criterion(
        expected, "system", "gpu-users", "nobody but the spec's services has the GPU open", "one GPU service at a time"
    )
    output = seen["gpu_users"]
    if seen["user"].out.strip() != "0":
        return wanted.not_checked("only root sees who has the GPU open", "log in as root")
    if output.code != 0:
        return wanted.not_checked(unseen(output))
    groups = {line.rpartition(":")[2] for line in output.out.splitlines()}
    # A container's processes are in a scope of its runtime, beside its service.
    contained = any(service.service.runtime == "container" for service in expected.services)
    others = sorted(
        group
        for group in groups
        if not names & set(group.split("/")) and not (contained and re.search(r"/(libpod|docker)-", group))
    )
    advice = "stop the other: two that share the GPU run out of memory together"
    return wanted.decide(not others, ", ".join(others) or "nobody else", advice)


def _free_memory(expected: MachineExpectation, output: Output) -> Verdict:
    least, rule = facts()["service"]["free_memory_mib"], facts()["service"]["source"]
    wanted = criterion(expected, "system", "free-memory", f"{least} MiB of memory are available beside the GPU's", rule)
    found = re.search(r"^MemAvailable:\s+(\d+) kB", output.out, re.MULTILINE)
    if found is None:
        return wanted.not_checked(unseen(output))
    mib = int(found[1]) // 1024
    advice = "lower gtt_mib, vllm.gpu_memory_utilization or the context"
    return wanted.decide(mib >= least, f"{mib} MiB", advice, float(mib), "MiB")
