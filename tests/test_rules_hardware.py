"""What a machine's hardware allows: memory limits, kernel parameters, ROCm environment."""

from __future__ import annotations

import pytest

from generator.spec.rules.hardware import check
from tests.rule_checks import told


def machine(*lines: str, hardware: str = '"strix-halo-128"') -> str:
    """Return a machine; its further lines begin at its third."""
    return "\n".join(["[machines.m]", f"hardware = {hardware}", *lines])


def inline(**fields: str) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in fields.items()) + " }"


@pytest.mark.parametrize(
    "text",
    [
        machine("gtt_mib = 117760", "gttsize_parameter = true", 'iommu = "off"'),
        machine("gtt_mib = 124928"),  # all but the 6 GiB that the system keeps
        machine('kernel.parameters = ["amdgpu.cwsr_enable=0", "pci=realloc"]'),
        machine('rocm_environment = { HSA_ENABLE_SDMA = "0", HSA_OVERRIDE_GFX_VERSION = "11.5.1" }'),
        machine(hardware='"rtx-4090"'),
        machine(hardware='"dgx-spark"'),
        machine(hardware=inline(accelerator='"cpu"', memory_mib="65536")),
        machine(hardware=inline(accelerator='"rocm"', target='"gfx1100"', memory_mib="24576")),
        machine('rocm_environment = { HSA_OVERRIDE_GFX_VERSION = "11.0.0" }', hardware='"r9700"'),
    ],
)
def test_what_the_hardware_allows_is_right(text: str) -> None:
    assert told(check, text) == []


@pytest.mark.parametrize(
    ("parameter", "name", "field"),
    [
        ("ttm.pages_limit=1", "ttm.pages_limit", "gtt_mib"),
        ("amdgpu.gttsize=1", "amdgpu.gttsize", "gtt_mib and gttsize_parameter"),
        ("amd_iommu=off", "amd_iommu", "iommu"),
        ("iommu=pt", "iommu", "iommu"),
    ],
)
def test_a_parameter_that_a_field_sets_is_refused_beside_it(parameter: str, name: str, field: str) -> None:
    assert told(check, machine(f'kernel = {{ parameters = ["quiet", "{parameter}"] }}')) == [
        f"3:35: machines.m.kernel.parameters[1]: {name} is set by {field}; use the field, so that there is one value"
    ]


def test_the_deprecated_parameter_needs_a_size() -> None:
    assert told(check, machine("gttsize_parameter = true")) == [
        "3:21: machines.m.gttsize_parameter: there is no size to set; add gtt_mib"
    ]


@pytest.mark.parametrize("accelerator", ["rocm", "cuda"])
def test_a_gpu_without_its_architecture_is_refused(accelerator: str) -> None:
    assert told(check, machine(hardware=inline(accelerator=f'"{accelerator}"', memory_mib="65536"))) == [
        '2:12: machines.m.hardware: a GPU needs its architecture; add target, for example target = "gfx1100" or "sm_89"'
    ]


@pytest.mark.parametrize(("accelerator", "target"), [("rocm", "sm_89"), ("cuda", "gfx1151"), ("cpu", "gfx1151")])
def test_an_architecture_of_another_maker_is_refused(accelerator: str, target: str) -> None:
    hardware = inline(accelerator=f'"{accelerator}"', target=f'"{target}"', memory_mib="65536")
    column = hardware.index("target") + len("hardware = target = ") + 1
    assert told(check, machine(hardware=hardware)) == [
        (
            f"2:{column}: machines.m.hardware.target: {target} is no target of {accelerator}; "
            "AMD's are gfx…, with rocm; NVIDIA's are sm_…, with cuda; a CPU has none"
        )
    ]


@pytest.mark.parametrize("hardware", ['"rtx-4090"', '"mi300x"', '"dgx-spark"'])
def test_gtt_is_only_for_an_amd_gpu_that_shares_memory(hardware: str) -> None:
    assert told(check, machine("gtt_mib = 4096", hardware=hardware)) == [
        (
            "3:11: machines.m.gtt_mib: GTT is for an AMD GPU that shares the machine's memory; "
            "leave gtt_mib out: this GPU has its own"
        )
    ]


def test_gtt_that_leaves_the_system_nothing_is_told_the_largest_size_and_a_proven_one() -> None:
    assert told(check, machine("gtt_mib = 126976")) == [
        (
            "3:11: machines.m.gtt_mib: 126976 MiB of 131072 MiB leave the system too little to run; "
            "set it to 124928 at most; 117760 (115 GiB) is proven on 128 GB"
        )
    ]


def test_gtt_on_a_smaller_machine_is_told_the_largest_size_alone() -> None:
    assert told(check, machine("gtt_mib = 65536", hardware='"strix-halo-64"')) == [
        "3:11: machines.m.gtt_mib: 65536 MiB of 65536 MiB leave the system too little to run; set it to 59392 at most"
    ]


def test_a_rocm_environment_without_an_amd_gpu_is_refused() -> None:
    assert told(check, machine('rocm_environment = { A = "1" }', hardware='"h100"')) == [
        "3:1: machines.m.rocm_environment: m has no AMD GPU; leave it out, or correct hardware"
    ]


def test_an_override_that_makes_it_another_gpu_is_refused() -> None:
    assert told(check, machine('rocm_environment = { HSA_OVERRIDE_GFX_VERSION = "11.0.0" }')) == [
        (
            "3:49: machines.m.rocm_environment.HSA_OVERRIDE_GFX_VERSION: "
            '"11.0.0" makes ROCm run another GPU\'s code on gfx1151; leave it out: ROCm 7.2 and later know gfx1151'
        )
    ]
