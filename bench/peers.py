"""What other published estimators say of the same rows: by their own code where it is installed, or by their rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generator.plan.weights import WeightBytes
    from generator.shapes.shape import Shape


def hf_mem_cache(shape: Shape, tokens: int, kind: str) -> float | None:
    """Return the bytes that hf-mem (PyPI) gives a cache of so many tokens; None without it, or where it fails."""
    try:
        from hf_mem.gguf.kv_cache import compute_gguf_kv_cache_size
        from hf_mem.safetensors.kv_cache import compute_safetensors_kv_cache_size
    except ImportError:
        return None
    config = _config(shape)
    try:
        if kind == "gguf":
            fields = {
                "block_count": shape.layers,
                "head_count": config["num_attention_heads"],
                "head_count_kv": config["num_key_value_heads"],
                "embedding_length": shape.hidden_size,
                "context_length": tokens,
            }
            return float(compute_gguf_kv_cache_size(fields))
        return float(compute_safetensors_kv_cache_size(config, "BF16", tokens))
    except (KeyError, RuntimeError, TypeError, ZeroDivisionError):
        return None


def every_layer_cache(shape: Shape, tokens: int) -> float:
    """Return the bytes by the rule of gguf-parser-go: every layer keeps every token, in 16 bit, whatever its kind."""
    widest = max(shape.attention, key=lambda group: group.row_elements)
    return 2.0 * tokens * shape.layers * widest.row_elements


def parameters_only(shape: Shape) -> float:
    """Return the bytes of weights by the rule of accelerate's estimate-memory: all parameters in 16 bit."""
    return 2.0 * shape.parameters.total


def whole_file_speed(weights: WeightBytes, bandwidth: float) -> float:
    """Return tokens a second by the rule of gguf-parser-go: every weight is read for every token, at full bandwidth."""
    return bandwidth / weights.total


def flat_speed(weights: WeightBytes, bandwidth: float) -> float:
    """Return tokens a second by a flat efficiency of 0.55 over what one token reads."""
    return 0.55 * bandwidth / weights.read


def _config(shape: Shape) -> dict[str, Any]:
    """Return what the peers read of a config.json, made of a shape."""
    first = shape.attention[0]
    full = sum(group.layers for group in shape.attention if group.window is None)
    windows = [group.window for group in shape.attention if group.window is not None]
    config: dict[str, Any] = {
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": first.query_heads,
        "num_key_value_heads": first.kv_heads,
        "head_dim": first.key_dim,
    }
    if windows or shape.recurrent:
        other = "sliding_attention" if windows else "linear_attention"
        config["layer_types"] = ["full_attention"] * full + [other] * (shape.layers - full)
    if windows:
        config["sliding_window"] = windows[0]
    if re.search(r"Gemma3", shape.architecture):
        config["sliding_window_pattern"] = 6
    return config
