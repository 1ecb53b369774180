"""A plan for machines: JSON values, nothing rounded, keys always in the same order.

Units are in the names: ``…_bytes``, ``…_seconds``, ``…_tokens_s`` (tokens a second; of a batch, all users' together);
context is in tokens, concurrency in sequences. What is not known is null. An estimate is ``{value, low, high}``: low
and high hold 80 % of what was measured. A part of the memory has ``low_bytes`` and ``high_bytes``, which equal
``bytes`` where ``exact``. ``schema/plan.schema.json`` says it key by key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generator.plan.result import Limits, MachinePlan, Measurement, Memory, Plan, ServicePlan, Speed
    from generator.plan.speed import Estimate

SCHEMA_VERSION = 1


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return {"schemaVersion": SCHEMA_VERSION, "machines": [_machine(machine) for machine in plan.machines]}


def _machine(machine: MachinePlan) -> dict[str, Any]:
    return {
        "machine": machine.machine,
        "hardware": machine.hardware,
        "description": machine.description,
        "accelerator": machine.accelerator,
        "unified": machine.unified,
        "memory_bytes": machine.total,
        "available_bytes": machine.available,
        "system_bytes": machine.system,
        "together_bytes": machine.together,
        "at_once": list(machine.at_once),
        "services": [_service(service) for service in machine.services],
    }


def _service(service: ServicePlan) -> dict[str, Any]:
    return {
        "service": service.service,
        "engine": service.engine,
        "release": service.release,
        "model": service.model,
        "format": service.format,
        "gpu": service.gpu,
        "verdict": service.verdict,
        "needs": [{"reason": need, "accepted": need in service.accepted} for need in service.needs],
        "memory": _memory(service.memory),
        "limits": None if service.limits is None else _limits(service.limits),
        "speed": None if service.speed is None else _speed(service.speed),
        "load_seconds": service.load,
        "disk_bytes": service.disk,
        "measured": [_measured(entry) for entry in service.measured],
        "unknown": list(service.unknown),
        "caveats": [{"text": caveat.text, "source": caveat.source} for caveat in service.caveats],
    }


def _memory(memory: Memory) -> dict[str, Any]:
    return {
        "available_bytes": memory.available,
        "parts": [
            {
                "name": part.name,
                "bytes": part.bytes,
                "low_bytes": part.low,
                "high_bytes": part.high,
                "exact": part.exact,
            }
            for part in memory.parts
        ],
        "claim_bytes": memory.claim,
        "headroom_bytes": memory.headroom,
        "cache_available_bytes": memory.cache_available,
    }


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "context": limits.context,
        "context_shared": limits.shared,
        "concurrency": limits.concurrency,
        "largest_context": limits.largest_context,
        "largest_concurrency": limits.largest_concurrency,
    }


def _speed(speed: Speed) -> dict[str, Any]:
    return {
        "depth": speed.depth,
        "prompt": speed.prompt,
        "decode_tokens_s": estimate_data(speed.decode),
        "decode_at_depth_tokens_s": estimate_data(speed.decode_deep),
        "batch_tokens_s": estimate_data(speed.batch),
        "prompt_tokens_s": estimate_data(speed.prefill),
        "first_token_seconds": estimate_data(speed.first_token),
        "curve": speed.curve,
        "relative_error": speed.error,
    }


def estimate_data(estimate: Estimate | None) -> dict[str, float] | None:
    """Return an estimate with its bounds, None where there is none."""
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _measured(entry: Measurement) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "what": entry.what,
        "value_tokens_s": entry.value,
        "engine": entry.engine,
        "same_engine": entry.same_engine,
        "format": entry.format,
        "source": entry.source,
        "date": entry.date,
    }
