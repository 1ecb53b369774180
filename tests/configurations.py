"""What the config.json of published models says, as far as a shape needs it: facts, from the catalog's sources."""

from __future__ import annotations

from typing import Any

BF16 = {"torch_dtype": "bfloat16"}
FP8 = {"quantization_config": {"quant_method": "fp8"}}
UNTIED = {"tie_word_embeddings": False}


def dense(
    architecture: str,
    layers: int,
    hidden: int,
    heads: tuple[int, int],
    width: int,
    **more: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return what nearly every configuration has; ``heads`` of queries and of keys, ``width`` of the plain block."""
    return {
        "architectures": [architecture],
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "intermediate_size": width,
        **more,
    }


def nested(data: dict[str, Any], **outer: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a configuration whose text model stands in a section, as those of models that see have it."""
    text = {key: value for key, value in data.items() if key != "architectures"}
    return {"architectures": data["architectures"], "text_config": text, "vision_config": {"depth": 27}, **outer}


def types(layers: int, every: int, other: str = "sliding_attention") -> list[str]:
    """Return layer types where every n-th layer looks at all tokens."""
    return [other if (layer + 1) % every else "full_attention" for layer in range(layers)]


def gpt_oss(layers: int, experts: int) -> dict[str, Any]:
    return dense(
        "GptOssForCausalLM", layers, 2880, (64, 8), 2880, head_dim=64, num_local_experts=experts, num_experts_per_tok=4,
        sliding_window=128, layer_types=types(layers, 2), attention_bias=True, vocab_size=201088,
        max_position_embeddings=131072, quantization_config={"quant_method": "mxfp4"}, **UNTIED,
    )  # fmt: skip


def qwen3(layers: int, hidden: int, heads: tuple[int, int], width: int, *, tied: bool = False) -> dict[str, Any]:
    return dense(
        "Qwen3ForCausalLM", layers, hidden, heads, width, head_dim=128, vocab_size=151936,
        max_position_embeddings=40960, use_sliding_window=False, max_window_layers=layers, sliding_window=None,
        attention_bias=False, tie_word_embeddings=tied, **BF16,
    )  # fmt: skip


def qwen3_moe(layers: int, hidden: int, heads: tuple[int, int], width: int, context: int = 40960) -> dict[str, Any]:
    return dense(
        "Qwen3MoeForCausalLM", layers, hidden, heads, 3 * hidden, head_dim=128, vocab_size=151936,
        max_position_embeddings=context, moe_intermediate_size=width, num_experts=128, num_experts_per_tok=8,
        decoder_sparse_step=1, mlp_only_layers=[], use_sliding_window=False, **UNTIED, **BF16,
    )  # fmt: skip


def linear(key_heads: int, value_heads: int) -> dict[str, Any]:
    return {
        "linear_num_key_heads": key_heads,
        "linear_key_head_dim": 128,
        "linear_num_value_heads": value_heads,
        "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4,
    }


def qwen35(layers: int, hidden: int, heads: tuple[int, int], values: int, width: int) -> dict[str, Any]:
    plain = dense(
        "Qwen3_5ForConditionalGeneration", layers, hidden, heads, width, head_dim=256, vocab_size=248320,
        max_position_embeddings=262144, full_attention_interval=4, layer_types=types(layers, 4, "linear_attention"),
        attn_output_gate=True, mamba_ssm_dtype="float32", mtp_num_hidden_layers=1, dtype="bfloat16",
        **linear(16, values),
    )  # fmt: skip
    return nested(plain, **UNTIED)


def qwen35_moe(layers: int, hidden: int, heads: int, values: int, width: int) -> dict[str, Any]:
    data = qwen35(layers, hidden, (heads, 2), values, 0)
    del data["text_config"]["intermediate_size"]
    data["architectures"] = ["Qwen3_5MoeForConditionalGeneration"]
    data["text_config"] |= {
        "moe_intermediate_size": width,
        "shared_expert_intermediate_size": width,
        "num_experts": 256,
        "num_experts_per_tok": 8,
    }
    return data


QWEN3_NEXT = dense(
    "Qwen3NextForCausalLM", 48, 2048, (16, 2), 5120, head_dim=256, vocab_size=151936, max_position_embeddings=262144,
    full_attention_interval=4, moe_intermediate_size=512, shared_expert_intermediate_size=512, num_experts=512,
    num_experts_per_tok=10, decoder_sparse_step=1, mlp_only_layers=[], **linear(16, 32), **UNTIED, **BF16,
)  # fmt: skip


def llama(layers: int, hidden: int, heads: tuple[int, int], width: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return dense("LlamaForCausalLM", layers, hidden, heads, width, **{
        "vocab_size": 128256, "max_position_embeddings": 131072, "attention_bias": False, "mlp_bias": False,
        **UNTIED, **BF16, **more,
    })  # fmt: skip


def mistral(architecture: str, context: int | None, width: int = 32768, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return dense(
        architecture, 40, 5120, (32, 8), width, head_dim=128, vocab_size=131072, max_position_embeddings=context,
        sliding_window=None, **{**BF16, **UNTIED, **more},
    )  # fmt: skip


def qwen25(layers: int, hidden: int, heads: tuple[int, int], width: int, context: int) -> dict[str, Any]:
    return dense(
        "Qwen2ForCausalLM", layers, hidden, heads, width, vocab_size=152064, max_position_embeddings=context,
        sliding_window=131072, use_sliding_window=False, max_window_layers=70, **UNTIED, **BF16,
    )  # fmt: skip


def gemma3(layers: int, hidden: int, heads: tuple[int, int], width: int, head_dim: int) -> dict[str, Any]:
    return nested(dense(
        "Gemma3ForConditionalGeneration", layers, hidden, heads, width, head_dim=head_dim, vocab_size=262208,
        max_position_embeddings=131072, sliding_window=1024, sliding_window_pattern=6,
    ), **BF16)  # fmt: skip


def gemma4(layers: int, hidden: int, heads: tuple[int, int, int], width: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return nested(dense(
        "Gemma4ForConditionalGeneration", layers, hidden, heads[:2], width, head_dim=256, global_head_dim=512,
        num_global_key_value_heads=heads[2], attention_k_eq_v=True, vocab_size=262144, max_position_embeddings=262144,
        sliding_window=1024, layer_types=types(layers, 6), hidden_size_per_layer_input=0, num_kv_shared_layers=0,
        tie_word_embeddings=True, **more,
    ), dtype="bfloat16", tie_word_embeddings=True)  # fmt: skip


def minimax(context: int) -> dict[str, Any]:
    return dense(
        "MiniMaxM2ForCausalLM", 62, 3072, (48, 8), 1536, head_dim=128, num_local_experts=256, num_experts_per_tok=8,
        use_routing_bias=True, use_qk_norm=True, vocab_size=200064, max_position_embeddings=context,
        num_mtp_modules=3, **FP8, **UNTIED,
    )  # fmt: skip


def nemotron(pattern: str, hidden: int, experts: tuple[int, int], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "architectures": ["NemotronHForCausalLM"], "hybrid_override_pattern": pattern,
        "num_hidden_layers": len(pattern), "hidden_size": hidden, "num_attention_heads": 32, "num_key_value_heads": 2,
        "head_dim": 128, "mamba_head_dim": 64, "ssm_state_size": 128, "conv_kernel": 4, "n_groups": 8,
        "use_conv_bias": True, "mamba_ssm_cache_dtype": "float32", "n_routed_experts": experts[0],
        "num_experts_per_tok": experts[1], "n_shared_experts": 1, "vocab_size": 131072,
        "max_position_embeddings": 262144, **BF16, **UNTIED, **more,
    }  # fmt: skip


def latent(architecture: str, layers: int, hidden: int, heads: int, width: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return dense(architecture, layers, hidden, (heads, heads), width, kv_lora_rank=512, qk_rope_head_dim=64, **{
        "qk_nope_head_dim": 128, "v_head_dim": 128, "moe_layer_freq": 1, **BF16, **UNTIED, **more,
    })  # fmt: skip


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "openai/gpt-oss-20b": gpt_oss(24, 32),
    "openai/gpt-oss-120b": gpt_oss(36, 128),
    "Qwen/Qwen3-0.6B": qwen3(28, 1024, (16, 8), 3072, tied=True),
    "Qwen/Qwen3-1.7B": qwen3(28, 2048, (16, 8), 6144, tied=True),
    "Qwen/Qwen3-8B": qwen3(36, 4096, (32, 8), 12288),
    "Qwen/Qwen3-14B": qwen3(40, 5120, (40, 8), 17408),
    "Qwen/Qwen3-32B": qwen3(64, 5120, (64, 8), 25600),
    "Qwen/Qwen3-30B-A3B": qwen3_moe(48, 2048, (32, 4), 768),
    "Qwen/Qwen3-235B-A22B": qwen3_moe(94, 4096, (64, 4), 1536),
    "Qwen/Qwen3-Coder-30B-A3B-Instruct": qwen3_moe(48, 2048, (32, 4), 768, 262144),
    "Qwen/Qwen3.5-9B": qwen35(32, 4096, (16, 4), 32, 12288),
    "Qwen/Qwen3.5-27B": qwen35(64, 5120, (24, 4), 48, 17408),
    "Qwen/Qwen3.6-27B": qwen35(64, 5120, (24, 4), 48, 17408),
    "Qwen/Qwen3.5-35B-A3B": qwen35_moe(40, 2048, 16, 32, 512),
    "Qwen/Qwen3.6-35B-A3B": qwen35_moe(40, 2048, 16, 32, 512),
    "Qwen/Qwen3.5-122B-A10B": qwen35_moe(48, 3072, 32, 64, 1024),
    "Qwen/Qwen3-Next-80B-A3B-Instruct": QWEN3_NEXT,
    "Qwen/Qwen3-Coder-Next": QWEN3_NEXT,
    "meta-llama/Llama-3.1-8B-Instruct": llama(32, 4096, (32, 8), 14336),
    "meta-llama/Llama-3.3-70B-Instruct": llama(80, 8192, (64, 8), 28672),
    "meta-llama/Llama-3.2-3B-Instruct": llama(28, 3072, (24, 8), 8192, head_dim=128, tie_word_embeddings=True),
    "meta-llama/Llama-2-7b-hf": llama(
        32, 4096, (32, 32), 11008, vocab_size=32000, max_position_embeddings=4096, torch_dtype="float16"
    ),
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": nested(dense(
        "Llama4ForConditionalGeneration", 48, 5120, (40, 8), 8192, head_dim=128, intermediate_size_mlp=16384,
        attention_chunk_size=8192, interleave_moe_layer_step=1, num_local_experts=16, num_experts_per_tok=1,
        vocab_size=202048, max_position_embeddings=10485760, **BF16,
    )),
    "mistralai/Devstral-Small-2507": mistral("MistralForCausalLM", None),
    "mistralai/Devstral-Small-2-24B-Instruct-2512": nested(
        mistral("Mistral3ForConditionalGeneration", 393216), **FP8, **UNTIED
    ),
    "mistralai/Devstral-2-123B-Instruct-2512": mistral(
        "Ministral3ForCausalLM", 262144, 28672, num_hidden_layers=88, hidden_size=12288, num_attention_heads=96, **FP8
    ),
    "mistralai/Mistral-Small-3.1-24B-Instruct-2503": nested(mistral("Mistral3ForConditionalGeneration", 131072)),
    "mistralai/Mistral-Nemo-Instruct-2407": mistral("MistralForCausalLM", 131072, 14336),
    "microsoft/phi-4": dense(
        "Phi3ForCausalLM", 40, 5120, (40, 10), 17920, vocab_size=100352, max_position_embeddings=16384,
        sliding_window=None, **BF16, **UNTIED,
    ),
    "HuggingFaceTB/SmolLM3-3B": dense(
        "SmolLM3ForCausalLM", 36, 2048, (16, 4), 11008, vocab_size=128256, max_position_embeddings=65536,
        layer_types=["full_attention"] * 36, no_rope_layer_interval=4, use_sliding_window=False, **BF16,
    ),
    "Qwen/Qwen2.5-7B-Instruct": qwen25(28, 3584, (28, 4), 18944, 32768),
    "Qwen/Qwen2.5-32B-Instruct": qwen25(64, 5120, (40, 8), 27648, 131072),
    "LGAI-EXAONE/EXAONE-4.0-32B": dense(
        "Exaone4ForCausalLM", 64, 5120, (40, 8), 27392, head_dim=128, vocab_size=102400,
        max_position_embeddings=131072, sliding_window=4096, sliding_window_pattern="LLLG", **BF16, **UNTIED,
    ),
    "google/gemma-3-27b-it": gemma3(62, 5376, (32, 16), 21504, 128),
    "google/gemma-3-12b-it": gemma3(48, 3840, (16, 8), 15360, 256),
    "google/gemma-4-26B-A4B-it": gemma4(
        30, 2816, (16, 8, 2), 2112, enable_moe_block=True, num_experts=128, top_k_experts=8, moe_intermediate_size=704
    ),
    "google/gemma-4-31B-it": gemma4(60, 5376, (32, 16, 4), 21504, enable_moe_block=False, num_experts=None),
    "zai-org/GLM-4.5-Air": dense(
        "Glm4MoeForCausalLM", 46, 4096, (96, 8), 10944, head_dim=128, moe_intermediate_size=1408,
        n_routed_experts=128, num_experts_per_tok=8, n_shared_experts=1, first_k_dense_replace=1, attention_bias=True,
        use_qk_norm=False, vocab_size=151552, max_position_embeddings=131072, num_nextn_predict_layers=1,
        **BF16, **UNTIED,
    ),
    "zai-org/GLM-4.7-Flash": latent(
        "Glm4MoeLiteForCausalLM", 47, 2048, 20, 10240, q_lora_rank=768, qk_nope_head_dim=192, v_head_dim=256,
        moe_intermediate_size=1536, n_routed_experts=64, num_experts_per_tok=4, n_shared_experts=1,
        first_k_dense_replace=1, topk_method="noaux_tc", vocab_size=154880, max_position_embeddings=202752,
        num_nextn_predict_layers=1,
    ),
    "deepseek-ai/DeepSeek-V2-Lite": latent(
        "DeepseekV2ForCausalLM", 27, 2048, 16, 10944, q_lora_rank=None, moe_intermediate_size=1408,
        n_routed_experts=64, num_experts_per_tok=6, n_shared_experts=2, first_k_dense_replace=1, topk_method="greedy",
        vocab_size=102400, max_position_embeddings=163840,
    ),
    "deepseek-ai/DeepSeek-V3": latent(
        "DeepseekV3ForCausalLM", 61, 7168, 128, 18432, q_lora_rank=1536, moe_intermediate_size=2048,
        n_routed_experts=256, num_experts_per_tok=8, n_shared_experts=1, first_k_dense_replace=3,
        topk_method="noaux_tc", vocab_size=129280, max_position_embeddings=163840, num_nextn_predict_layers=1, **FP8,
    ),
    "MiniMaxAI/MiniMax-M2.5": minimax(196608),
    "MiniMaxAI/MiniMax-M2.7": minimax(204800),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": nemotron(
        "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", 2688, (128, 6), mamba_num_heads=64,
        moe_intermediate_size=1856, moe_shared_expert_intermediate_size=3712,
    ),
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8": nemotron(
        "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME", 4096, (512, 22),
        mamba_num_heads=128, moe_intermediate_size=2688, moe_shared_expert_intermediate_size=5376,
        moe_latent_size=1024, num_nextn_predict_layers=1,
        quantization_config={"quant_method": "modelopt", "quant_algo": "FP8"},
    ),
    "mistralai/Mixtral-8x7B-v0.1": dense(
        "MixtralForCausalLM", 32, 4096, (32, 8), 14336, num_local_experts=8, num_experts_per_tok=2, vocab_size=32000,
        max_position_embeddings=32768, sliding_window=None, **BF16, **UNTIED,
    ),
}  # fmt: skip
