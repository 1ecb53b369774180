"""What is asked of a machine: one command a fact, and its output as it came."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from generator.catalog.acceptance import facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.process import Output
    from generator.verify.expectation import MachineExpectation
    from generator.verify.transport import Transport

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "Result",
    "NRestarts",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "ExecStart",
)
# Who holds the GPU open: the control group of each such process names its service.
_GPU_USERS = (
    "for process in /proc/[0-9]*; do "
    "ls -l $process/fd 2>/dev/null | grep -qE '/dev/(kfd|dri/renderD)' && cat $process/cgroup; done; true"
)
# udev's names of the GPU's nodes change between boots; the kernel's counters are those of all cards together.
_SYSTEM: dict[str, list[str]] = {
    "user": ["id", "-u"],
    "kernel": ["uname", "-r"],
    "cmdline": ["cat", "/proc/cmdline"],
    "meminfo": ["cat", "/proc/meminfo"],
    "gtt_total": ["sh", "-c", "cat /sys/class/drm/card*/device/mem_info_gtt_total"],
    "gtt_used": ["sh", "-c", "cat /sys/class/drm/card*/device/mem_info_gtt_used"],
    "pages_limit": ["cat", "/sys/module/ttm/parameters/pages_limit"],
    "kernel_log": ["sh", "-c", "journalctl -k -b -o cat --no-pager | grep -iE 'amdgpu|ttm|gtt' || dmesg"],
    "firmware": ["sh", "-c", "cat /sys/kernel/debug/dri/*/amdgpu_firmware_info"],
    "gpu_users": ["sh", "-c", _GPU_USERS],
}
_ROCM: dict[str, list[str]] = {
    "rocminfo": ["rocminfo"],
    "rocm_smi": ["sh", "-c", "if command -v amd-smi >/dev/null; then amd-smi list; else rocm-smi; fi"],
    "hipconfig": ["hipconfig", "--check"],
}


def commands(expected: MachineExpectation) -> dict[str, list[str]]:
    """Return the commands to run on a machine, by what they find out."""
    hardware = expected.machine.hardware
    wanted = dict(_SYSTEM)
    if hardware is not None and hardware.accelerator == "rocm":
        wanted |= _ROCM
        wanted["nodes"] = ["stat", "-L", "-c", "%n %a %G", "/dev/kfd", hardware.render_node]
    for service in expected.services:
        unit = service.service.unit
        wanted |= unit_state(unit)
        wanted[f"log:{unit}"] = _log(unit)
        if service.model is not None:
            download = f"llm-model-{service.model.name}.service"
            shown = ("LoadState", "Description", "Result")
            wanted[f"model:{unit}"] = ["systemctl", "show", download, *(f"--property={name}" for name in shown)]
        if service.service.runtime == "container":
            runtime = service.service.container.runtime
            wanted[f"image:{unit}"] = [runtime, "inspect", "--format", "{{.ImageName}} {{.Image}}", unit]
    return wanted


def unit_state(unit: str) -> dict[str, list[str]]:
    """Return the command that shows a unit, by what it finds out."""
    shown = [f"--property={name}" for name in _PROPERTIES]
    return {f"unit:{unit}": ["systemctl", "show", f"{unit}.service", *shown]}


def _log(unit: str) -> list[str]:
    """Return the command for the lines of a unit's log of this boot that a verdict is made of, and nobody's prompts."""
    patterns = [line["pattern"] for line in facts()["memory_line"]]
    patterns += [line[which] for line in facts()["log_line"] for which in ("pattern", "slow")]
    journal = shlex.join(["journalctl", "-b", "-o", "cat", "--no-pager", "-n", "200000", "-u", f"{unit}.service"])
    return ["sh", "-c", f"{journal} | {shlex.join(['grep', '-aE', '|'.join(patterns)])} | tail -n 1000"]


def observe(transport: Transport, wanted: Mapping[str, list[str]]) -> dict[str, Output]:
    """Run the commands. Raises TransportError when the machine cannot be reached."""
    return {name: transport.run(command) for name, command in wanted.items()}


def properties(output: str) -> dict[str, str]:
    """Read ``Name=value`` lines."""
    return dict(line.partition("=")[::2] for line in output.splitlines() if "=" in line)
