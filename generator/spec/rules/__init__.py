"""What a schema cannot say: one file a subject, each a function from the deployment to findings; all pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.spec.rules import (
    engines,
    exposure,
    flags,
    gateway,
    hardware,
    health,
    locations,
    monitoring,
    placement,
    references,
    secrets,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.rules.finding import Context, Finding

_RULES = (
    references.check,
    placement.check,
    locations.check,
    hardware.check,
    engines.check,
    flags.check,
    secrets.check,
    health.check,
    monitoring.check,
    exposure.check,
    gateway.check,
)


def check_names(context: Context) -> Iterator[Finding]:
    """Yield names that nothing has: all that can be said of entries that the schema has something against."""
    return references.check(context)


def check(context: Context) -> Iterator[Finding]:
    """Yield everything that is wrong with a deployment that satisfies the schema."""
    for rule in _RULES:
        yield from rule(context)
