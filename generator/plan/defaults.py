"""What an engine does where a spec is silent, and arguments that say more than they seem to; all of one service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from generator.catalog.load import version_key
from generator.plan import vllm_cache
from generator.plan.arguments import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generator.plan.ask import Known
    from generator.spec.model import Machine
    from generator.spec.service import Service

# vLLM's own share of the GPU: since 0.20, and before.
_UTILISATION, _OLD_UTILISATION, _CHANGED = 0.92, 0.9, "0.20.0"
# llama-server's own: slots where --parallel is not given, which then share the context (tools/server/server.cpp at
# 171e884, 2026-09: "using n_parallel = 4 and kv_unified = true").
SLOTS = 4
# What vLLM's API server computes at once where nothing is said, tokens and sequences: GPUs of 70 GiB and more, others,
# CPUs (EngineArgs.get_batch_defaults, 0.11 to 0.30). It takes a GPU that shares its memory for a small one: NVML gives
# no size, and amdsmi that of the carve-out.
_LARGE_BATCH, _SMALL_BATCH, _CPU_BATCH = (8192, 1024), (2048, 256), (2048, 128)
_LARGE_MIB = 70 * 1024
# Arguments that change how a model counts positions.
_STRETCHING = ("hf_overrides", "rope_scaling", "rope_scale", "rope_freq_scale", "yarn_orig_ctx", "override_kv")
_STRETCHING_ENVIRONMENT = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
# Arguments that change what is loaded onto this GPU: how much that is, no rule here says.
LOADING = {
    "vllm": ("cpu_offload_gb", "pipeline_parallel_size", "offload_backend", "offload_group_size"),
    "llamacpp": ("cpu_moe", "n_cpu_moe", "override_tensor", "no_kv_offload", "tensor_split", "rpc"),
}
# Arguments that load something beside the model.
ADDING = {
    "vllm": ("speculative_config", "enable_lora"),
    "llamacpp": ("mmproj", "model_draft", "lora", "spec_type"),
}
_WIDE = ("float", "float32")


def batch(service: Service, machine: Machine) -> tuple[int, int]:
    """Return how many tokens, and how many sequences, vLLM computes at once."""
    hardware = machine.hardware
    if hardware is None or hardware.accelerator == "cpu" or not service.gpu:
        return _CPU_BATCH
    return _LARGE_BATCH if hardware.memory_mib >= _LARGE_MIB and not hardware.unified else _SMALL_BATCH


def share(flags: Mapping[str, Any], release: str | None) -> float:
    """Return vLLM's share of the GPU's memory."""
    given = number(flags.get("gpu_memory_utilization"))
    if given is not None:
        return given
    old = release is not None and version_key(release) < version_key(_CHANGED)
    return _OLD_UTILISATION if old else _UTILISATION


def vllm_element(flags: Mapping[str, Any]) -> int | None:
    """Return the bytes of an element of vLLM's cache, None where its number format is not known."""
    name = str(flags.get("kv_cache_dtype", "auto"))
    if name == "auto" and flags.get("dtype") in _WIDE:  # "auto" is the number format of activations
        return 4
    return vllm_cache.cache_element_bytes(name)


def stretched(service: Service, flags: Mapping[str, Any]) -> bool:
    """Return whether arguments let a model have more context than its configuration says."""
    return any(name in flags for name in _STRETCHING) or _STRETCHING_ENVIRONMENT in service.extra_env


def loading(engine: str, flags: Mapping[str, Any], known: Known) -> str | None:
    """Return the argument that changes what is loaded onto this GPU, so that what it holds is not known; else None."""
    layers = number(flags.get("n_gpu_layers"))
    if engine == "llamacpp" and layers is not None and 0 <= layers < (known.shape.layers if known.shape else 1):
        return "n_gpu_layers"
    if engine == "vllm" and flags.get("dtype") in _WIDE:
        return "dtype"
    # Weights of 16 bit are quantised while they are loaded.
    if engine == "vllm" and flags.get("quantization") and known.stored is not None and known.stored.uniform:
        return "quantization"
    return next((name for name in LOADING.get(engine, ()) if flags.get(name) not in {None, False, "0", "1"}), None)


def adding(engine: str, flags: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the arguments that load something beside the model, of which the plan knows nothing."""
    return tuple(name for name in ADDING.get(engine, ()) if flags.get(name) not in {None, False})
