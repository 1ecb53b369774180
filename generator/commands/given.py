"""Models whose files are read for a plan, because the catalog does not know them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator.catalog import models
from generator.plan.given import known_from
from generator.shapes.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.plan.ask import Known
    from generator.spec.model import Deployment, Model


def read_files(deployment: Deployment, named: Iterable[str]) -> dict[str, Known]:
    """Return what files tell of models, by the models' names; each of ``named`` is PATH or NAME=PATH.

    Raises ShapeError when a file cannot be read, and click's UsageError when it is not clear of which model it is.
    """
    found = {}
    for text in named:
        name, path = _split(deployment, text)
        found[name] = known_from(measure(path), deployment.models[name], path.name)
    return found


def ask_hub(deployment: Deployment, without: Iterable[str]) -> dict[str, Known]:
    """Return what the hub tells of the models that the catalog does not know, but for some.

    Raises ShapeError when the hub does not answer, or not of that repository.
    """
    from generator.shapes.hub import read_repository

    return {
        model.name: known_from(
            read_repository(
                model.repository,
                revision=model.revision,
                include=model.include or ((model.file,) if model.file is not None else ()),
                exclude=model.exclude,
            ),
            model,
            f"the hub's {model.repository}",
        )
        for model in deployment.models.values()
        if model.name not in without and not _in_catalog(model)
    }


def _split(deployment: Deployment, text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if separator and name in deployment.models:
        return name, Path(path)
    unknown = [model.name for model in deployment.models.values() if not _in_catalog(model)]
    candidates = unknown or list(deployment.models)
    if len(candidates) != 1:
        names = ", ".join(deployment.models) or "none"
        raise click.UsageError(f"--config {text}: say of which model it is, as NAME={text}; the spec's are {names}")
    return candidates[0], Path(text)


def _in_catalog(model: Model) -> bool:
    known = models.repositories().get(model.repository)
    return models.shape(model.shape or (known.shape if known is not None else model.repository)) is not None
