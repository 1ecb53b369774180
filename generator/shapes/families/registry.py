"""Which function reads which architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from generator.shapes.families import gemma, gqa, mamba_hybrid, mla, qwen_hybrid
from generator.shapes.families.gqa import Traits

if TYPE_CHECKING:
    from generator.shapes.fields import Fields
    from generator.shapes.shape import Shape

Family = Callable[["Fields", str], "Shape"]


def _dense(traits: Traits) -> Family:
    return partial(_decoder, traits=traits, sparse=False)


def _sparse(traits: Traits) -> Family:
    return partial(_decoder, traits=traits, sparse=True)


def _decoder(fields: Fields, architecture: str, *, traits: Traits, sparse: bool) -> Shape:
    return gqa.decoder(fields, architecture, traits, gqa.qwen_mixture(fields) if sparse else None)


_LLAMA = _dense(Traits(kv_default=True))
_MISTRAL = _dense(Traits())
_QWEN3 = Traits(norm="head", head_dim=128, windows=False)

FAMILIES: Mapping[str, Family] = {
    "LlamaForCausalLM": _LLAMA,
    "MistralForCausalLM": _MISTRAL,
    "Mistral3ForConditionalGeneration": _MISTRAL,
    "Ministral3ForCausalLM": _MISTRAL,
    "Phi3ForCausalLM": _LLAMA,
    "GraniteForCausalLM": _LLAMA,
    "SmolLM3ForCausalLM": _dense(Traits(windows=False, tied=True)),
    "Qwen2ForCausalLM": _dense(Traits(qkv_bias=True, windows=False)),
    "Qwen3ForCausalLM": _dense(_QWEN3),
    "Qwen3VLForConditionalGeneration": _dense(_QWEN3),
    "Exaone4ForCausalLM": _dense(Traits(norm="head", pattern=4)),
    "Qwen2MoeForCausalLM": _sparse(Traits(qkv_bias=True, windows=False)),
    "Qwen3MoeForCausalLM": _sparse(_QWEN3),
    "Qwen3VLMoeForConditionalGeneration": _sparse(_QWEN3),
    "MixtralForCausalLM": gqa.mixtral,
    "GptOssForCausalLM": gqa.gpt_oss,
    "Glm4MoeForCausalLM": gqa.glm4_moe,
    "MiniMaxM2ForCausalLM": gqa.minimax_m2,
    "Llama4ForCausalLM": gqa.llama4,
    "Llama4ForConditionalGeneration": gqa.llama4,
    "Gemma2ForCausalLM": gemma.gemma2,
    "Gemma3ForCausalLM": gemma.gemma3,
    "Gemma3ForConditionalGeneration": gemma.gemma3,
    "Gemma4ForCausalLM": gemma.gemma4,
    "Gemma4ForConditionalGeneration": gemma.gemma4,
    "Qwen3NextForCausalLM": qwen_hybrid.mixture,
    "Qwen3_5ForCausalLM": qwen_hybrid.dense,
    "Qwen3_5ForConditionalGeneration": qwen_hybrid.dense,
    "Qwen3_5MoeForCausalLM": qwen_hybrid.mixture,
    "Qwen3_5MoeForConditionalGeneration": qwen_hybrid.mixture,
    "DeepseekV2ForCausalLM": mla.latent,
    "DeepseekV3ForCausalLM": mla.latent,
    "KimiK25ForConditionalGeneration": mla.latent,
    "Glm4MoeLiteForCausalLM": mla.latent,
    "NemotronHForCausalLM": mamba_hybrid.nemotron_h,
}
