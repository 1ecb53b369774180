"""What a service asks for, as numbers: its flags, fields or arguments; its model's shape and weights; its GPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from generator.catalog import models
from generator.plan import llama_cache, vllm_cache
from generator.plan.weights import WeightBytes, weight_bytes
from generator.spec.rules.engines import release_of
from generator.spec.rules.flags import flag_of_argument, flag_of_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.catalog.models import Format
    from generator.shapes.shape import Shape
    from generator.spec.model import Machine, Model, Service

_MIB = 1024**2
_GIB = 1024**3
# vLLM's own defaults: gpu_memory_utilization since 0.20, max_num_seqs of its API server.
_UTILISATION = 0.92
_SEQUENCES = 256
# llama-server's own: slots where --parallel is not given, which then share the context.
_SLOTS = 4
# Arguments that change how a model counts positions.
_STRETCHING = ("hf_overrides", "rope_scaling", "rope_scale", "rope_freq_scale", "yarn_orig_ctx")
KINDS = {"vllm": "safetensors", "llamacpp": "gguf"}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model: None where it is not. ``origin`` says where from, ``why`` what is missing."""

    shape: Shape | None
    stored: Format | None
    weights: WeightBytes | None
    repository: models.Repository | None
    origin: str
    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A service on a machine, as numbers. ``context`` is tokens a sequence, ``server_context`` of all together.

    ``backend`` is what the engine computes with: rocm, cuda, vulkan, cpu. ``share`` is vLLM's share of the GPU's
    memory, ``cache_bytes`` its fixed size of the cache; None where they do not apply.
    """

    service: Service
    machine: Machine
    repository: str | None  # the model's
    known: Known
    release: str | None
    backend: str
    context: int | None
    context_asked: bool
    sequences: int
    sequences_asked: bool
    shared_context: bool
    ubatch: int
    batched_tokens: int
    key_type: str
    value_type: str
    element_bytes: float | None
    share: float | None
    cache_bytes: float | None
    parallel: int
    mmap: bool
    eager: bool | None
    stretched: bool  # arguments stretch the model's positions, so that its largest context is not the limit

    @property
    def engine(self) -> str:
        """The engine's name in the spec."""
        return self.service.engine

    @property
    def server_context(self) -> int | None:
        """Tokens of context of all sequences together, as llama-server counts them."""
        if self.context is None or self.shared_context:
            return self.context
        return self.context * self.sequences

    def with_size(self, context: int, sequences: int, *, shared: bool = False) -> Ask:
        """Return the same with another context a sequence, shared or not, and another number of sequences."""
        return replace(self, context=context, sequences=sequences, shared_context=shared)


def known_model(model: Model, engine: str, given: Known | None = None) -> Known:
    """Return what is known of a model: what was read from its files, else what the catalog has."""
    kind = KINDS.get(engine, model.format)
    if given is not None:
        stored = models.weight_format(model.quantisation, kind) or given.stored
        return replace(given, stored=stored)
    repository = models.repositories().get(model.repository)
    name = model.shape or (repository.shape if repository else model.repository)
    shape = models.shape(name)
    format_name = model.quantisation or (repository.format if repository else None)
    if format_name is None and shape is not None and model.repository == name:
        format_name = shape.native_format
    stored = models.weight_format(format_name, kind)
    size = model.size_gib * _GIB if model.size_gib is not None else None
    if size is None and repository is not None and format_name == repository.format:
        size = float(repository.weight_bytes)
    if shape is None:
        why = models.incomplete(name) or f'the catalog has no model "{name}"'
        unread = None if size is None else WeightBytes(size, 0.0, 0.0, 0.0, measured=True)
        return Known(None, stored, unread, repository, "the catalog", why)
    if repository is not None and repository.max_context is not None:
        shape = replace(shape, max_context=repository.max_context)
    weights = weight_bytes(shape, stored, size)
    why = (
        ""
        if weights is not None
        else f'neither the size nor the format "{format_name or ""}" of {model.repository} is known'
    )
    return Known(shape, stored, weights, repository, "the catalog", why)


def ask(service: Service, machine: Machine, model: Model | None, given: Known | None = None) -> Ask:
    """Return what a service asks of a machine."""
    flags = _flags(service)
    known = (
        Known(None, None, None, None, "", _opaque(service))
        if model is None
        else known_model(model, service.engine, given)
    )
    hardware = machine.hardware
    accelerator = hardware.accelerator if hardware is not None and service.gpu else "cpu"
    most = known.shape.max_context if known.shape is not None else None
    vllm = service.engine == "vllm"
    asked = _whole(flags.get("max_model_len" if vllm else "ctx_size"))
    sequences = _whole(flags.get("max_num_seqs" if vllm else "parallel"))
    context = asked or most
    shared = not vllm and sequences is None
    if asked and sequences and not vllm:
        context = max(asked // sequences, 1)
    cache_type = str(flags.get("kv_cache_dtype", "auto"))
    key_type = str(flags.get("cache_type_k", "f16"))
    value_type = str(flags.get("cache_type_v", "f16"))
    fixed = _number(flags.get("kv_cache_memory_bytes"))
    return Ask(
        service=service,
        machine=machine,
        repository=None if model is None else model.repository,
        known=known,
        release=release_of(service, machine),
        backend=_backend(service.engine, accelerator, flags),
        context=context,
        context_asked=asked is not None,
        sequences=sequences or (_SEQUENCES if vllm else _SLOTS),
        sequences_asked=sequences is not None,
        shared_context=shared,
        ubatch=_whole(flags.get("ubatch_size")) or llama_cache.DEFAULT_UBATCH,
        batched_tokens=_whole(flags.get("max_num_batched_tokens")) or vllm_cache.DEFAULT_BATCHED_TOKENS,
        key_type=key_type,
        value_type=value_type,
        element_bytes=vllm_cache.cache_element_bytes(cache_type) if vllm else llama_cache.CACHE_TYPES.get(key_type),
        share=_number(flags.get("gpu_memory_utilization", _UTILISATION)) if vllm else None,
        cache_bytes=fixed if vllm else None,
        parallel=_whole(flags.get("tensor_parallel_size")) or 1,
        mmap=bool(flags.get("mmap", True)),
        eager=flags.get("enforce_eager") if vllm else None,
        stretched=any(name in flags for name in _STRETCHING),
    )


def available_bytes(machine: Machine) -> float | None:
    """Return the bytes of memory that services on a machine's GPU may use; of a machine without one, its memory."""
    if machine.hardware is None:
        return None
    if machine.hardware.accelerator == "cpu":
        return float(machine.hardware.memory_mib * _MIB)
    mib = machine.gpu_memory_mib
    return None if mib is None else float(mib * _MIB)


def _opaque(service: Service) -> str:
    if service.engine == "ollama":
        return "Ollama brings its models by itself, and the catalog has none of its tags"
    return "the container's arguments say what it serves, and llmflake does not read them"


def _backend(engine: str, accelerator: str, flags: Mapping[str, Any]) -> str:
    if engine == "llamacpp" and accelerator != "cpu":
        return str(flags.get("backend") or ("vulkan" if accelerator == "rocm" else accelerator))
    return accelerator


def _flags(service: Service) -> dict[str, Any]:
    """Return the flags of a service by their field names: fields, and arguments where they name one."""
    flags = dict(service.flags)
    arguments = service.extra_args
    for index, argument in enumerate(arguments):
        flag = flag_of_argument(argument, service.engine)
        if flag is None:
            continue
        field = flag.removeprefix("--").replace("-", "_")
        _, equals, value = argument.partition("=")
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if equals:
            flags.setdefault(field, value)
        elif following and flag_of_argument(following, service.engine) is None:
            flags.setdefault(field, following)
        elif flag == flag_of_field(field):
            flags.setdefault(field, not argument.startswith("--no-"))
    return flags


def _number(value: Any) -> float | None:  # noqa: ANN401 - a field's value or an argument's text
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        return None


def _whole(value: Any) -> int | None:  # noqa: ANN401
    number = _number(value)
    return int(number) if number is not None and number >= 1 else None
