"""What to know before deploying: caveats with the conditions under which they hold."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator.catalog.load import version_key

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = Path(__file__).resolve().parent / "caveats.toml"


@dataclass(frozen=True, slots=True)
class CaveatRecord:
    """A caveat; ``when`` are its conditions, all of which must hold."""

    when: Mapping[str, Any]
    text: str
    source: str
    date: str

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Return whether all conditions hold for the facts of a service; a fact that is missing fails its condition."""
        return all(_holds(name, wanted, facts) for name, wanted in self.when.items())


def _holds(name: str, wanted: Any, facts: Mapping[str, Any]) -> bool:  # noqa: ANN401 - TOML values
    subject, _, relation = name.rpartition("_")
    if relation == "before":
        version = facts.get(subject)
        return version is None or version_key(version) < version_key(wanted)
    if relation == "from":
        version = facts.get(subject)
        return version is not None and version_key(version) >= version_key(wanted)
    number = facts.get(name.removesuffix("_gib").removesuffix("_above"))
    if "_above" in name:
        return number is not None and bool(number > wanted)
    return bool(facts.get(name) == wanted)


@cache
def caveats() -> tuple[CaveatRecord, ...]:
    """Return all caveats, in the order in which they are shown."""
    entries = tomllib.loads(_PATH.read_text(encoding="utf-8"))["caveat"]
    return tuple(CaveatRecord(**entry) for entry in entries)
