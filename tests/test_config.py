"""Shapes from config.json: every model of the catalog, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.catalog import models
from generator.errors import ShapeError
from generator.shapes.config import load_config, read_config
from generator.shapes.families.registry import FAMILIES
from generator.shapes.shape import AttentionLayers
from tests.configurations import CONFIGURATIONS, dense, llama, types

if TYPE_CHECKING:
    from pathlib import Path

    from generator.shapes.shape import Shape

NAMES = models.shape_names()


def catalog(name: str) -> Shape:
    """Return the catalog's shape without the vision tower, which a configuration of the text model does not size."""
    shape = models.shape(name)
    assert shape is not None
    return replace(shape, extra_parameters=0)


def small(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    return llama(2, 64, (4, 2), 128, **{"vocab_size": 100, **more})


def refusal(data: object) -> str:
    with pytest.raises(ShapeError) as caught:
        read_config(data, "some/config.json")
    (problem,) = caught.value.problems
    assert problem.hint
    return str(problem)


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_gives_the_catalogs_shape(name: str) -> None:
    assert read_config(CONFIGURATIONS[name]) == catalog(name)


def test_every_family_but_a_few_is_held_against_the_catalog() -> None:
    tried = {CONFIGURATIONS[name]["architectures"][0] for name in NAMES}
    # The rest share their function with one that is tried, but for Gemma 2, Granite and Qwen 2 with experts below.
    untried = {family for name, family in FAMILIES.items() if name not in tried} - {FAMILIES[name] for name in tried}
    assert {name for name, family in FAMILIES.items() if family in untried} <= {
        "Gemma2ForCausalLM",
        "Qwen2MoeForCausalLM",
        "Qwen3VLForConditionalGeneration",
        "Qwen3VLMoeForConditionalGeneration",
    }


def test_gemma_2_has_the_published_number_of_parameters() -> None:
    data = dense(
        "Gemma2ForCausalLM", 42, 3584, (16, 8), 14336, head_dim=256, vocab_size=256000, sliding_window=4096,
        max_position_embeddings=8192,
    )  # fmt: skip
    shape = read_config(data)
    assert shape.parameters.total == 9_241_705_984  # total_size of google/gemma-2-9b's index, halved
    assert [(group.layers, group.window) for group in shape.attention] == [(21, None), (21, 4096)]


def test_qwen_2_with_experts_has_the_published_number_of_parameters() -> None:
    data = dense(
        "Qwen2MoeForCausalLM", 24, 2048, (16, 16), 5632, vocab_size=151936, num_experts=60, num_experts_per_tok=4,
        moe_intermediate_size=1408, shared_expert_intermediate_size=5632, decoder_sparse_step=1,
        use_sliding_window=False, tie_word_embeddings=False,
    )  # fmt: skip
    assert read_config(data).parameters.total == 14_315_784_192  # Qwen1.5-MoE-A2.7B: "14.3B parameters in total"


def test_a_missing_head_dim_is_the_hidden_size_divided_among_the_heads() -> None:
    assert read_config(small()).attention == (AttentionLayers(2, 4, 2, 16, 16),)


def test_heads_that_do_not_divide_the_hidden_size_are_refused() -> None:
    assert "head_dim: is missing, and 4 heads do not divide hidden_size, 66" in refusal(small(hidden_size=66))


def test_biases_of_attention_and_of_plain_blocks_are_parameters() -> None:
    plain = read_config(small()).parameters.dense
    assert read_config(small(attention_bias=True)).parameters.dense == plain + 2 * (64 + 2 * 32 + 64)
    assert read_config(small(mlp_bias=True)).parameters.dense == plain + 2 * (2 * 128 + 64)


def test_a_tied_embedding_is_counted_once_and_read_for_every_token() -> None:
    tied, untied = read_config(small(tie_word_embeddings=True)), read_config(small())
    assert (tied.parameters.embedding, untied.parameters.embedding) == (0, 6400)
    assert tied.parameters.dense == untied.parameters.dense


def test_a_window_without_a_pattern_is_every_layers() -> None:
    data = small(architectures=["MistralForCausalLM"], sliding_window=4096)
    assert [group.window for group in read_config(data).attention] == [4096]


def test_qwens_window_counts_only_above_max_window_layers_and_where_it_is_switched_on() -> None:
    data = small(architectures=["Qwen2ForCausalLM"], num_hidden_layers=8, sliding_window=512, max_window_layers=6)
    assert [group.window for group in read_config(data).attention] == [None]
    groups = read_config(data | {"use_sliding_window": True}).attention
    assert [(group.layers, group.window) for group in groups] == [(6, None), (2, 512)]


def test_layer_types_decide_over_a_pattern() -> None:
    data = small(
        architectures=["Exaone4ForCausalLM"], sliding_window=32, sliding_window_pattern="LLLG", layer_types=types(2, 2)
    )
    assert [(group.layers, group.window) for group in read_config(data).attention] == [(1, None), (1, 32)]


@pytest.mark.parametrize(
    ("quantisation", "name"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq-4bit"),
        ({"quant_method": "awq", "bits": 4}, "awq-4bit"),
        ({"quant_method": "fbgemm_fp8"}, "fp8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes-4bit"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "quark"}, "quark"),
        (
            {
                "quant_method": "modelopt",
                "quantized_layers": {"a": {"quant_algo": "FP8"}, "b": {"quant_algo": "NVFP4"}},
            },
            "nvfp4",
        ),
    ],
)
def test_the_native_format_is_that_of_the_quantisation(quantisation: dict[str, Any], name: str) -> None:
    assert read_config(small(quantization_config=quantisation)).native_format == name


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ({"num_bits": 8, "type": "float"}, "fp8"),
        ({"num_bits": 4, "type": "int", "group_size": 32}, "compressed-tensors-4bit"),
        ({"num_bits": 4, "type": "float", "group_size": 16}, "nvfp4"),
        ({"num_bits": 4, "type": "float", "group_size": 32}, "mxfp4"),
    ],
)
def test_compressed_tensors_are_named_by_their_groups(weights: dict[str, Any], name: str) -> None:
    groups = {"group_0": {"weights": {"num_bits": 8, "type": "float"}}, "group_1": {"weights": weights}}
    data = small(quantization_config={"quant_method": "compressed-tensors", "config_groups": groups})
    assert read_config(data).native_format == name


def test_modelopts_file_beside_a_configuration_says_its_format(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(small()), encoding="utf-8")
    (tmp_path / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "FP8"}}', encoding="utf-8")
    assert load_config(tmp_path / "config.json").native_format == "fp8"


def test_a_type_that_is_not_said_is_unknown() -> None:
    assert read_config(small(torch_dtype=None)).native_format is None


def test_an_unknown_architecture_is_said_to_be_unknown() -> None:
    assert refusal(small(architectures=["MambaForCausalLM"])) == (
        'some/config.json: architectures: the shape of "MambaForCausalLM" is not known; give the model\'s GGUF file, '
        "which says it by itself, or add the family to generator/shapes/families"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": -3}, "num_hidden_layers: -3 is not between 1 and 10000"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers: 1000000000 is not between 1 and 10000"),
        ({"num_hidden_layers": None}, "num_hidden_layers: is missing"),
        ({"hidden_size": "64"}, "hidden_size: '64' is no whole number"),
        ({"hidden_size": True}, "hidden_size: True is no whole number"),
        ({"vocab_size": 0}, "vocab_size: 0 is not between 1 and"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: 3 does not divide num_attention_heads, 4"),
        ({"attention_bias": "yes"}, "attention_bias: 'yes' is neither true nor false"),
        ({"torch_dtype": 16}, "torch_dtype: 16 is no text"),
        ({"quantization_config": []}, "quantization_config: is no object"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config.bits: is missing"),
        ({"text_config": {"num_hidden_layers": 2}}, "text_config.hidden_size: is missing"),
        ({"architectures": "LlamaForCausalLM"}, "architectures: is no list of texts"),
        ({"sliding_window": 8, "layer_types": ["full_attention"]}, "layer_types: has 1 entries for 2 layers"),
        ({"sliding_window": 8, "layer_types": ["full_attention", "x"]}, 'layer_types: "x" is not known in this family'),
        ({"sliding_window": 8, "sliding_window_pattern": "LX"}, 'sliding_window_pattern: "LX" is no text of L and G'),
    ],
)
def test_what_cannot_be_a_models_is_refused_by_its_key(change: dict[str, Any], message: str) -> None:
    assert f"some/config.json: {message}" in refusal(small(**change))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("Qwen/Qwen3-30B-A3B", {"num_experts_per_tok": 129}, "129 of 128 experts is more than there are"),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", {"layer_types": ["mamba"] * 48}, '"mamba" is not known in this family'),
        ("zai-org/GLM-4.5-Air", {"first_k_dense_replace": 47}, "47 is not between 0 and 46"),
        ("deepseek-ai/DeepSeek-V3", {"attention_bias": True}, "true is not known in this family"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", {"num_hidden_layers": 51}, "has 52 entries for 51 layers"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", {"hybrid_override_pattern": "MX"}, '"X" is no kind of layer'),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", {"hybrid_override_pattern": None}, "is missing"),
    ],
)
def test_what_cannot_be_a_familys_is_refused(name: str, change: dict[str, Any], message: str) -> None:
    assert message in refusal(CONFIGURATIONS[name] | change)


@pytest.mark.parametrize("key", ["hidden_size_per_layer_input", "num_kv_shared_layers"])
def test_what_of_gemma_4_is_not_established_is_not_guessed(key: str) -> None:
    data = json.loads(json.dumps(CONFIGURATIONS["google/gemma-4-31B-it"]))
    data["text_config"][key] = 256
    assert f"text_config.{key}: above 0 is not known here" in refusal(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"tokenizer_class": "LlamaTokenizer"}, "is a tokenizer's configuration, not a model's"),
        ({"weight_map": {}}, "is an index of weights, not a model's"),
        ({"dim": 5120, "n_layers": 40}, "is Mistral's params.json, not a model's"),
        ({"bos_token_id": 1, "transformers_version": "4"}, "is a configuration of generation, not a model's"),
        ({"model_type": "siglip_vision_model"}, "names no architecture"),
        ([], "is no JSON object"),
    ],
)
def test_a_file_of_another_kind_is_named_as_what_it_is(data: object, kind: str) -> None:
    assert kind in refusal(data)


def test_a_vision_encoder_is_not_a_language_model() -> None:
    assert '"SiglipVisionModel" is not known' in refusal({"architectures": ["SiglipVisionModel"]})


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\ufeff\x00"])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ShapeError, match="is no JSON"):
        load_config(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="cannot be read"):
        load_config(tmp_path / "config.json")


def _keys() -> list[str]:
    found: set[str] = set()
    for data in CONFIGURATIONS.values():
        found |= set(data) | set(data.get("text_config", {}))
    return sorted(found - {"architectures"})


SCALAR = st.none() | st.booleans() | st.integers(-2, 300) | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = SCALAR | st.lists(SCALAR, max_size=4) | st.dictionaries(st.text(max_size=8), SCALAR, max_size=4)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work may share the machine


def _sound(shape: Shape) -> None:
    assert shape.layers > 0
    assert shape.parameters.dense > 0
    assert min(shape.parameters.embedding, shape.parameters.experts) >= 0
    assert shape.parameters.active <= shape.parameters.experts
    for group in shape.attention:
        assert min(group.layers, group.query_heads, group.kv_heads, group.key_dim) > 0
    kept = sum(group.layers for group in shape.attention) + sum(group.layers for group in shape.recurrent)
    assert kept <= shape.layers


@PATIENT
@given(st.sampled_from(sorted(CONFIGURATIONS)), st.dictionaries(st.sampled_from(_keys()), ANYTHING, max_size=4))
def test_any_change_of_a_configuration_gives_a_sound_shape_or_our_error(name: str, change: dict[str, Any]) -> None:
    data = CONFIGURATIONS[name]
    changed = data | change
    if "text_config" in data and isinstance(changed["text_config"], dict):
        changed["text_config"] = changed["text_config"] | change
    try:
        shape = read_config(changed)
    except ShapeError:
        return
    _sound(shape)


@PATIENT
@given(st.dictionaries(st.sampled_from(_keys()), st.integers(1, 64) | ANYTHING), st.sampled_from(sorted(FAMILIES)))
def test_any_object_gives_a_sound_shape_or_our_error(data: dict[str, Any], architecture: str) -> None:
    try:
        shape = read_config({"architectures": [architecture], **data})
    except ShapeError:
        return
    _sound(shape)


@PATIENT
@given(ANYTHING)
def test_any_json_at_all_is_refused_by_our_error(data: object) -> None:
    with pytest.raises(ShapeError):
        read_config(data)
