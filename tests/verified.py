"""A machine to verify: what its programs print, in the form in which they do, and its spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.process import Output
from generator.spec.load import load_spec
from generator.verify.expectation import expectations
from generator.verify.observe import commands
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from generator.verify.expectation import MachineExpectation

GTT = 117760  # MiB, as in examples/aspen1.toml
ROCMINFO = f"""\
==========
HSA Agents
==========
*******
Agent 1
*******
  Name:                    AMD RYZEN AI MAX+ 395 w/ Radeon 8060S
  Device Type:             CPU
  Pool Info:
    Pool 1
      Segment:                 GLOBAL; FLAGS: FINE GRAINED
      Size:                    131163168(0x7d16420) KB
*******
Agent 2
*******
  Name:                    gfx1151
  Marketing Name:          Radeon 8060S Graphics
  Device Type:             GPU
  Pool Info:
    Pool 1
      Segment:                 GLOBAL; FLAGS: COARSE GRAINED
      Size:                    {GTT * 1024}({GTT * 1024:#x}) KB
    Pool 3
      Segment:                 GROUP
      Size:                    64(0x40) KB
"""
DIGEST = "sha256:5b0389109bb2db9346d3f0f971c4c99eba7e5e72cfa57e9a2a9b4ac67477771d"
UNIT = """\
LoadState=loaded
ActiveState=active
Result=success
NRestarts=0
FragmentPath=/etc/systemd/system/vllm.service
DropInPaths=
NeedDaemonReload=no
ExecStart={ path=/nix/store/x/bin/podman ; argv[]=/nix/store/x/bin/podman run --name=vllm }
"""
SEEN = {
    "user": "0\n",
    "kernel": "6.18.9\n",
    "cmdline": "init=/nix/store/x/init amd_iommu=off ttm.pages_limit=30146560 amdgpu.gttsize=117760\n",
    "meminfo": "MemTotal:       131163168 kB\nMemAvailable:   9000000 kB\n",
    "gtt_total": f"{GTT * 1024 * 1024}\n",
    "gtt_used": f"{70000 * 1024 * 1024}\n",
    "pages_limit": "30146560\n",
    "kernel_log": "[drm] amdgpu: 512M of VRAM memory ready\n[drm] amdgpu: 117760M of GTT memory ready.\n",
    "firmware": (
        "MES_KIQ feature version: 6, firmware version: 0x0000006f\n"
        "MES feature version: 1, firmware version: 0x00000080\n"
    ),
    "gpu_users": "0::/machine.slice/libpod-0123.scope/container\n",
    "nodes": "/dev/kfd 666 render\n/dev/dri/renderD128 666 render\n",
    "rocminfo": ROCMINFO,
    "rocm_smi": "GPU: 0\n",
    "hipconfig": "\n",
    "unit:vllm": UNIT,
    "log:vllm": (
        "INFO Using 'TRITON' Mxfp4 MoE backend.\n"
        "INFO [gpu_model_runner.py:5150] Model loading took 61.33 GiB memory and 63.970000 seconds\n"
        "INFO [gpu_worker.py:759] Available KV cache memory: 33.81 GiB\n"
    ),
    "model:vllm": (
        "LoadState=loaded\nResult=success\nDescription=Download of justinjja/gpt-oss-120b-Derestricted-MXFP4 at "
        "a7fddca0dc0da89b367b97bb0f118bfc2179bee1\n"
    ),
    "image:vllm": f"docker.io/rocm/vllm@{DIGEST} 0123\n",
}


def aspen1() -> MachineExpectation:
    """Return what is expected of the plan's machine."""
    return expectations(load_spec(ROOT / "examples" / "aspen1.toml"), "aspen1")


def seen(**changes: Output | str) -> dict[str, Output]:
    """Return what a good aspen1 shows, with some of it changed (``__`` stands for the colon in a name)."""
    found = {name: Output(0, text, "") for name, text in SEEN.items()}
    assert set(found) == set(commands(aspen1())), "a command without an output to judge, or the other way round"
    for name, output in changes.items():
        key = name.replace("__", ":")
        assert key in found, key
        found[key] = Output(0, output, "") if isinstance(output, str) else output
    return found


def spec_of(folder: Path, port: int, machine: str = 'accelerator = "cpu", memory_mib = 16384', **more: str) -> Path:
    """Write the spec of a service on loopback: llama.cpp by the name ``smollm2`` unless ``more`` says otherwise."""
    values = {
        "engine": "llamacpp",
        "name": "smollm2",
        "flags": "llamacpp = { ctx_size = 4096, parallel = 2, metrics = true }",
        "format": "gguf",
        "file": 'file = "model.gguf"',
        **more,
    }
    path = folder / "spec.toml"
    path.write_text(f"""
[clan]
name = "test"
[machines.here]
hardware = {{ {machine} }}
[models.m]
repository = "a/b"
revision = "0123456789012345678901234567890123456789"
{values["file"]}
served_name = "{values["name"]}"
format = "{values["format"]}"
[services.llm]
engine = "{values["engine"]}"
machines = ["here"]
model = "m"
gpu = false
port = {port}
{values.get("runtime", "")}
{values["flags"]}
""")
    return path
