"""The bytes of a model's weights: as files, and by how a decoded token uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.catalog.models import Format
    from generator.shapes.shape import Shape

# What every token reads of a mixture of experts is stored at about Q8_0 in mixed GGUF files, whatever their name says:
# with it, decode speed of 399 measured rows is explained best (bench/fit.py).
_DENSE_BITS = 8.5
_PLAIN_16_BIT = 15.5
# Files that are far above 8.5 bits hold their dense part in 16.
_ABOVE_Q8 = 9.6


@dataclass(frozen=True, slots=True)
class WeightBytes:
    """Bytes of weights.

    ``total`` is all that an engine loads; ``dense`` is read for every token, ``active`` are the experts that one token
    reads of ``experts``. ``measured`` tells whether the total is a file's size rather than parameters times bits.
    """

    total: float
    dense: float
    experts: float
    active: float
    measured: bool

    @property
    def read(self) -> float:
        """Bytes that decoding one token reads, without its context."""
        return self.dense + self.active


def weight_bytes(shape: Shape, stored: Format | None, file_bytes: float | None) -> WeightBytes | None:
    """Return the bytes of a model's weights: from its files' size where it is known, else from its format.

    ``file_bytes`` may include what is loaded but not read (a vision tower). None where neither is known.
    """
    if file_bytes is None and stored is None:
        return None
    counts = shape.parameters
    if file_bytes is None and stored is not None:
        dense_bits = stored.dense if shape.mixture else stored.dense_only
        head = counts.embedding or shape.vocabulary * shape.hidden_size
        body = max(counts.dense - head, 0)
        dense = (body * dense_bits + min(head, counts.dense) * stored.embedding) / 8
        experts = counts.experts * stored.experts / 8
        rest = (counts.embedding * stored.embedding + shape.extra_parameters * _extra_bits(stored)) / 8
        active = experts * counts.active / counts.experts if counts.experts else 0.0
        return WeightBytes(dense + experts + rest, dense, experts, active, measured=False)
    total = float(file_bytes or 0)
    text = total - min(shape.extra_parameters * 2.0, total / 2)  # whatever the size, most of it is the text model
    if not shape.mixture:
        dense = text * counts.dense / counts.total
        return WeightBytes(total, dense, 0.0, 0.0, measured=True)
    bits = text * 8 / counts.total
    dense_bits = _dense_bits(bits, stored)
    experts = text - (counts.dense + counts.embedding) * dense_bits / 8
    if experts * 8 / counts.experts < 1.0:  # no format stores so little: the file is of one format throughout
        dense_bits = bits
        experts = counts.experts * bits / 8
    dense = counts.dense * dense_bits / 8
    return WeightBytes(total, dense, experts, experts * counts.active / counts.experts, measured=True)


def loaded_bytes(weights: WeightBytes, stored: Format | None, accelerator: str) -> float:
    """Return the bytes that an engine holds once the weights are loaded: kernels may want experts padded."""
    factor = 1.0 if stored is None else stored.loaded.get(accelerator, 1.0)
    return weights.total + weights.experts * (factor - 1)


def _dense_bits(average: float, stored: Format | None) -> float:
    if stored is not None and not stored.uniform:
        return stored.dense
    if average > _PLAIN_16_BIT or average > _ABOVE_Q8:
        return 16.0
    return _DENSE_BITS


def _extra_bits(stored: Format) -> float:
    return 16.0 if stored.kind == "safetensors" else stored.dense
