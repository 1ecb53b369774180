"""From the metadata and tensors of a GGUF file to a shape, as llama.cpp reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from generator.shapes.families.parts import gather
from generator.shapes.roles import Role, Sums, gguf_role
from generator.shapes.shape import AttentionLayers, Parameters, RecurrentLayers, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from generator.shapes.fields import Fields


class Named(Protocol):
    """What is needed of a tensor."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def elements(self) -> int:
        """Return its number of elements."""

    @property
    def rows(self) -> int:
        """Return the elements of its outermost dimension."""


@dataclass(frozen=True, slots=True)
class _Architecture:
    """What llama.cpp knows of an architecture by itself (src/models/*.cpp, 2026-08).

    ``name`` is the Hugging Face architecture; ``pattern`` n lets every n-th layer look at all tokens and gives the
    others the file's window, or ``window`` where the file has none. Without a pattern llama.cpp ignores the file's
    window.
    """

    name: str
    pattern: int = 0
    window: int | None = None


_ARCHITECTURES: Mapping[str, _Architecture] = {
    "llama": _Architecture("LlamaForCausalLM"),
    "mistral3": _Architecture("Ministral3ForCausalLM"),
    "qwen2": _Architecture("Qwen2ForCausalLM"),
    "qwen2moe": _Architecture("Qwen2MoeForCausalLM"),
    "qwen3": _Architecture("Qwen3ForCausalLM"),
    "qwen3moe": _Architecture("Qwen3MoeForCausalLM"),
    "qwen3vl": _Architecture("Qwen3VLForConditionalGeneration"),
    "qwen3vlmoe": _Architecture("Qwen3VLMoeForConditionalGeneration"),
    "qwen3next": _Architecture("Qwen3NextForCausalLM"),
    "qwen35": _Architecture("Qwen3_5ForConditionalGeneration"),
    "qwen35moe": _Architecture("Qwen3_5MoeForConditionalGeneration"),
    "phi3": _Architecture("Phi3ForCausalLM"),
    "smollm3": _Architecture("SmolLM3ForCausalLM"),
    "granite": _Architecture("GraniteForCausalLM"),
    "exaone4": _Architecture("Exaone4ForCausalLM", 4),
    "gpt-oss": _Architecture("GptOssForCausalLM", 2),
    "glm4moe": _Architecture("Glm4MoeForCausalLM"),
    "minimax-m2": _Architecture("MiniMaxM2ForCausalLM"),
    "llama4": _Architecture("Llama4ForConditionalGeneration", 4, 8192),
    "gemma2": _Architecture("Gemma2ForCausalLM", 2, 4096),
    "gemma3": _Architecture("Gemma3ForConditionalGeneration", 6),
    "gemma4": _Architecture("Gemma4ForConditionalGeneration", 6),
    "deepseek2": _Architecture("DeepseekV2ForCausalLM"),
    "nemotron_h": _Architecture("NemotronHForCausalLM"),
    "nemotron_h_moe": _Architecture("NemotronHForCausalLM"),
}
_LAYER_TENSOR = re.compile(r"^blk\.(\d+)\.(ssm_|attn_(?:q|k|qkv|q_a|kv_a_mqa)\.)")
_NOT_PARAMETERS = ("rope_freqs.", "rope_factors_")


def shape_of(fields: Fields, tensors: Sequence[Named]) -> Shape:
    """Return the shape of a model by its metadata and tensors; raises ShapeError."""
    arch = fields.text("general.architecture") or ""
    known = _ARCHITECTURES.get(arch)
    if known is None:
        hint = "give the GGUF file of a language model"
        raise fields.wrong("general.architecture", f'the shape of "{arch[:80]}" is not known', hint)
    table = next((tensor for tensor in tensors if tensor.name == "token_embd.weight"), None)
    if table is None:
        raise fields.wrong("token_embd.weight", "is no tensor of this file", "give the GGUF file of a language model")
    blocks = fields.layers(f"{arch}.block_count")
    layers = blocks - fields.count(f"{arch}.nextn_predict_layers", 0, least=0, most=blocks - 1)
    recurrent, attention = _kinds(tensors, layers)
    count = fields.count(f"{arch}.expert_count", 0, least=0)
    used = fields.count(f"{arch}.expert_used_count", 0 if not count else None, least=0, most=max(count, 0))
    return Shape(
        architecture="MixtralForCausalLM" if arch == "llama" and count else known.name,
        layers=layers,
        hidden_size=fields.count(f"{arch}.embedding_length"),
        vocabulary=table.rows,
        max_context=fields.optional_count(f"{arch}.context_length"),
        attention=gather(_attention(fields, arch, known, blocks, attention)),
        recurrent=(_recurrent(fields, arch, len(recurrent)),) if recurrent else (),
        parameters=_parameters(tensors, layers, used, count),
        expert_count=count,
        experts_per_token=used,
        native_format=_format(fields),
    )


def _kinds(tensors: Iterable[Named], layers: int) -> tuple[set[int], list[int]]:
    """Return the layers with a recurrent state, and those with attention: their tensors tell."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for tensor in tensors:
        match = _LAYER_TENSOR.match(tensor.name)
        if match and int(match[1]) < layers:
            found[match[2] == "ssm_"].add(int(match[1]))
    return found[True], sorted(found[False] - found[True])


def _attention(
    fields: Fields, arch: str, known: _Architecture, blocks: int, layers: Iterable[int]
) -> Iterable[AttentionLayers]:
    query = _per_layer(fields, f"{arch}.attention.head_count", blocks)
    kv = _per_layer(fields, f"{arch}.attention.head_count_kv", blocks, query)
    window, windowed = _windows(fields, arch, known, blocks)
    kept = blocks - fields.count(f"{arch}.attention.shared_kv_layers", 0, least=0, most=blocks)
    for layer in layers:
        if layer >= kept:  # it uses the rows of a layer before it
            continue
        if not query[layer] or not kv[layer] or query[layer] % kv[layer]:
            what = f"{kv[layer]} does not divide the {query[layer]} query heads of layer {layer}"
            raise fields.wrong(f"{arch}.attention.head_count_kv", what, "download it again")
        if fields.has(f"{arch}.attention.kv_lora_rank") and fields.has(f"{arch}.attention.key_length_mla"):
            row = fields.count(f"{arch}.attention.kv_lora_rank") + fields.count(f"{arch}.rope.dimension_count")
            yield AttentionLayers(1, query[layer], 1, row, 0)
            continue
        # A file with a latent rank but without key_length_mla is from before 2025-04: its rows are kept unfolded.
        local = "_swa" if windowed[layer] and fields.has(f"{arch}.attention.key_length_swa") else ""
        default = fields.count(f"{arch}.embedding_length") // query[layer] or None
        key = fields.count(f"{arch}.attention.key_length{local}", default)
        value = fields.count(f"{arch}.attention.value_length{local}", default)
        yield AttentionLayers(1, query[layer], kv[layer], key, value, window if windowed[layer] else None)


def _per_layer(fields: Fields, key: str, blocks: int, default: Sequence[int] | None = None) -> Sequence[int]:
    """Return a number for each layer, which the file has once for all or as a list."""
    value = fields.data.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, list):
        return [fields.count(key, least=0)] * blocks
    counts = fields.counts(key) or ()
    if len(counts) != blocks:
        raise fields.wrong(key, f"has {len(counts)} entries for {blocks} layers", "download it again")
    return counts


def _windows(fields: Fields, arch: str, known: _Architecture, blocks: int) -> tuple[int | None, Sequence[bool]]:
    """Return the window, and for each layer whether it has it."""
    window = fields.count(f"{arch}.attention.sliding_window", known.window or 0, least=0)
    if not known.pattern or not window:
        return None, [False] * blocks
    key = f"{arch}.attention.sliding_window_pattern"
    pattern = fields.data.get(key)
    if isinstance(pattern, list):
        if len(pattern) != blocks:
            raise fields.wrong(key, f"has {len(pattern)} entries for {blocks} layers", "download it again")
        return window, [bool(entry) for entry in pattern]
    every = fields.count(key, known.pattern)
    return window, [layer % every < every - 1 for layer in range(blocks)]


def _recurrent(fields: Fields, arch: str, layers: int) -> RecurrentLayers:
    """Return layers of a state; llama.cpp keeps it in 32 bits whatever the model."""
    state, inner = fields.count(f"{arch}.ssm.state_size"), fields.count(f"{arch}.ssm.inner_size")
    channels = inner + 2 * fields.count(f"{arch}.ssm.group_count", 0, least=0) * state
    return RecurrentLayers(layers, state * inner, (fields.count(f"{arch}.ssm.conv_kernel") - 1) * channels)


def _parameters(tensors: Iterable[Named], layers: int, used: int, count: int) -> Parameters:
    sums = Sums()
    for tensor in tensors:
        role = gguf_role(tensor.name, layers)
        if role is not Role.ASIDE and not tensor.name.split(".", 2)[-1].startswith(_NOT_PARAMETERS):
            sums.add(role, 0 if tensor.name.startswith(_NOT_PARAMETERS) else tensor.elements)
    active = sums.experts * used // count if count else 0
    return Parameters(sums.dense, sums.embedding, sums.experts, active)


def _format(fields: Fields) -> str | None:
    """Return the format by llama.cpp's name, "q4_k_m"; None where the file does not say it."""
    from gguf import LlamaFileType

    number = fields.data.get("general.file_type")
    names = {entry.value: entry.name for entry in LlamaFileType}
    name = names.get(number) if isinstance(number, int) else None
    if name is None or name == "GUESSED":
        return None
    return name.removeprefix("MOSTLY_").removeprefix("ALL_").removesuffix("_MOE").lower()
