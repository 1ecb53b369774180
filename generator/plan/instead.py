"""What would fit where a service does not: a smaller context, a share that is large enough, another repository."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from generator.catalog import models
from generator.plan import memory as parts
from generator.plan.ask import KINDS, ask
from generator.plan.service import feasible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.plan.ask import Ask
    from generator.plan.result import Limits
    from generator.spec.model import Model

_GIB = 1024**3
_MOST = 4
_USEFUL = 2048  # tokens: nobody is helped by a smaller context than that, unless it is what they ask for


def smaller_models(asked: Ask, model: Model, available: float) -> Iterator[str]:
    """Yield repositories that hold the same model smaller, or a smaller one, and fit; with size and other engine."""
    repository = asked.known.repository
    named = repository.instead if repository is not None else ()
    shape = model.shape or (repository.shape if repository is not None else model.repository)
    same = [name for name, entry in models.repositories().items() if entry.shape == shape and name != model.repository]
    count = 0
    for name in dict.fromkeys((*named, *same)):
        engine = _engine(name)
        changed = replace(model, repository=name, quantisation=None, size_gib=None, shape=None, format=KINDS[engine])
        service = replace(asked.service, engine=engine, flags=_common(asked, engine), extra_args=())
        other = ask(service, asked.machine, changed)
        if feasible(other, parts.memory(other, available)):
            size = models.repositories()[name].weight_bytes / _GIB
            with_engine = "" if engine == asked.engine else f" with {engine}"
            yield f"{name}{with_engine} ({size:.1f} GiB)"
            count += 1
            if count == _MOST:
                return


def smaller_sizes(asked: Ask, bounds: Limits) -> Iterator[str]:
    """Yield the largest context, and the largest number of sequences, that would fit."""
    vllm = asked.engine == "vllm"
    context, count = bounds.largest_context, bounds.largest_concurrency
    if context and context >= min(bounds.context, _USEFUL):
        total = context if vllm or asked.shared_context else context * asked.sequences
        yield f"set {'max_model_len' if vllm else 'ctx_size'} to {total} at most"
    if count and not vllm and count < asked.sequences:
        yield f"set parallel to {count} and ctx_size to {bounds.context * count} at most"


def _engine(repository: str) -> str:
    return "llamacpp" if "gguf" in repository.lower() else "vllm"


def _common(asked: Ask, engine: str) -> dict[str, object]:
    """Return the flags that both engines have, for another engine to be asked the same."""
    if engine == asked.engine:
        return dict(asked.service.flags)
    if engine == "llamacpp":
        sequences = asked.sequences if asked.sequences_asked else 1
        context = asked.context * sequences if asked.context and asked.context_asked else 4096
        return {"ctx_size": context, "parallel": sequences}
    return {"max_model_len": asked.context} if asked.context_asked else {}
