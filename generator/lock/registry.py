"""Container registries: which digest a tag is, and which tags there are (OCI distribution specification 1.1)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from generator.errors import Location, LockError, Problem
from generator.lock.limits import REQUEST_SECONDS, Limits, TemporaryError
from generator.spec.pins import DOCKER_HUB, image_name, image_tag

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import httpx

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_OK, _UNAUTHORISED, _FORBIDDEN, _MISSING = 200, 401, 403, 404
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_MAX_MANIFEST = 4 << 20  # bytes; the specification's own limit
_MAX_PAGES = 20
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Registries:
    """All registries; ``limits`` says how long to try. Tokens are kept for the run, by repository."""

    limits: Limits
    _tokens: dict[str, str] = field(default_factory=dict)

    def digest(self, image: str, architectures: Collection[str]) -> str:
        """Return the digest that an image's tag is now, of a manifest or of a list of them.

        Raises LockError when the image does not run on one of the architectures ("amd64"), where it says so.
        """
        name, tag = image_name(image), image_tag(image) or "latest"
        response = self._get(image, f"manifests/{tag}", accept=(*_INDEXES, *_MANIFESTS))
        body = response.content
        real = f"sha256:{hashlib.sha256(body).hexdigest()}"
        said = response.headers.get("Docker-Content-Digest", real)
        if len(body) > _MAX_MANIFEST:
            _refuse(image, "its manifest is too large", "name another image")
        if said != real:
            _refuse(image, f"the registry says that its digest is {said}, and it is {real}", "try again")
        manifest = _json(image, body)
        if response.headers.get("Content-Type", manifest.get("mediaType")) in _INDEXES:
            there = {
                platform.get("architecture")
                for entry in manifest.get("manifests", ())
                if (platform := entry.get("platform", {})).get("os") == "linux"
            }
            lacking = sorted(set(architectures) - there)
            if lacking:
                has = ", ".join(sorted(map(str, there))) or "none"
                _refuse(image, f"{name} has no image for linux/{lacking[0]}; it has {has}", "name another image")
        return real

    def tags(self, image: str) -> tuple[str, ...]:
        """Return the tags of an image's repository."""
        tags: list[str] = []
        path = "tags/list?n=1000"
        for _ in range(_MAX_PAGES):
            response = self._get(image, path, accept=("application/json",))
            tags += _json(image, response.content).get("tags") or ()
            following = response.links.get("next", {}).get("url")
            if not following:
                break
            path = f"tags/list?{urlsplit(following).query}"
        return tuple(tags)

    def _get(self, image: str, path: str, accept: Collection[str]) -> httpx.Response:
        host, _, repository = image_name(image).partition("/")
        url = f"{_base(host)}/v2/{repository}/{path}"
        return self.limits.call(host, lambda: self._once(image, url, accept))

    def _once(self, image: str, url: str, accept: Collection[str]) -> httpx.Response:
        import httpx

        name = image_name(image)
        try:
            # Never with a token to another host: httpx drops it on the way there.
            with httpx.Client(timeout=REQUEST_SECONDS, follow_redirects=True) as client:
                headers = {"Accept": ", ".join(accept)}
                response = client.get(url, headers=headers | self._bearer(name))
                if response.status_code == _UNAUTHORISED:
                    self._tokens[name] = _authorise(client, image, response.headers.get("WWW-Authenticate", ""))
                    response = client.get(url, headers=headers | self._bearer(name))
        except httpx.TransportError as error:
            raise TemporaryError(str(error) or type(error).__name__) from None
        if response.status_code in _LATER:
            after = response.headers.get("Retry-After", "")
            wait = float(after) if after.isdecimal() else 0.0
            raise TemporaryError(f"the registry answered {response.status_code}", wait)
        if response.status_code in {_UNAUTHORISED, _FORBIDDEN}:
            _refuse(image, "the registry has no such image, or it is private", "correct it, or log in: podman login")
        if response.status_code == _MISSING:
            _refuse(image, "the registry has no such image", "correct its name and tag")
        if response.status_code != _OK:
            _refuse(image, f"the registry answered {response.status_code}", "")
        return response

    def _bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": self._tokens[name]} if name in self._tokens else {}


def _authorise(client: httpx.Client, image: str, challenge: str) -> str:
    """Answer a registry's challenge: return what the next request's Authorization header says."""
    login = _login(image_name(image).partition("/")[0])
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic" and login:
        return f"Basic {login}"
    asked = dict(_CHALLENGE.findall(rest))
    realm = urlsplit(asked.pop("realm", ""))
    if scheme.lower() != "bearer" or not (realm.scheme == "https" or realm.hostname in _LOOPBACK):
        _refuse(image, "the registry asks for a login that is not safe", "name another registry")
    response = client.get(realm.geturl(), params=asked, headers={"Authorization": f"Basic {login}"} if login else {})
    if response.status_code in _LATER:
        raise TemporaryError(f"{realm.hostname} answered {response.status_code}")
    if response.status_code != _OK:
        _refuse(image, "the registry has no such image, or it is private", "correct it, or log in: podman login")
    data = _json(image, response.content)
    return f"Bearer {data.get('token') or data.get('access_token', '')}"


def _login(host: str) -> str | None:
    """Return the login for a registry that podman, skopeo or docker keeps, as it keeps it; None where there is none."""
    home, run = Path.home(), os.environ.get("XDG_RUNTIME_DIR")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    given = os.environ.get("REGISTRY_AUTH_FILE")
    places = [Path(given)] if given else []
    places += [Path(run) / "containers" / "auth.json"] if run else []
    places += [config / "containers" / "auth.json"]
    places += [Path(os.environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"]
    names = (host, "https://index.docker.io/v1/") if host == DOCKER_HUB else (host,)
    for place in places:
        with contextlib.suppress(OSError, ValueError, AttributeError, binascii.Error):
            auths: Mapping[str, Any] = json.loads(place.read_text(encoding="utf-8")).get("auths", {})
            for name in names:
                login = auths.get(name, {}).get("auth")
                if login and b":" in base64.b64decode(login):
                    return str(login)
    return None


def _base(host: str) -> str:
    if host == DOCKER_HUB:
        return "https://registry-1.docker.io"
    plain = urlsplit(f"//{host}").hostname in _LOOPBACK
    return f"{'http' if plain else 'https'}://{host}"


def _json(image: str, body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        _refuse(image, "the registry's answer is not JSON", "see whether this is a registry")
    return data


def _refuse(image: str, what: str, hint: str) -> NoReturn:
    raise LockError((Problem(Location(image), "", what, hint),))
