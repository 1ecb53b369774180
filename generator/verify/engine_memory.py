"""The GPU's memory as an engine sees it: sysfs can be right while HIP sees half, and HIP's view is what counts.

Nothing initialises the GPU for it beside the engine but llama-server's own list of devices: a second process with torch
takes gibibytes from a machine whose memory is planned, so that vLLM's own words have to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.catalog.acceptance import facts
from generator.plan.arguments import flags_of
from generator.plan.defaults import share
from generator.spec.rules.engines import release_of
from generator.verify.observe import properties
from generator.verify.system import unseen
from generator.verify.turns import turn
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.process import Output
    from generator.spec.service import Service
    from generator.verify.expectation import MachineExpectation, ServiceExpectation

_MIB = {"MiB": 1.0, "GiB": 1024.0}


@dataclass(frozen=True, slots=True)
class Seen:
    """What an engine sees, in MiB: all of it, or at least so much; and how it said so."""

    mib: float
    whole: bool
    said: str


def asked(expected: MachineExpectation) -> Iterator[ServiceExpectation]:
    """Yield the services whose engine computes with ROCm and says what it sees."""
    hardware = expected.machine.hardware
    if hardware is None or hardware.accelerator != "rocm":
        return
    for one in expected.services:
        speaks = any(line["engine"] == one.service.engine for line in facts()["memory_line"])
        vulkan = one.service.engine == "llamacpp" and one.service.flags.get("backend") != "rocm"
        if one.service.gpu and speaks and not vulkan:
            yield one


def questions(expected: MachineExpectation, seen: Mapping[str, Output]) -> dict[str, list[str]]:
    """Return commands for what the logs left open: a running llama-server of today says nothing of its devices."""
    found = {}
    for one in asked(expected):
        service = one.service
        told = properties(seen[f"unit:{service.unit}"].out)
        running = told.get("ActiveState") == "active"
        if service.engine == "llamacpp" and running and read(one, seen, expected) is None:
            command = _list_devices(service, told)
            if command:
                found[f"devices:{service.unit}"] = command
    return found


def _list_devices(service: Service, told: Mapping[str, str]) -> list[str]:
    if service.runtime == "container":
        # Images of llama.cpp have it there, and not on PATH.
        line = "PATH=$PATH:/app exec llama-server --list-devices"
        return [service.container.runtime, "exec", service.unit, "sh", "-c", line]
    program = re.search(r"(/\S+/llama-server)(?=\s)", told.get("ExecStart", ""))
    return [program[1], "--list-devices"] if program else []


def judge(expected: MachineExpectation, seen: Mapping[str, Output]) -> Iterator[Verdict]:
    """Judge what each engine sees."""
    gtt = expected.machine.gpu_memory_mib
    if not gtt:
        return
    rule = facts()["engine_memory"]
    for one in asked(expected):
        if turn(expected, one, seen) is not None:
            continue
        found = read(one, seen, expected)
        less = rule["total_less" if found is None or found.whole else "parts_less"]
        criterion = Criterion(
            "rocm",
            "engine-memory",
            one.service.name,
            f"its engine sees {gtt} MiB, at most {less:.1%} less",
            f"spec: machines.*.gtt_mib; {rule['source']}",
        )
        if found is None:
            yield criterion.not_checked(*_silent(one.service, seen))
        else:
            holds = found.mib >= gtt * (1 - less)
            measured = f"{'' if found.whole else 'at least '}{found.mib:.0f} MiB: {found.said}"
            yield criterion.decide(holds, measured, _advice(gtt, found.mib, seen), round(found.mib), "MiB")


def _silent(service: Service, seen: Mapping[str, Output]) -> tuple[str, str]:
    devices = seen.get(f"devices:{service.unit}")
    if devices is not None:
        return f"it lists no ROCm device: {unseen(devices)}", "see whether llamacpp.backend is what was built"
    if service.engine == "llamacpp":
        return "its log says nothing of it, and it does not run", f"'systemctl start {service.unit}', then verify again"
    return "its log of this boot says nothing of it", f"'systemctl restart {service.unit}', then verify again"


def _advice(gtt: float, mib: float, seen: Mapping[str, Output]) -> str:
    """Say which of the causes that are known it is."""
    carved = re.search(r"(\d+)M of VRAM memory ready", seen["kernel_log"].out)
    kernel = max((int(line) / 1024**2 for line in seen["gtt_total"].out.split() if line.isdigit()), default=None)
    if kernel is not None and kernel < gtt * (1 - facts()["engine_memory"]["total_less"]):
        return "the kernel gives no more: ttm.pages_limit takes effect at boot; see the phase system"
    if carved and mib <= int(carved[1]) * 1.05:
        return "HIP sees the firmware's carve-out alone: take an image with another ROCm, and a newer kernel"
    return (
        "the kernel gives more than HIP takes: ttm.pages_limit is enough, so set gttsize_parameter = false and reboot; "
        "else take an image with another ROCm (ROCm/hip#3892)"
    )


def read(one: ServiceExpectation, seen: Mapping[str, Output], expected: MachineExpectation) -> Seen | None:
    """Return what an engine said last, None where it said nothing."""
    service = one.service
    texts = [seen[name].out for name in (f"log:{service.unit}", f"devices:{service.unit}") if name in seen]
    lines = [line for line in facts()["memory_line"] if line["engine"] == service.engine]
    said = matches(lines, "\n".join(texts))
    if not said:
        return None
    record, match = said[-1]
    if record["says"] == "total":
        return Seen(float(match[1]) * _MIB[record["unit"]], whole=True, said=match[0].strip()[:120])
    # A start says its parts after whatever the start before it ended with.
    parts = {record["pattern"]: (record, match) for record, match in said if record["says"] == "part"}
    flags = flags_of(service)
    if len(parts) < sum(line["says"] == "part" for line in lines) or "kv_cache_memory_bytes" in flags:
        return None  # a cache of a size that was asked for says nothing of the rest
    taken = sum(float(match[1]) * _MIB[record["unit"]] for record, match in parts.values())
    portion = share(flags, release_of(service, expected.machine))
    words = ", ".join(match[0] for _, match in parts.values())
    return Seen(taken / portion, whole=False, said=f"{words}; both are less than {portion:g} of it")


def matches(lines: list[dict[str, Any]], text: str) -> list[tuple[dict[str, Any], re.Match[str]]]:
    """Return what records of acceptance.toml find in a log, in its order."""
    found = [(line, match) for line in lines for match in re.finditer(line["pattern"], text)]
    return sorted(found, key=lambda one: one[1].start())
