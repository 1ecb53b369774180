"""Keys in plain sight: whatever stands in a spec ends up in the Nix store, which everybody can read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generator.spec.rules.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.rules.finding import Context

_SECRET_NAME = re.compile(r"(^|_)(API_?KEY|TOKEN|PASSWORD|PASSWD|SECRET)(_|$)", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,})")


def check(context: Context) -> Iterator[Finding]:
    """Yield environment variables and arguments that carry a key, without showing it."""
    deployment = context.deployment
    environments = [
        (("machines", machine.name, "rocm_environment"), machine.rocm_environment)
        for machine in deployment.machines.values()
    ] + [(("services", service.name, "extra_env"), service.extra_env) for service in deployment.services.values()]
    for path, environment in environments:
        for name, value in environment.items():
            if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
                yield Finding(
                    (*path, name),
                    f"{name} is a key, and everybody could read it in the Nix store",
                    "leave it out",
                    key=True,
                )
    for service in deployment.services.values():
        for index, argument in enumerate(service.extra_args):
            if _SECRET_VALUE.search(argument):
                yield Finding(
                    ("services", service.name, "extra_args", index),
                    "this argument holds a key, and everybody could read it in the Nix store",
                    "leave it out",
                )
