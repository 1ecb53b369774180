"""What is known of a model whose own files were read, instead of what the catalog has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.catalog import models
from generator.plan.ask import Known
from generator.plan.weights import WeightBytes, weight_bytes

if TYPE_CHECKING:
    from generator.catalog.models import Format
    from generator.shapes.files import FileBytes, Measured
    from generator.shapes.shape import Shape
    from generator.spec.model import Model

_GIB = 1024**3


def known_from(measured: Measured, model: Model, origin: str) -> Known:
    """Return what files tell of a model of the spec; ``origin`` names them, for the plan to say so.

    The spec's own size and quantisation win where it gives them: a configuration may be of other weights of that model.
    """
    shape = measured.shape
    name = model.quantisation or (shape.native_format if shape is not None else None)
    stored = models.weight_format(name, model.format)
    if shape is None:
        return Known(None, stored, None, None, f"{origin} says nothing of the model's layers")
    weights = _weights(measured.bytes, shape, model, stored)
    why = "" if weights is not None else f"{origin} says neither the size nor a known format of the weights"
    return Known(shape, stored, weights, None, why)


def _weights(found: FileBytes, shape: Shape, model: Model, stored: Format | None) -> WeightBytes | None:
    if model.size_gib is not None:
        return weight_bytes(shape, stored, model.size_gib * _GIB)
    if found.total is None or found.dense is None:
        return weight_bytes(shape, stored, None if found.total is None else float(found.total))
    experts, active = float(found.experts or 0), float(found.active or 0)
    return WeightBytes(float(found.total), float(found.dense), experts, active, measured=True)
