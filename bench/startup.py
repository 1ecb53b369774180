"""How long a person waits for ``llmflake generate``, against what importing its libraries alone takes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
_RUNS = 9
_GOAL = 2.0


def run() -> Iterator[str]:
    """Yield the ratio of the two whole processes; ours writes into a directory of its own."""
    example = str(ROOT / "examples" / "aspen1.toml")
    bare = [sys.executable, "-c", "import click, jsonschema, tomllib"]
    with tempfile.TemporaryDirectory() as folder:
        fresh = measure.generate_anew(example, folder)
        ours, theirs = measure.medians(fresh, bare, _RUNS)
    detail = f"generate {ours * 1000:.0f} ms, bare imports {theirs * 1000:.0f} ms, median of {_RUNS}"
    yield measure.verdict("start-up", ours / theirs, _GOAL, detail)
