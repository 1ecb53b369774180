"""A model's config.json as a shape: the architecture names the family, and the family's function reads the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from generator.shapes.families.registry import FAMILIES
from generator.shapes.fields import Fields, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from generator.shapes.shape import Shape

# Files that stand beside config.json and are given in its place, by a key that only they have.
_OTHER_KINDS: Mapping[str, str] = {
    "weight_map": "an index of weights",
    "tokenizer_class": "a tokenizer's configuration",
    "added_tokens": "a tokenizer",
    "base_model_name_or_path": "an adapter's configuration",
    "producer": "a quantisation's configuration",
    "n_layers": "Mistral's params.json",
    "image_processor_type": "an image processor's configuration",
    "bos_token_id": "a configuration of generation",
}
NAME = "config.json"
QUANTISATION = "hf_quant_config.json"
_CONFIG = "give the config.json of a model's repository"


def read_config(data: object, file: str = NAME) -> Shape:
    """Return the shape that a parsed config.json tells; vision towers and layers for speculation are not counted.

    Raises ShapeError, with ``file`` and the key, for another kind of file, an architecture that is not known, and
    numbers that cannot be a model's.
    """
    if not isinstance(data, dict):
        raise wrong(file, "", "is no JSON object", _CONFIG)
    fields = Fields(data, file)
    architectures = fields.strings("architectures")
    if not architectures:
        kind = next((what for key, what in _OTHER_KINDS.items() if key in data), None)
        what = "names no architecture" if kind is None else f"is {kind}, not a model's"
        raise wrong(file, "architectures", what, _CONFIG)
    architecture = architectures[0]
    family = FAMILIES.get(architecture)
    if family is None:
        raise wrong(
            file,
            "architectures",
            f'the shape of "{architecture[:80]}" is not known',
            "give the model's GGUF file, which says it by itself, or add the family to generator/shapes/families",
        )
    return family(fields.section("text_config") or fields, architecture)


def with_quantisation(data: object, beside: object) -> object:
    """Return a config.json that says nothing of quantisation with what ModelOpt's file beside it says."""
    said = beside.get("quantization") if isinstance(beside, dict) else None
    if not isinstance(data, dict) or not isinstance(said, dict) or data.get("quantization_config") is not None:
        return data
    return {**data, "quantization_config": {"quant_method": "modelopt", **said}}


def load_config(path: Path) -> Shape:
    """Return the shape that a config.json on disk tells; raises ShapeError."""
    data, beside = load_json(path), path.with_name(QUANTISATION)
    return read_config(with_quantisation(data, load_json(beside)) if beside.is_file() else data, str(path))


def load_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON file's content; raises ShapeError where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise wrong(str(path), "", f"cannot be read ({error.strerror})", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise wrong(str(path), "", "is no JSON", "download it again") from error
