"""Small real GGUF files, written by the format's own library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gguf import GGUFEndian, GGUFWriter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Shapes = dict[str, tuple[int, ...]]


def llama(layers: int = 2, *, tied: bool = False) -> Shapes:
    """Return the tensors of a tiny Llama, rows first: 16 wide, 4 heads, 2 of keys, 100 tokens."""
    shapes: Shapes = {"token_embd.weight": (100, 16), "output_norm.weight": (16,), "rope_freqs.weight": (2,)}
    if not tied:
        shapes["output.weight"] = (100, 16)
    for layer in range(layers):
        shapes |= attention(layer) | {
            f"blk.{layer}.ffn_gate.weight": (32, 16),
            f"blk.{layer}.ffn_up.weight": (32, 16),
            f"blk.{layer}.ffn_down.weight": (16, 32),
        }
    return shapes


def attention(layer: int) -> Shapes:
    """Return the tensors of one layer of attention."""
    return {
        f"blk.{layer}.attn_norm.weight": (16,),
        f"blk.{layer}.attn_q.weight": (16, 16),
        f"blk.{layer}.attn_k.weight": (8, 16),
        f"blk.{layer}.attn_v.weight": (8, 16),
        f"blk.{layer}.attn_output.weight": (16, 16),
    }


def experts(layer: int, count: int = 4) -> Shapes:
    """Return the tensors of routed experts and of a shared one."""
    return {
        f"blk.{layer}.ffn_gate_inp.weight": (count, 16),
        f"blk.{layer}.ffn_gate_exps.weight": (count, 8, 16),
        f"blk.{layer}.ffn_up_exps.weight": (count, 8, 16),
        f"blk.{layer}.ffn_down_exps.weight": (count, 16, 8),
        f"blk.{layer}.ffn_up_shexp.weight": (8, 16),
    }


def elements(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the number of elements of tensors."""
    return sum(int(np.prod(shape)) for shape in shapes.values())


def write(
    path: Path,
    arch: str = "llama",
    shapes: Shapes | None = None,
    *,
    layers: int = 2,
    file_type: int | None = 1,
    endian: GGUFEndian = GGUFEndian.LITTLE,
    **keys: Any,  # noqa: ANN401
) -> Path:
    """Write a file of float16 tensors. ``keys`` are of the architecture, with double underscores for dots."""
    writer = GGUFWriter(path, arch, endianess=endian)
    if file_type is not None:
        writer.add_file_type(file_type)
    usual = {"block_count": layers, "embedding_length": 16, "context_length": 512, "attention__head_count": 4}
    for key, value in ({"attention__head_count_kv": 2} | usual | keys).items():
        _add(writer, f"{arch}.{key.replace('__', '.')}", value)
    writer.add_token_list(["<s>", "a", "b"])
    for name, shape in (llama(layers) if shapes is None else shapes).items():
        writer.add_tensor(name, np.zeros(shape, np.float16))
    _finish(writer)
    return path


def write_part(path: Path, number: int, count: int, shapes: Shapes, **first: Any) -> Path:  # noqa: ANN401
    """Write one part of a split file; metadata of the model stands in the first."""
    writer = GGUFWriter(path, "llama")
    for key, value in first.items():
        _add(writer, f"llama.{key.replace('__', '.')}", value)
    writer.add_uint16("split.no", number)
    writer.add_uint16("split.count", count)
    for name, shape in shapes.items():
        writer.add_tensor(name, np.zeros(shape, np.float16))
    _finish(writer)
    return path


def _add(writer: GGUFWriter, key: str, value: object) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, int) and value >= 0:
        writer.add_uint32(key, value)
    elif isinstance(value, int):
        writer.add_int32(key, value)


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
