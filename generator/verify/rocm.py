"""ROCm on the machine: it sees the GPU, and the GPU's memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generator.verify import engine_memory
from generator.verify.system import criterion, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.process import Output
    from generator.verify.expectation import MachineExpectation
    from generator.verify.verdict import Verdict

_RULE = "docs/plan.md section 5, phase 2"
_MISSING = 127
_INSTALL = "put the program on the machine's PATH"


def judge(expected: MachineExpectation, seen: Mapping[str, Output]) -> Iterator[Verdict]:
    """Judge ROCm on a machine that computes with it; others have no such phase."""
    hardware = expected.machine.hardware
    if hardware is None or hardware.accelerator != "rocm":
        return
    yield _agent(expected, hardware.target or "", seen["rocminfo"])
    yield _pool(expected, seen["rocminfo"])
    yield from engine_memory.judge(expected, seen)
    for name, what, program in (
        ("smi", "amd-smi or rocm-smi lists the GPU", "rocm_smi"),
        ("hip", "hipconfig --check finds nothing wrong", "hipconfig"),
    ):
        wanted, output = criterion(expected, "rocm", name, what, _RULE), seen[program]
        if output.code == _MISSING and program == "hipconfig" and not _computes_with_hip(expected):
            continue  # images bring their own HIP, and Vulkan needs none
        if output.code == _MISSING:
            yield wanted.not_checked(unseen(output), _INSTALL)
        else:
            first = next(iter(output.out.strip().splitlines()), "no output")
            yield wanted.decide(
                output.code == 0, first[:80] if output.code == 0 else unseen(output), "see ROCm's setup"
            )


def _computes_with_hip(expected: MachineExpectation) -> bool:
    """Return whether an engine uses the machine's own HIP."""
    services = (one.service for one in expected.services)
    return any(
        service.gpu
        and service.runtime == "native"
        and (service.engine != "llamacpp" or service.flags.get("backend") == "rocm")
        for service in services
    )


def _agent(expected: MachineExpectation, target: str, output: Output) -> Verdict:
    wanted = criterion(expected, "rocm", "agent", f"rocminfo finds {target}", _RULE)
    if output.code == _MISSING:
        return wanted.not_checked(unseen(output), _INSTALL)
    names = re.findall(r"^\s*Name:\s+(gfx[0-9a-f]+)\s*$", output.out, re.MULTILINE)
    said = ", ".join(names) or unseen(output)
    return wanted.decide(target in names, said, "see /dev/kfd's mode, amdgpu in the kernel's log, and the firmware")


def _pool(expected: MachineExpectation, output: Output) -> Verdict:
    """Judge the largest pool of the GPU agent: what ROCm lets an engine take."""
    gtt = expected.machine.gpu_memory_mib or 0
    wanted = criterion(
        expected,
        "rocm",
        "memory",
        f"ROCm sees {gtt} MiB, within a twentieth",
        "spec: machines.*.gtt_mib; sysfs can be right while ROCm sees half",
    )
    agent = re.split(r"^Agent \d+", output.out, flags=re.MULTILINE)
    pools = [
        int(size) // 1024
        for part in agent
        if re.search(r"^\s*Device Type:\s+GPU", part, re.MULTILINE)
        for size in re.findall(r"^\s*Size:\s+(\d+)\(0x[0-9a-f]+\) KB", part, re.MULTILINE)
    ]
    if not pools:
        return wanted.not_checked("rocminfo names no memory of a GPU" if output.code == 0 else unseen(output))
    mib = max(pools)
    advice = "see ttm.pages_limit and the kernel's version; amdgpu.gttsize alone is not enough"
    return wanted.decide(abs(mib - gtt) * 20 <= gtt, f"{mib} MiB", advice, float(mib), "MiB")
