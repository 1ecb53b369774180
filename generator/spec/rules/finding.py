"""What the rules see, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.spec.model import Deployment, Placement

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Context:
    """A deployment, and the names that its spec gives: also those of entries too broken to be in the deployment."""

    deployment: Deployment
    placement: Placement
    machine_names: frozenset[str]
    model_names: frozenset[str]
    service_names: frozenset[str]
    gateway_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at ``path`` of the spec's data; ``key`` points at the key instead of its value."""

    path: tuple[str | int, ...]
    what: str
    hint: str
    key: bool = False


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return the nearest known name as a question, else what there is, else ``otherwise``."""
    import difflib  # only a wrong spec needs it

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    if not names:
        return otherwise
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"known are {', '.join(names[:_SHOWN])}{more}"
