"""What a service asks for, as numbers: its flags, fields or arguments; its model's shape and weights; its GPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from generator.catalog import models
from generator.plan import defaults, llama_cache
from generator.plan.arguments import flags_of, number, whole
from generator.plan.weights import WeightBytes, weight_bytes
from generator.shapes.files import parts, without_copies
from generator.spec.rules.engines import release_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.catalog.models import Format
    from generator.shapes.shape import Shape
    from generator.spec.model import Machine, Model
    from generator.spec.service import Service

_MIB = 1024**2
_GIB = 1024**3
KINDS = {"vllm": "safetensors", "llamacpp": "gguf"}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model: None where it is not. ``why`` says what is missing."""

    shape: Shape | None
    stored: Format | None
    weights: WeightBytes | None
    repository: models.Repository | None
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
    loading: str | None  # the argument that changes what is loaded onto this GPU, so that what it holds is not known
    adding: tuple[str, ...]  # arguments that load something beside the model

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

    @property
    def on_gpu(self) -> bool:
        """Whether it takes the memory that the machine's GPU has; a machine without one counts as one."""
        hardware = self.machine.hardware
        return hardware is not None and (hardware.accelerator == "cpu" or self.backend != "cpu")

    @property
    def available(self) -> float | None:
        """Bytes of memory that it may use; None of the host of a GPU that has its own: the catalog knows no hosts."""
        hardware = self.machine.hardware
        if self.on_gpu or hardware is None:
            return available_bytes(self.machine)
        if hardware.unified:
            return float((hardware.visible_mib or hardware.memory_mib) * _MIB)
        return None

    @property
    def memory_name(self) -> str:
        """Whose memory it is, for messages."""
        gpu = self.machine.hardware is not None and self.machine.hardware.accelerator != "cpu" and self.on_gpu
        return f"{self.machine.name}'s GPU" if gpu else self.machine.name

    @property
    def too_long(self) -> bool:
        """Whether the context is longer than the model knows."""
        most = self.known.shape.max_context if self.known.shape is not None else None
        return most is not None and self.context is not None and self.context > most and not self.stretched

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
    format_name = model.quantisation.lower() if model.quantisation else repository.format if repository else None
    if format_name is None and shape is not None and model.repository == name:
        format_name = shape.native_format
    stored = models.weight_format(format_name, kind)
    size = model.size_gib * _GIB if model.size_gib is not None else _locked_bytes(model)
    if size is None and repository is not None and format_name == repository.format:
        size = float(repository.weight_bytes)
    if shape is None:
        why = models.incomplete(name) or f'the catalog has no model "{name}"'
        unread = None if size is None else WeightBytes(size, 0.0, 0.0, 0.0, measured=True)
        return Known(None, stored, unread, repository, why)
    if repository is not None and repository.max_context is not None:
        shape = replace(shape, max_context=repository.max_context)
    weights = weight_bytes(shape, stored, size)
    why = (
        ""
        if weights is not None
        else f'neither the size nor the format "{format_name or ""}" of {model.repository} is known'
    )
    return Known(shape, stored, weights, repository, why)


def _locked_bytes(model: Model) -> float | None:
    """Return the bytes of the weights among the files that the lock pins, None where it pins none."""
    sizes = {file.path: file.size for file in model.files or ()}
    if model.format == "gguf":
        wanted = set(parts(model.file)) if model.file is not None else set()
    else:
        wanted = set(without_copies(path for path in sizes if path.endswith(".safetensors")))
    found = [float(size) for path, size in sizes.items() if path in wanted]
    return sum(found) if found and len(found) == len(wanted) else None


def ask(service: Service, machine: Machine, model: Model | None, given: Known | None = None) -> Ask:
    """Return what a service asks of a machine."""
    flags = flags_of(service)
    known = (
        Known(None, None, None, None, _opaque(service)) if model is None else known_model(model, service.engine, given)
    )
    hardware = machine.hardware
    accelerator = hardware.accelerator if hardware is not None and service.gpu else "cpu"
    most = known.shape.max_context if known.shape is not None else None
    vllm = service.engine == "vllm"
    asked = whole(flags.get("max_model_len" if vllm else "ctx_size"))
    sequences = whole(flags.get("max_num_seqs" if vllm else "parallel"))
    context = asked or most
    shared = not vllm and (sequences is None or flags.get("kv_unified") is True)
    if context and sequences and not vllm and not shared:
        context = max(context // sequences, 1)  # llama-server divides the context that it is given, or its model's
    key_type = str(flags.get("cache_type_k", "f16"))
    value_type = str(flags.get("cache_type_v", "f16"))
    release = release_of(service, machine)
    batched, users = defaults.batch(service, machine)
    return Ask(
        service=service,
        machine=machine,
        repository=None if model is None else model.repository,
        known=known,
        release=release,
        backend=_backend(service.engine, accelerator, flags),
        context=context,
        context_asked=asked is not None,
        sequences=sequences or (users if vllm else defaults.SLOTS),
        sequences_asked=sequences is not None,
        shared_context=shared,
        ubatch=min(
            whole(flags.get("ubatch_size")) or llama_cache.DEFAULT_UBATCH,
            whole(flags.get("batch_size")) or llama_cache.DEFAULT_BATCH,
        ),
        batched_tokens=whole(flags.get("max_num_batched_tokens")) or batched,
        key_type=key_type,
        value_type=value_type,
        element_bytes=defaults.vllm_element(flags) if vllm else llama_cache.CACHE_TYPES.get(key_type),
        share=defaults.share(flags, release) if vllm else None,
        cache_bytes=number(flags.get("kv_cache_memory_bytes")) if vllm else None,
        parallel=whole(flags.get("tensor_parallel_size")) or 1,
        mmap=bool(flags.get("mmap", True)),
        eager=flags.get("enforce_eager") if vllm else None,
        stretched=defaults.stretched(service, flags),
        loading=defaults.loading(service.engine, flags, known),
        adding=defaults.adding(service.engine, flags),
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
