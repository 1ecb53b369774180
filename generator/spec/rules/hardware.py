"""What a machine's hardware allows: memory limits, kernel parameters, ROCm environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.spec.paths import quoted
from generator.spec.rules.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.catalog.load import HardwareRecord
    from generator.spec.model import Machine
    from generator.spec.rules.finding import Context

# A 128 GB machine shows its system 124.9 to 125.6 GiB (2026-07): 3 GiB are the firmware's, and a system without 3 GiB
# of its own cannot load anything.
_RESERVED_MIB = 6144
# Fields set these; a second value would win or lose by its place on the command line.
_OWNED_PARAMETERS = {
    "ttm.pages_limit": "gtt_mib",
    "amdgpu.gttsize": "gtt_mib and gttsize_parameter",
    "amd_iommu": "iommu",
    "iommu": "iommu",
}


def check(context: Context) -> Iterator[Finding]:
    """Yield what a machine's hardware cannot do."""
    for machine in context.deployment.machines.values():
        here = ("machines", machine.name)
        for index, parameter in enumerate(machine.kernel.parameters):
            name = parameter.split("=", 1)[0]
            if name in _OWNED_PARAMETERS:
                yield Finding(
                    (*here, "kernel", "parameters", index),
                    f"{name} is set by {_OWNED_PARAMETERS[name]}",
                    "use the field, so that there is one value",
                )
        if machine.gttsize_parameter and machine.gtt_mib is None:
            yield Finding((*here, "gttsize_parameter"), "there is no size to set", "add gtt_mib")
        if machine.hardware is not None:
            yield from _limits(machine, machine.hardware)


def _limits(machine: Machine, hardware: HardwareRecord) -> Iterator[Finding]:
    here = ("machines", machine.name)
    if hardware.accelerator != "cpu" and hardware.target is None:
        yield Finding(
            (*here, "hardware"),
            "a GPU needs its architecture",
            'add target, for example target = "gfx1100" or "sm_89"',
        )
    elif hardware.target is not None and (hardware.accelerator == "rocm") != hardware.target.startswith("gfx"):
        yield Finding(
            (*here, "hardware", "target"),
            f"{hardware.target} is no target of {hardware.accelerator}",
            "AMD's are gfx…, with rocm; NVIDIA's are sm_…, with cuda; a CPU has none",
        )
    if machine.gtt_mib is not None:
        limit = hardware.memory_mib - _RESERVED_MIB
        if hardware.accelerator != "rocm" or not hardware.unified:
            yield Finding(
                (*here, "gtt_mib"),
                "GTT is for an AMD GPU that shares the machine's memory",
                "leave gtt_mib out: this GPU has its own",
            )
        elif machine.gtt_mib > limit:
            yield Finding(
                (*here, "gtt_mib"),
                f"{machine.gtt_mib} MiB of {hardware.memory_mib} MiB leave the system too little to run",
                f"set it to {limit} at most; 117760 (115 GiB) is proven on 128 GB"
                if limit > 117760  # noqa: PLR2004 - the seed's value
                else f"set it to {limit} at most",
            )
    if machine.rocm_environment and hardware.accelerator != "rocm":
        yield Finding(
            (*here, "rocm_environment"), f"{machine.name} has no AMD GPU", "leave it out, or correct hardware", key=True
        )
    override = machine.rocm_environment.get("HSA_OVERRIDE_GFX_VERSION")
    if hardware.target == "gfx1151" and override not in {None, "11.5.1"}:
        yield Finding(
            (*here, "rocm_environment", "HSA_OVERRIDE_GFX_VERSION"),
            f"{quoted(str(override))} makes ROCm run another GPU's code on gfx1151",
            "leave it out: ROCm 7.2 and later know gfx1151",
        )
