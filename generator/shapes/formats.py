"""The format of a repository's own weights, by the names of the catalog's formats, from a config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.shapes.fields import Fields

_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_FOUR_BITS, _EIGHT_BITS = 4, 8
_NVFP4_GROUP, _MXFP4_GROUP = 16, 32


def native_format(fields: Fields) -> str | None:
    """Return "bf16", "mxfp4", "gptq-4bit" and so on; None where the configuration does not say it.

    What is stored in several formats at once is named by the smallest, that of the experts or of most matrices.
    """
    for place in (fields, fields.outer):
        quantisation = place.section("quantization_config") if place else None
        if quantisation is not None:
            return _quantised(quantisation)
    for place in (fields, fields.outer):
        for key in ("dtype", "torch_dtype"):
            name = place.text(key) if place else None
            if name is not None:
                return _DTYPES.get(name.removeprefix("torch."))
    return None


def _quantised(fields: Fields) -> str | None:
    method = fields.text("quant_method") or ("modelopt" if fields.has("quant_algo") else None)
    if method in {"mxfp4", "fp8", "nvfp4"}:
        return method
    if method == "fbgemm_fp8":
        return "fp8"
    if method in {"gptq", "awq", "auto-round"}:
        return f"{method}-{fields.count('bits', most=32)}bit"
    if method == "bitsandbytes":
        bits = _FOUR_BITS if fields.flag("load_in_4bit", default=False) else _EIGHT_BITS
        return f"bitsandbytes-{bits}bit"
    if method in {"compressed-tensors", "modelopt"}:
        found = min(_groups(fields, method), default=None)
        return _algorithm(fields) if found is None else found[1]
    return method


def _algorithm(fields: Fields) -> str | None:
    """Return the smallest of the formats that ModelOpt names, for the whole model or layer by layer."""
    layers = fields.section("quantized_layers")
    each = [layers.section(name) for name in layers.data] if layers else []
    names = {place.text("quant_algo") or "" for place in (fields, *each) if place}
    if any("NVFP4" in name for name in names):
        return "nvfp4"
    return "fp8" if "FP8" in names else None


def _groups(fields: Fields, method: str) -> Iterator[tuple[int, str]]:
    """Yield bits and name of each group of layers that is stored alike."""
    groups = fields.section("config_groups")
    for name in groups.data if groups else ():
        group = groups.section(name) if groups else None
        weights = group.section("weights") if group else None
        if weights is not None:
            bits = weights.count("num_bits", most=32)
            yield bits, _group_name(bits, weights.data, method)


def _group_name(bits: int, weights: Any, method: str) -> str:  # noqa: ANN401 - JSON
    if weights.get("type") == "float" and bits == _EIGHT_BITS:
        return "fp8"
    if weights.get("type") == "float" and bits == _FOUR_BITS:
        if weights.get("group_size") == _NVFP4_GROUP:
            return "nvfp4"
        if weights.get("group_size") == _MXFP4_GROUP:
            return "mxfp4"
    return f"{method}-{bits}bit"
