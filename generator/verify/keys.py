"""Keys of services, from files that are named on the command line: a key itself never is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from generator.emit.present import reason
from generator.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.spec.service import Service

STDIN = "-"
_SERVICE = re.compile(r"(?P<service>[^/=]+)=(?P<path>.+)", re.DOTALL)
_MOST = 8192  # bytes; engines refuse headers that are longer
_KEY = re.compile(r"[\x21-\x7e]+")  # what a header can carry


def keyed(service: Service) -> bool:
    """Return whether a service asks for a key."""
    return service.api_key or service.health.key_file is not None


def read_keys(given: Iterable[str], services: Iterable[Service]) -> dict[str, str]:
    """Return keys by service, from ``SERVICE=FILE`` each, or ``FILE`` for all services that ask for one.

    A file's name that holds "=" needs a "/" before it. Raises ValueError with what is wrong and what to do.
    """
    asking = [service.name for service in services if keyed(service)]
    files: dict[str, str] = {}
    for text in given:
        named = _SERVICE.fullmatch(text)
        service, path = (named["service"], named["path"]) if named else ("", text)
        if service and service not in asking:
            known = f"those that do are {', '.join(asking)}" if asking else "none here does, so leave it out"
            raise ValueError(f"no service {printable(service)} here asks for a key; {known}")
        if service in files:
            whom = f"service {service}" if service else "all services"
            raise ValueError(f"{whom} has two files; give one, or SERVICE=FILE for each service")
        files[service] = path
    keys = {service: read_key(path) for service, path in files.items()}
    default = keys.pop("", None)
    return ({} if default is None else dict.fromkeys(asking, default)) | keys


def read_key(path: str) -> str:
    """Return the key that a file holds on its one line; ``-`` is standard input. Raises ValueError."""
    name = "<stdin>" if path == STDIN else printable(path)
    try:
        with Path("/dev/stdin" if path == STDIN else path).open("rb") as file:
            text = file.read(_MOST + 1).decode("ascii", "replace")
    except OSError as error:
        raise ValueError(f"{name}: cannot be read: {reason(error)}; name the file that holds the key") from error
    lines = text.split("\n")
    if len(text) > _MOST:
        raise ValueError(f"{name}: is longer than {_MOST} bytes; name the file that holds the key alone")
    if not text.strip():
        raise ValueError(f"{name}: is empty; put the key into it")
    if len([line for line in lines if line.strip()]) > 1:
        raise ValueError(f"{name}: has more than one line; put one key into it, and nothing else")
    key = text.strip()
    if _KEY.fullmatch(key) is None:
        raise ValueError(
            f"{name}: holds blanks, or characters outside of ASCII, which no header carries; name the key's file"
        )
    return key
