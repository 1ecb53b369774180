"""Plans to show: those of the examples, and one in which everything goes wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from generator.plan.planner import make_plan
from generator.spec.load import load_spec
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from generator.plan.result import MachinePlan, Plan, ServicePlan

GIB = 1024**3
# More than the GPU has, at once; weights above the GPU's memory, in turns with the rest; an unknown size; a CPU.
CROWDED = """
[clan]
name = "crowded"
[machines.one]
hardware = "strix-halo-128"
gtt_mib = 117760
disk = { read_mib_s = 3000, free_gib = 100 }
[machines.two]
hardware = "cpu-desktop"
[models.big]
repository = "ggml-org/gpt-oss-120b-GGUF"
revision = "b5c939de8f754692c1647ca79fbf85e8c1e70f8a"
file = "a.gguf"
format = "gguf"
[models.small]
repository = "ggml-org/gpt-oss-20b-GGUF"
revision = "e1dc459feff949ff451ce107337a2026daa80df8"
file = "b.gguf"
format = "gguf"
[models.seed]
repository = "ArliAI/gpt-oss-120b-Derestricted"
revision = "e1dc459feff949ff451ce107337a2026daa80df8"
format = "safetensors"
[services.first]
engine = "llamacpp"
machines = ["one"]
model = "big"
port = 8081
unit = "llm-first"
llamacpp = { ctx_size = 65536, parallel = 4, mmap = false }
[services.second]
engine = "llamacpp"
machines = ["one"]
model = "small"
port = 8082
unit = "llm-second"
llamacpp = { ctx_size = 65536, mmap = false }
[services.third-with-a-name-that-is-rather-long]
engine = "llamacpp"
machines = ["one"]
model = "big"
port = 8083
unit = "llm-third"
llamacpp = { ctx_size = 65536, mmap = false }
[services.seed]
engine = "vllm"
machines = ["one"]
model = "seed"
conflicts = ["first", "second", "third-with-a-name-that-is-rather-long"]
vllm = { max_model_len = 4096 }
[services.ollama]
engine = "ollama"
machines = ["one"]
models = ["llama3.2:3b"]
[services.on-cpu]
engine = "llamacpp"
machines = ["two"]
model = "small"
port = 8084
unit = "llm-on-cpu"
gpu = false
llamacpp = { ctx_size = 4096 }
"""


def plan_of(spec: Path | str) -> Plan:
    """Return the plan of a spec: a file, or the text of one."""
    if isinstance(spec, Path):
        loaded = load_spec(spec)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spec.toml"
            path.write_text(spec, encoding="utf-8")
            loaded = load_spec(path)
    return make_plan(loaded.deployment, loaded.placement)


def example(name: str) -> Plan:
    """Return the plan of an example, by its file's name."""
    return plan_of(ROOT / "examples" / name)


def machine(plan: Plan, name: str) -> MachinePlan:
    """Return a machine of a plan."""
    return next(entry for entry in plan.machines if entry.machine == name)


def service(plan: Plan, name: str) -> ServicePlan:
    """Return a service of a plan, on the first machine that has it."""
    return next(entry for one in plan.machines for entry in one.services if entry.service == name)
