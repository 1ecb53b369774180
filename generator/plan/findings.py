"""What the planner refuses: what does not fit, and what is slow or unproven without being accepted; as findings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from generator.plan.ask import available_bytes
from generator.plan.memory import limits, limits_within, memory, sequence_bytes
from generator.plan.planner import claimed, most_together, plan_machine
from generator.plan.service import SLOW, UNPROVEN, feasible
from generator.spec.rules.finding import Finding
from generator.spec.rules.flags import flag_of_argument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.plan.ask import Ask, Known
    from generator.plan.planner import Planned
    from generator.plan.result import Limits, Memory, ServicePlan
    from generator.spec.model import Model
    from generator.spec.rules.finding import Context

_GIB = 1024**3
_MOST_SHARE = 99  # hundredths: vLLM finds less than all of the memory free when it starts
_Path = tuple[str | int, ...]


def check(context: Context, given: Mapping[str, Known] | None = None) -> Iterator[Finding]:
    """Yield what is wrong with the plan of a deployment."""
    deployment = context.deployment
    told: set[tuple[object, ...]] = set()
    for machine in deployment.machines.values():
        if machine.hardware is not None and machine.hardware.accelerator == "metal":
            yield Finding(
                ("machines", machine.name, "hardware"),
                "NixOS does not compute on an Apple GPU",
                "llmflake can plan for it, and cannot deploy to it; choose other hardware",
            )
        available = available_bytes(machine)
        if available is None:
            continue
        services = context.placement.services_on[machine.name]
        planned = plan_machine(deployment, machine, services, given, brief=True)
        fitting = []
        for asked, plan in planned:
            model = deployment.models.get(asked.service.model or "")
            found = list(_alone(asked, model))
            if not found:
                fitting.append((asked, plan))
                found = list(_accepted(asked, plan))
            for finding in found:
                if (finding.path, finding.what) not in told:
                    told.add((finding.path, finding.what))
                    yield finding
        yield from _together(fitting, available)
        yield from _disk(planned)


def _finding(asked: Ask, name: str, what: str, hint: str) -> Finding:
    """Return a finding where a service sets a flag: at its field, the argument that names it, or the service."""
    here: _Path = ("services", asked.service.name)
    if name in asked.service.flags:
        return Finding((*here, asked.engine, name), what, hint)
    flag = "--" + name.replace("_", "-")
    for index, argument in reversed(list(enumerate(asked.service.extra_args))):
        if flag_of_argument(argument, asked.engine) == flag:
            return Finding((*here, "extra_args", index), what, hint)
    return Finding(here, what, hint, key=True)


def _alone(asked: Ask, model: Model | None) -> Iterator[Finding]:
    if asked.too_long:
        yield _too_long(asked)
        return
    available = asked.available
    if model is None or available is None:
        return
    taken = memory(asked, available)
    if feasible(asked, taken) is not False:
        return
    weights = next(part for part in taken.parts if part.name == "weights")
    has = f"{asked.memory_name} has {available / _GIB:.1f} GiB"
    if weights.low > available:
        yield Finding(
            ("services", asked.service.name, "model"),
            f"{model.repository} has {weights.bytes / _GIB:.1f} GiB of weights, and {has}",
            _smaller_model(asked, model, available),
        )
    elif asked.engine == "vllm":
        yield from _share(asked, taken, model, available)
    else:
        need = " + ".join(f"{part.name} {part.bytes / _GIB:.1f}" for part in taken.parts)
        bounds = limits(asked, available)
        hints = [] if bounds is None else _smaller_sizes(asked, bounds)
        yield _finding(
            asked,
            "ctx_size",
            f"{need} = {(taken.claim or weights.bytes) / _GIB:.1f} GiB, and {has}",
            ", or ".join(hints) or _smaller_model(asked, model, available),
        )


def _smaller_sizes(asked: Ask, bounds: Limits) -> list[str]:
    from generator.plan import instead  # of which a spec without problems needs nothing

    return list(instead.smaller_sizes(asked, bounds))


def _smaller_model(asked: Ask, model: Model, available: float) -> str:
    from generator.plan import instead

    smaller = list(instead.smaller_models(asked, model, available))
    return f"serve {', or '.join(smaller)}" if smaller else "choose a smaller model or a smaller quantisation"


def _too_long(asked: Ask) -> Finding:
    most = (asked.known.shape.max_context if asked.known.shape is not None else None) or 0
    name = "max_model_len" if asked.engine == "vllm" else "ctx_size"
    split = asked.engine != "vllm" and not asked.shared_context
    return _finding(
        asked,
        name,
        f"{asked.context} tokens are more than the {most} that the model knows",
        f"set {name} to {most * asked.sequences if split else most} at most",
    )


def _share(asked: Ask, taken: Memory, model: Model, available: float) -> Iterator[Finding]:
    """Yield why vLLM would not start: its share, its cache's fixed size, or one sequence that is too long."""
    weights = next(part.low for part in taken.parts if part.name == "weights")
    rest = sum(part.low for part in taken.parts if part.name not in {"weights", "KV cache"})
    share, fixed, one = (asked.share or 0.0) * available, asked.cache_bytes, sequence_bytes(asked)
    all_of_it = f"{asked.memory_name} has {available / _GIB:.1f} GiB"
    larger = _larger_share(weights + rest + one, available)
    if fixed is not None:
        whole = max(taken.claim or 0.0, weights + rest + fixed)
        most = int(fixed - (whole - available))
        if whole > available:
            yield _finding(
                asked,
                "kv_cache_memory_bytes",
                f"weights, cache and what vLLM takes beside are {whole / _GIB:.1f} GiB, and {all_of_it}",
                f"set it to {most} at most" if most >= max(one, 1) else _smaller_model(asked, model, available),
            )
            return
        larger = [f"set kv_cache_memory_bytes to {math.ceil(one)} or more"] if one <= most else []
    elif share > available:
        yield _finding(
            asked,
            "gpu_memory_utilization",
            f"{asked.share:g} is more than all of {asked.memory_name}",
            ", or ".join(larger) or "set it to 1 at most",
        )
        return
    elif share < weights + rest:
        yield _finding(
            asked,
            "gpu_memory_utilization",
            f"{share / _GIB:.1f} GiB of {asked.machine.name}'s {available / _GIB:.1f} GiB are less than the weights, "
            f"{weights / _GIB:.1f} GiB, and at least {rest / _GIB:.1f} GiB beside them",
            ", or ".join(larger) or _smaller_model(asked, model, available),
        )
        return
    left = fixed if fixed is not None else share - weights - rest
    hints = [*_smaller_sizes(asked, limits_within(asked, left)), *larger]
    yield _finding(
        asked,
        "max_model_len",
        f"one sequence of {asked.context} tokens takes {one / _GIB:.2f} GiB of cache, and at most "
        f"{left / _GIB:.2f} GiB are left for it",
        ", or ".join(hints) or _smaller_model(asked, model, available),
    )


def _larger_share(needed: float, available: float) -> list[str]:
    hundredths = math.ceil(needed / available * 100)
    return [f"set gpu_memory_utilization to {hundredths / 100:.2f} or more"] if hundredths <= _MOST_SHARE else []


def _accepted(asked: Ask, plan: ServicePlan) -> Iterator[Finding]:
    here = ("services", asked.service.name)
    accept = asked.service.accept
    missing = [need for need in plan.needs if need not in accept]
    reasons = []
    if SLOW in missing:
        reasons.append(_why_slow(asked, plan))
    if UNPROVEN in missing:
        known = plan.memory.claim is not None and plan.speed is not None and plan.speed.decode is not None
        changed = "the speed of this release's kernels was never published"
        reasons.append("unproven: " + (changed if known else asked.known.why or next(iter(plan.unknown), "")))
    if reasons:
        accepted = ", ".join(f'"{need}"' for need in plan.needs)
        yield Finding(
            here,
            f"the plan on {asked.machine.name} is {'; '.join(reasons)}",
            f"change it, or set accept = [{accepted}]; llmflake plan shows the numbers",
            key=True,
        )


def _why_slow(asked: Ask, plan: ServicePlan) -> str:
    expect, speed = asked.service.expect, plan.speed
    if speed is not None and speed.decode is not None and speed.decode.value < expect.decode_tokens_s:
        about, wanted = f"{speed.decode.value:.1f}", f"{expect.decode_tokens_s:g}"
        return f"slow: about {about} tokens a second for one user, and {wanted} are expected"
    first = speed.first_token.value if speed is not None and speed.first_token is not None else 0.0
    return (
        f"slow: about {first:.1f} s to the first token of a prompt of {expect.prompt_tokens}, and "
        f"{expect.first_token_s:g} are expected"
    )


def _together(planned: list[Planned], available: float) -> Iterator[Finding]:
    worst = most_together(planned)
    total = claimed(worst)
    # A share of 0.5 twice is all of it; the last bit of a float must not decide.
    if len(worst) > 1 and total > available * (1 + 1e-9):
        parts = " + ".join(f'{(plan.memory.claim or 0.0) / _GIB:.1f} ("{plan.service}")' for _, plan in worst)
        first, last = worst[0][0].service, worst[-1][0].service
        yield Finding(
            ("services", last.name),
            f"{worst[0][0].memory_name} has {available / _GIB:.1f} GiB, and its services take {parts} = "
            f"{total / _GIB:.1f} GiB at once",
            f'lower what they take, or let them take turns with conflicts = ["{first.name}"]',
            key=True,
        )


def _disk(planned: list[Planned]) -> Iterator[Finding]:
    sizes = {asked.service.model: plan.disk for asked, plan in planned if plan.disk is not None}
    free = planned[0][0].machine.disk.free_gib if planned else None
    total = sum(sizes.values()) / _GIB
    if free is not None and total > free:
        machine = planned[0][0].machine.name
        yield Finding(
            ("machines", machine, "disk", "free_gib"),
            f"the models of {machine} are {total:.1f} GiB of files, and {free:g} GiB are free",
            "free more, or serve fewer models there",
        )
