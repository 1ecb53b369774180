"""A service's fields and arguments as one: flags by their field names, and the numbers that they give."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from generator.spec.rules.flags import flag_of_argument

if TYPE_CHECKING:
    from generator.spec.service import Service

# vLLM reads 32k as 32,000 and 32K as 32,768 (FlexibleArgumentParser and human_readable_int, 2026-09).
_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SUFFIXED = re.compile(r"(\d+)([KMGT])|(\d+(?:\.\d+)?)([kmgt])")


def flags_of(service: Service) -> dict[str, Any]:
    """Return the flags of a service by their field names: fields, and arguments, of which the last holds."""
    flags = dict(service.flags)
    arguments = service.extra_args
    for index, argument in enumerate(arguments):
        flag = flag_of_argument(argument, service.engine)
        if flag is None:
            continue
        field = flag.removeprefix("--").replace("-", "_")
        _, equals, value = argument.partition("=")
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if equals:
            flags[field] = value
        elif following and flag_of_argument(following, service.engine) is None:
            flags[field] = following
        else:
            flags[field] = not argument.startswith("--no-")
    return flags


def number(value: Any) -> float | None:  # noqa: ANN401 - a field's value or an argument's text
    """Return the number that a flag gives, None where it gives none ("auto", no value, not a number)."""
    if value is None or isinstance(value, bool):
        return None
    suffixed = _SUFFIXED.fullmatch(value) if isinstance(value, str) else None
    if suffixed:
        whole, binary, part, decimal = suffixed.groups()
        return float(whole) * _BINARY[binary] if binary else float(part) * _DECIMAL[decimal]
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:  # noqa: ANN401 - as above
    """Return the same as a whole number of 1 or more, None for anything else: engines take 0 as "by yourself"."""
    found = number(value)
    return int(found) if found is not None and found >= 1 else None
