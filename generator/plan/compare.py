"""One model on one machine by engine, format and context: what fits, how fast, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from generator.catalog import models
from generator.plan.ask import KINDS, Known, ask, available_bytes, known_model
from generator.plan.service import plan_service
from generator.plan.weights import weight_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.plan.result import ServicePlan
    from generator.spec.model import Machine, Model
    from generator.spec.service import Service

_CONTEXTS = (8192, 32768, 131072)
_GGUF = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m")
_BACKENDS = {"rocm": ("vulkan", "rocm"), "cuda": ("cuda",), "metal": ("metal",), "cpu": ("cpu",)}


@dataclass(frozen=True, slots=True)
class Option:
    """One way to serve a model. ``format`` is that of the weights; ``repository`` holds them where one is known."""

    engine: str
    backend: str
    format: str
    repository: str | None
    context: int
    asked: bool  # whether it is what the spec says
    plan: ServicePlan


def compare(service: Service, machine: Machine, model: Model, given: Known | None = None) -> tuple[Option, ...]:
    """Return the ways to serve a model on a machine: those that fit first, the fastest at their full context first."""
    if machine.hardware is None or available_bytes(machine) is None:
        return ()
    now = ask(service, machine, model, given)
    if now.known.shape is None:
        return ()
    options = list(_options(service, machine, model, given))
    return tuple(sorted(options, key=_rank))


def _rank(option: Option) -> tuple[bool, int, float]:
    speed = option.plan.speed
    deep = None if speed is None else speed.decode_deep or speed.decode
    fits = option.plan.verdict.startswith("feasible")
    return not fits, option.context, -(deep.value if deep is not None else 0.0)


def _options(service: Service, machine: Machine, model: Model, given: Known | None) -> Iterator[Option]:
    now = ask(service, machine, model, given)
    shape = now.known.shape
    accelerator = machine.hardware.accelerator if machine.hardware is not None and service.gpu else "cpu"
    most = (shape.max_context if shape is not None else None) or max(_CONTEXTS)
    contexts = sorted({min(size, most) for size in (*_CONTEXTS, now.context or _CONTEXTS[0])})
    for engine, name, repository in _stored(model, now.known):
        backends = _BACKENDS[accelerator] if engine == "llamacpp" else (accelerator,)
        for backend in backends:
            for context in contexts:
                mine = _own(now.known) == (engine, name) and repository in {None, model.repository}
                changed, other = _variant(service, model, (engine, backend, name, repository, context))
                known = given if mine else _in_format(other, engine, given) if repository is None else None
                if mine:
                    other = replace(other, size_gib=model.size_gib)
                asked = ask(changed, machine, other, known)
                if asked.known.weights is None:
                    continue
                same = engine == service.engine and backend == now.backend and context == now.context
                yield Option(
                    engine,
                    backend,
                    name,
                    repository,
                    context,
                    asked=same and mine,
                    plan=plan_service(asked, 1, brief=True),
                )


def _own(known: Known) -> tuple[str, str] | None:
    """Return the engine that loads a model as it is, and its format by the name that a spec gives it."""
    if known.stored is None:
        return None
    kind = known.stored.kind
    engine = next(engine for engine, loads in KINDS.items() if loads == kind)
    return engine, known.stored.name.removesuffix(f"-{kind}")


def _in_format(model: Model, engine: str, given: Known | None) -> Known | None:
    """Return a model that was read from files as it would be in another format."""
    if given is None or given.shape is None:
        return None
    known = known_model(model, engine, given)
    return replace(known, weights=weight_bytes(given.shape, known.stored, None))


def _stored(model: Model, known: Known) -> Iterator[tuple[str, str, str | None]]:
    """Yield engine, format and repository: those that the catalog knows, then formats that anybody may make."""
    name = known.repository.shape if known.repository is not None else model.shape or model.repository
    seen = set()
    for entry in models.repositories().values():
        if entry.shape == name:
            engine = "llamacpp" if "gguf" in entry.name.lower() else "vllm"
            seen.add((engine, entry.format))
            yield engine, entry.format, entry.name
    own = _own(known)
    if own is not None and own not in seen:
        seen.add(own)
        yield (*own, None)
    native = known.shape.native_format if known.shape is not None else None
    # A model that was trained in MXFP4 gains nothing from other small formats.
    gguf = ("mxfp4",) if native == "mxfp4" else _GGUF
    safetensors = (native, *(() if native == "mxfp4" else ("awq-4bit",)))
    for engine, names in (("llamacpp", gguf), ("vllm", safetensors)):
        for wanted in names:
            if wanted is not None and (engine, wanted) not in seen:
                yield engine, wanted, None


def _variant(service: Service, model: Model, to: tuple[str, str, str, str | None, int]) -> tuple[Service, Model]:
    engine, backend, name, repository, context = to
    flags: dict[str, object] = {"max_model_len": context, "max_num_seqs": 1}
    if engine == "llamacpp":
        flags = {"ctx_size": context, "parallel": 1, "backend": backend, "mmap": False}
    elif service.engine == "vllm":
        flags = {**service.flags, **flags}
    changed = replace(service, engine=engine, flags=flags, extra_args=(), version=service.version)
    base = models.repositories().get(model.repository)
    other = replace(
        model,
        repository=repository or model.repository,
        format=KINDS[engine],
        quantisation=name,
        size_gib=None if repository != model.repository else model.size_gib,
        shape=model.shape or (base.shape if base is not None else None),
    )
    return changed, other
