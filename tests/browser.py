"""The one place of the tests that starts a browser: what it shows of pages that a server on the loopback holds."""

from __future__ import annotations

import html
import json
import mimetypes
import re
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEED_CHROMIUM = (
    "no Chromium on PATH that starts; install it (Debian: apt-get install chromium), or run `make test` as root, which "
    "does"
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing but this machine exists
)
_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a page: the document in the end, what stood on the console, and each path that was asked for."""

    document: str
    console: tuple[str, ...]
    requests: tuple[str, ...]

    def result(self) -> Any:  # noqa: ANN401 - whatever the page's script found
        """Return the JSON that a script put into the element with the id "result"."""
        found = re.search(r'<pre id="result">(.*?)</pre>', self.document, re.DOTALL)
        if found is None:
            raise AssertionError(f"the page's script put out nothing: {self.console}")
        return json.loads(html.unescape(found[1]))


@dataclass(frozen=True, slots=True)
class Browser:
    """A Chromium."""

    program: str

    def open(self, pages: dict[str, str], path: str, *, dark: bool = False) -> Seen:
        """Return what came of opening one of the pages, which are texts by path."""
        with serving(pages) as (address, requests):
            done = self.run("--virtual-time-budget=3000", "--dump-dom", f"{address}{path}", dark=dark)
        return Seen(done.stdout, _console(done), tuple(requests))

    def see(self, address: str, width: int, height: int, target: Path | None = None) -> Seen:
        """Return what came of an address on the loopback in a window of so many pixels, or write a picture of it."""
        output = "--dump-dom" if target is None else f"--screenshot={target}"
        done = self.run(f"--window-size={width},{height}", "--virtual-time-budget=10000", output, address)
        return Seen(done.stdout, _console(done), ())

    def picture(self, page: Path, target: Path, width: int, height: int, *, dark: bool = False) -> None:
        """Write a picture of a page on disk."""
        size = f"--window-size={width},{height}"
        self.run(size, f"--screenshot={target}", page.as_uri(), dark=dark)

    def run(self, *arguments: str, dark: bool = False) -> subprocess.CompletedProcess[str]:
        """Start the browser with a profile of its own, which is gone afterwards."""
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        with tempfile.TemporaryDirectory() as profile:
            command = [self.program, *_FLAGS, scheme, f"--user-data-dir={profile}", *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS)


def _console(done: subprocess.CompletedProcess[str]) -> tuple[str, ...]:
    return tuple(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def find_browser() -> Browser | None:
    """Return the Chromium on PATH, if there is one that starts."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        return None
    try:
        done = Browser(program).run("--dump-dom", "data:text/html,<p>yes</p>")
    except (subprocess.SubprocessError, OSError):
        return None
    return Browser(program) if "<p>yes</p>" in done.stdout else None


@contextmanager
def serving(pages: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Serve pages on the loopback; yield the address, and the list of the paths that are asked for."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            body = pages.get(self.path, "").encode()
            self.send_response(200 if self.path in pages else 404)
            kind = mimetypes.guess_type(self.path)[0] or "text/html"
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", requests
        finally:
            server.shutdown()
            thread.join()
