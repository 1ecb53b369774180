"""Run one rule alone on a spec, and say what it finds as people see it."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from generator import resources
from generator.spec import model
from generator.spec.rules.finding import Context
from generator.spec.schema import validate
from generator.spec.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from generator.spec.rules.finding import Finding

CLAN = """
[clan]
name = "c"
"""
ASPEN1 = """
[machines.aspen1]
hardware = "strix-halo-128"
"""
MODELS = f"""
[models.weights]
repository = "a/b"
revision = "{"0" * 40}"
format = "safetensors"

[models.mxfp4]
repository = "a/mxfp4"
revision = "{"0" * 40}"
format = "safetensors"
quantisation = "mxfp4"

[models.gguf]
repository = "a/gguf"
revision = "{"0" * 40}"
format = "gguf"
file = "a.gguf"
"""
IMAGE = f'image = "docker.io/a/b@sha256:{"0" * 64}"'


def context_of(source: Source) -> Context:
    """Return what the rules see of a spec that satisfies the schema."""
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))
    assert validate(source, schema) == ([], [])
    deployment = model.build(source.data)
    names = (frozenset(source.data.get(table, ())) for table in ("machines", "models", "services", "gateways"))
    return Context(deployment, model.place(deployment), *names)


def told(check: Callable[[Context], Iterable[Finding]], text: str, *more: str) -> list[str]:
    """Return the problems that one rule has with a spec in TOML, sorted, without the file's name.

    ``more`` stands behind the text, which thus keeps its line numbers; a service that nothing is wrong with is added
    where the text has none.
    """
    whole = "\n".join([text, *more, CLAN])
    if "[services." not in whole:
        whole += '\n[services.good]\nengine = "ollama"\ntags = ["nixos"]\nmodels = ["a:b"]\n'
    source = Source("s", whole, "toml", tomllib.loads(whole))
    findings = check(context_of(source))
    problems = sorted(source.problem(found.path, found.what, found.hint, key=found.key) for found in findings)
    return [str(problem).removeprefix("s:") for problem in problems]
