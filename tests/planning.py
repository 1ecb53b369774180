"""Deployments for the tests of the planner: one service on one machine, from what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generator.errors import SpecError
from generator.plan import findings
from generator.plan.ask import ask
from generator.plan.planner import make_plan
from generator.spec import model
from generator.spec.load import load_spec
from generator.spec.rules.finding import Context

if TYPE_CHECKING:
    from pathlib import Path

    from generator.plan.ask import Ask
    from generator.plan.result import Plan, ServicePlan
    from generator.spec.model import Deployment
    from generator.spec.rules.finding import Finding

REVISION = "0" * 40
GPT_OSS = {"repository": "openai/gpt-oss-120b", "format": "safetensors", "quantisation": "mxfp4"}
GPT_OSS_GGUF = {"repository": "ggml-org/gpt-oss-120b-GGUF", "format": "gguf", "quantisation": "mxfp4", "file": "a.gguf"}
LLAMA = {"repository": "meta-llama/Llama-3.1-8B-Instruct", "format": "safetensors"}
LLAMA_GGUF = {**LLAMA, "format": "gguf", "quantisation": "q8_0", "file": "a.gguf"}
GEMMA_GGUF = {"repository": "google/gemma-3-12b-it", "format": "gguf", "quantisation": "q4_k_m", "file": "a.gguf"}
STRIX = {"hardware": "strix-halo-128", "gtt_mib": 117760}
DISCRETE = {"hardware": "rtx-4090"}
PC = {"hardware": "cpu-desktop"}
MIB, GIB = 1024**2, 1024**3


def data(machine: Any, used: Any, service: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a spec, as TOML gives them
    """Return a spec of one machine "m", one model "x" and one service "s"."""
    return {
        "clan": {"name": "c"},
        "machines": {"m": machine},
        "models": {"x": {"revision": REVISION, **used}},
        "services": {"s": {"machines": ["m"], "model": "x", **service}},
    }


def deployment(machine: Any, used: Any, service: Any) -> Deployment:  # noqa: ANN401
    return model.build(data(machine, used, service))


def vllm(*arguments: str, machine: Any = None, used: Any = None, service: Any = None, **flags: Any) -> Ask:  # noqa: ANN401
    """Return what a vLLM asks: gpt-oss-120b on a Strix Halo, unless said otherwise."""
    return _ask("vllm", flags, arguments, (machine or STRIX, used or GPT_OSS, service or {}))


def llama(*arguments: str, machine: Any = None, used: Any = None, service: Any = None, **flags: Any) -> Ask:  # noqa: ANN401
    """Return the same of a llama-server."""
    return _ask("llamacpp", flags, arguments, (machine or STRIX, used or GPT_OSS_GGUF, service or {}))


def _ask(engine: str, flags: dict[str, Any], arguments: tuple[str, ...], to: tuple[Any, Any, Any]) -> Ask:
    machine, used, service = to
    built = deployment(machine, used, {"engine": engine, engine: flags, "extra_args": list(arguments), **service})
    return ask(built.services["s"], built.machines["m"], built.models["x"])


def whole_plan(built: Deployment) -> Plan:
    return make_plan(built, model.place(built))


def plan_of(built: Deployment) -> ServicePlan:
    """Return the plan of the one service of a deployment."""
    return whole_plan(built).machines[0].services[0]


def found(built: Deployment) -> list[Finding]:
    """Return what the planner has against a deployment."""
    names = (frozenset(table) for table in (built.machines, built.models, built.services))
    return list(findings.check(Context(built, model.place(built), *names)))


def refused(path: Path) -> list[str]:
    """Return the messages with which a spec file is refused, without its folder."""
    try:
        load_spec(path, findings.check)
    except SpecError as error:
        return [str(problem).replace(str(path), path.name) for problem in sorted(error.problems)]
    return []
