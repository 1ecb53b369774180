"""HTTP servers on loopback that speak just enough of a model hub's and of a container registry's interface."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "hf_" + "x" * 34
_PIECE = 1 << 16


@dataclass
class Reply:
    """An answer; ``cut`` ends it after so many bytes of the body, ``pause`` is seconds before each piece of it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    pause: float = 0.0


@dataclass
class Asked:
    """A request that was seen; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class Server:
    """A server on loopback. ``faults`` are replies given first, by a part of the path; ``asked`` is what was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.faults: dict[str, list[Reply]] = {}
        self.host = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> Reply:
        raise NotImplementedError

    def reply(self, method: str, target: str, headers: dict[str, str]) -> Reply:
        self.asked.append(Asked(method, target, headers))
        for part, replies in self.faults.items():
            if part in target and replies:
                return replies.pop(0)
        split = urlsplit(target)
        return self.answer(method, unquote(split.path), parse_qs(split.query), headers)

    @contextmanager
    def running(self) -> Iterator[None]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = server.reply(self.command, self.path, headers)
                body = reply.body
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                end = len(body) if reply.cut is None else reply.cut
                try:
                    for start in range(0, end, _PIECE):
                        time.sleep(reply.pause)
                        self.wfile.write(body[start : min(start + _PIECE, end)])
                        self.wfile.flush()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                if reply.cut is not None:
                    self.close_connection = True

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        self.host = f"127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            http.shutdown()
            http.server_close()
            thread.join()


@dataclass
class Repository:
    """A model repository: its files at one commit, which of them are LFS, and who may see it."""

    commit: str
    files: dict[str, bytes]
    large: frozenset[str] = frozenset()
    private: bool = False
    gated: bool = False
    refs: tuple[str, ...] = ("main",)


class HubServer(Server):
    """The hub's interface: model info, tree, and files, which it sends through a redirect where they are LFS."""

    def __init__(self, **repositories: Repository) -> None:
        super().__init__()
        self.repositories = {name.replace("__", "/"): repository for name, repository in repositories.items()}
        self.pause = 0.0

    def answer(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> Reply:
        parts = path.strip("/").split("/")
        if parts[0] == "cdn":
            return self._large(parts[1], headers)
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        repository = self.repositories.get(name)
        allowed = headers.get("authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not allowed):
            return Reply(404 if allowed else 401, b"{}", {"X-Error-Code": "RepoNotFound"})
        if repository.gated and not allowed:
            return Reply(403, b"{}", {"X-Error-Code": "GatedRepo"})
        kind, revision, rest = (*parts[4:6], "") if api else (parts[2], parts[3], "/".join(parts[4:]))
        if revision not in {repository.commit, *repository.refs}:
            return Reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if kind == "revision":
            return _json({"id": name, "sha": repository.commit, "siblings": []})
        if kind == "tree":
            return _json([self._entry(repository, path) for path in repository.files])
        if rest not in repository.files:
            return Reply(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        return self._file(repository, rest, headers)

    def _entry(self, repository: Repository, path: str) -> dict[str, Any]:
        body = repository.files[path]
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(body), "oid": git_hash(body)}
        if path in repository.large:
            entry["lfs"] = {"oid": sha256(body), "size": len(body), "pointerSize": 130}
        return entry

    def _file(self, repository: Repository, path: str, headers: dict[str, str]) -> Reply:
        body = repository.files[path]
        common = {"X-Repo-Commit": repository.commit, "Accept-Ranges": "bytes"}
        if path not in repository.large:
            return _ranged(body, headers, {**common, "ETag": f'"{git_hash(body)}"'})
        linked = {"X-Linked-Etag": f'"{sha256(body)}"', "X-Linked-Size": str(len(body))}
        # Another host, as the real one's storage is: the client must not take the token there.
        elsewhere = self.url.replace("127.0.0.1", "localhost")
        return Reply(302, b"", {**common, **linked, "Location": f"{elsewhere}/cdn/{sha256(body)}"})

    def _large(self, wanted: str, headers: dict[str, str]) -> Reply:
        for repository in self.repositories.values():
            for body in repository.files.values():
                if sha256(body) == wanted:
                    reply = _ranged(body, headers, {"Accept-Ranges": "bytes", "ETag": f'"{wanted}"'})
                    reply.pause = self.pause
                    return reply
        return Reply(404)


class RegistryServer(Server):
    """A container registry: ``blobs`` by digest, ``tags`` to digests of manifests; ``token`` makes it ask for one."""

    def __init__(self, name: str, *, token: bool = False, login: str | None = None) -> None:
        super().__init__()
        self.name, self.token, self.login = name, token, login
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.tags: dict[str, str] = {}

    def add(self, media_type: str, body: bytes) -> str:
        """Keep a blob or a manifest; return its digest."""
        digest = f"sha256:{sha256(body)}"
        self.blobs[digest] = (media_type, body)
        return digest

    def add_image(self, content: bytes, architecture: str = "amd64") -> dict[str, Any]:
        """Keep an image of one layer, which is a tar; return its descriptor for an index."""
        layer = self.add("application/vnd.oci.image.layer.v1.tar", content)
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer]},
        }
        config_body = json.dumps(config).encode()
        config_digest = self.add("application/vnd.oci.image.config.v1+json", config_body)
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config_digest, config_body),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer, content)],
        }
        body = json.dumps(manifest).encode()
        digest = self.add("application/vnd.oci.image.manifest.v1+json", body)
        platform = {"architecture": architecture, "os": "linux"}
        return {**_descriptor("application/vnd.oci.image.manifest.v1+json", digest, body), "platform": platform}

    def add_index(self, tag: str, *images: dict[str, Any]) -> str:
        """Keep a list of images under a tag; return its digest."""
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": list(images),
        }
        self.tags[tag] = self.add("application/vnd.oci.image.index.v1+json", json.dumps(index).encode())
        return self.tags[tag]

    def answer(self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> Reply:
        if path == "/token":
            if self.login is not None and headers.get("authorization") != f"Basic {self.login}":
                return Reply(401)
            return _json({"token": "let-me-in"}) if query.get("scope") else Reply(400)
        if self.token and headers.get("authorization") != "Bearer let-me-in":
            scope = f"repository:{self.name}:pull"
            challenge = f'Bearer realm="{self.url}/token",service="test",scope="{scope}"'
            return Reply(401, b"{}", {"WWW-Authenticate": challenge})
        if path == "/v2/":
            return _json({})
        prefix = f"/v2/{self.name}/"
        if path == f"{prefix}tags/list":
            return self._tags(query)
        kind, _, reference = path.removeprefix(prefix).partition("/")
        digest = self.tags.get(reference, reference)
        if not path.startswith(prefix) or kind not in {"manifests", "blobs"} or digest not in self.blobs:
            return Reply(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
        media_type, body = self.blobs[digest]
        return Reply(200, body, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    def _tags(self, query: dict[str, list[str]]) -> Reply:
        """Give two tags a page, so that clients must turn pages."""
        names = sorted(self.tags)
        start = names.index(query["last"][0]) + 1 if "last" in query else 0
        page = names[start : start + 2]
        reply = _json({"name": self.name, "tags": page})
        if names[start + 2 :]:
            reply.headers["Link"] = f'</v2/{self.name}/tags/list?last={page[-1]}&n=2>; rel="next"'
        return reply


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def git_hash(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def _descriptor(media_type: str, digest: str, body: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": len(body)}


def _json(data: object) -> Reply:
    return Reply(200, json.dumps(data).encode(), {"Content-Type": "application/json"})


def _ranged(body: bytes, headers: dict[str, str], extra: dict[str, str]) -> Reply:
    asked = headers.get("range", "")
    if not asked.startswith("bytes="):
        return Reply(200, body, extra)
    first, _, last = asked.removeprefix("bytes=").partition("-")
    start, end = int(first), int(last) if last else len(body) - 1
    where = {"Content-Range": f"bytes {start}-{end}/{len(body)}"}
    return Reply(206, body[start : end + 1], {**extra, **where})
