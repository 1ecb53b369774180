"""A hub on this machine: as much of its interface as huggingface_hub asks for one model's metadata."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "a" * 40


@dataclass
class Hub:
    """Files of one repository by name, and what goes wrong: ``fault`` answers every request instead."""

    files: dict[str, bytes] = field(default_factory=dict)
    fault: tuple[int, dict[str, str], bytes] | None = None
    file_fault: tuple[int, dict[str, str], bytes] | None = None  # the same for files only
    delay: float = 0.0
    sizes: bool = True
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # method, path, headers in lower case
    sent: int = 0  # bytes of bodies
    url: str = ""

    def info(self) -> bytes:
        """Return what the interface says of the repository."""
        siblings: list[dict[str, Any]] = [{"rfilename": name} for name in self.files]
        if self.sizes:
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
        return json.dumps({"id": "some/model", "sha": COMMIT, "private": False, "siblings": siblings}).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers for the hub that ``serving`` sets."""

    protocol_version = "HTTP/1.1"
    hub: ClassVar[Hub]

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(*self._found(), body=False)

    def do_GET(self) -> None:
        """Answer."""
        self._answer(*self._found(), body=True)

    def _found(self) -> tuple[int, dict[str, str], bytes]:
        hub = self.hub
        hub.requests.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        time.sleep(hub.delay)
        if hub.fault is not None:
            return hub.fault
        if re.fullmatch(r"/api/models/some/model(/revision/[^/?]+)?(\?.*)?", self.path):
            return 200, {"Content-Type": "application/json"}, hub.info()
        name = self.path.removeprefix(f"/some/model/resolve/{COMMIT}/")
        if name not in hub.files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        return hub.file_fault or self._file(name, hub.files[name])

    def _file(self, name: str, data: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            return 200, headers, data
        begin, end = int(wanted[1]), min(int(wanted[2]) + 1, len(data))
        return 206, headers | {"Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"}, data[begin:end]

    def _answer(self, status: int, headers: dict[str, str], data: bytes, *, body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.hub.sent += len(data)
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve a hub on a free port of the loopback address."""
    handler = type("HandlerOfOneHub", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
