"""Paths and addresses that have the right form, and yet lead where nothing of a service can be."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from generator.shapes.files import parts
from generator.spec.rules.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generator.spec.model import Model
    from generator.spec.rules.finding import Context
    from generator.spec.service import Service

# A model's directory gets an owner of its own, which a system's must not get; and systemd hides homes and /tmp from the
# unit that downloads.
_SYSTEM = frozenset(
    {"bin", "boot", "dev", "etc", "home", "lib", "lib64", "nix", "proc", "root", "run", "sbin", "sys", "tmp", "usr"}
)
_SHARED = frozenset({"/media", "/mnt", "/opt", "/srv", "/var", "/var/cache", "/var/lib", "/var/lib/private"})
_USUAL_HOSTS = frozenset({"0.0.0.0", "127.0.0.1", "::", "::1"})  # noqa: S104 - they are read, not bound
_MAX_PORT = 65535


def check(context: Context) -> Iterator[Finding]:
    """Yield model files outside their place, addresses that are none, and ports that no machine has."""
    for model in context.deployment.models.values():
        yield from _model(model)
    for service in context.deployment.services.values():
        yield from _host(service)
    for machine in context.deployment.machines.values():
        port = (machine.target_host or "").rpartition(":")[2]
        if port.isdigit() and int(port) > _MAX_PORT:
            here = ("machines", machine.name, "target_host")
            yield Finding(here, f"there is no port {port}", f"write one from 1 to {_MAX_PORT}")


def _model(model: Model) -> Iterator[Finding]:
    here = ("models", model.name)
    directory = model.directory
    if _wanders(directory):
        what = f'"{directory}" leaves its place by "." or ".."'
        yield Finding((*here, "directory"), what, "write the directory plainly")
    elif directory.split("/")[1] in _SYSTEM or directory in _SHARED or directory.startswith(("/var/log", "/var/tmp")):  # noqa: S108
        what = f"{directory} is the system's, or hidden from services"
        yield Finding((*here, "directory"), what, f"choose another, as /var/lib/llm/models/{model.name}")
    if model.file is not None and _wanders(model.file):
        what = f'"{model.file}" leaves the model\'s directory by "." or ".."'
        yield Finding((*here, "file"), what, "write the file's path inside the repository")
    yield from _patterns(model)


def _patterns(model: Model) -> Iterator[Finding]:
    here = ("models", model.name)
    for name, patterns in (("include", model.include), ("exclude", model.exclude)):
        for index, pattern in enumerate(patterns):
            if _wanders(pattern):
                what = f'no path of a repository matches "{pattern}"'
                yield Finding((*here, name, index), what, "write it as the repository's own paths are")
    if model.file is None:
        return
    first = parts(model.file)[0]  # a split model names its first part
    if model.include and not _matches(first, model.include):
        yield Finding((*here, "include"), f"this leaves out {first}, the file of the model", "name it too")
    elif _matches(first, model.exclude):
        yield Finding((*here, "exclude"), f"this leaves out {first}, the file of the model", "let it through")


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a path matches, as huggingface_hub's filter_repo_objects decides: a folder means all in it."""
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)


def _wanders(path: str) -> bool:
    return not {".", ".."}.isdisjoint(path.split("/"))


def _host(service: Service) -> Iterator[Finding]:
    host = service.host
    if host in _USUAL_HOSTS or (":" not in host and not host.replace(".", "").isdigit()):
        return  # usual, or a name
    import ipaddress  # takes longer than all other rules together

    here = ("services", service.name, "host")
    try:
        plain = str(ipaddress.ip_address(host))
    except ValueError:
        yield Finding(here, f'"{host}" is no IP address', "write one as 127.0.0.1 or ::1, or a host name")
        return
    if plain != host:  # what listens everywhere must be recognised
        yield Finding(here, f'"{host}" is not the plain form of an address', f'write "{plain}"')
