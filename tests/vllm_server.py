"""A real vLLM on the CPU with the tiny gpt-oss, started as the product starts one, where bin/set-up-vllm laid it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from generator.emit.data import deployment_data
from generator.machine.chat import ask
from generator.machine.exchange import Request
from generator.machine.ready import wait
from tests.conftest import load
from tests.llama import free_port
from tests.nix_program import ROOT
from tests.watched import VLLM, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from generator.machine.exchange import Reply
    from generator.machine.known import Judgement
    from tests.nix_program import Nix

FOLDER = ROOT / ".vllm"
PYTHON = FOLDER / "venv" / "bin" / "python"
NEED_VLLM = "no vLLM for the CPU; run `make test-vllm`, which installs it (3.4 GB)"
KEY = "0123456789abcdef" * 4
MODEL = "tiny"
ENVIRONMENT = {
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
START_LIMIT = 300.0  # seconds


def there() -> bool:
    """Return whether bin/set-up-vllm was here."""
    return (FOLDER / "ready").exists()


def flags() -> dict[str, Any]:
    """Return the flags of examples/aspen1.toml, which all work on the CPU too, and a queue that can be filled."""
    found: dict[str, Any] = deployment_data(load(ROOT / "examples" / "aspen1.toml"))["services"]["llm"]["settings"][
        "vllm"
    ]
    return {**found, "maxNumQueuedReqs": 4}


def command(nix: Nix, port: int, key_file: Path) -> list[str]:
    """Return the command of the unit: the product's own words, with another model, port and path of the key."""
    given = {
        "vllm": str(PYTHON.parent / "vllm"),
        "script": str(ROOT / "nix" / "programs" / "with-keys.sh"),
        "call": {
            "model": str(FOLDER / "model"),
            "servedModelName": MODEL,
            "host": "127.0.0.1",
            "port": port,
            "flags": flags(),
            "extraArgs": [],
        },
    }
    (key_file.parent / "given.json").write_text(json.dumps(given))
    words: list[str] = nix.evaluate(
        f"""let
          lib = import {ROOT}/nix/lib;
          given = builtins.fromJSON (builtins.readFile {key_file.parent}/given.json);
          inherit (lib.keys.delivery {{ serviceType = "vllm"; unit = "vllm"; }}) keys arguments;
        in lib.keys.run {{
          shell = "/bin/sh"; program = given.script; inherit keys;
          command = [ given.vllm "serve" ] ++ lib.vllm-args.arguments given.call ++ arguments;
        }}"""
    )
    credential = "/run/credentials/vllm.service/api-key"
    assert f"VLLM_API_KEY={credential}" in words
    return [word.replace(credential, str(key_file)) for word in words]


@dataclass
class Vllm:
    """A vLLM that serves the tiny model; ``starts`` counts its starts, ``ready`` is what the readiness probe said."""

    nix: Nix
    folder: Path
    port: int = field(default_factory=free_port)
    starts: int = 0
    ready: Judgement | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key_file(self) -> Path:
        """Return the file that holds its key."""
        return self.folder / "api-key"

    @property
    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it, and wait as its unit does: until the readiness probe has its known answer."""
        self.key_file.write_text(KEY + "\n")
        with (self.folder / "log").open("a") as output:
            self.process = subprocess.Popen(
                command(self.nix, self.port, self.key_file),
                env={**os.environ, **ENVIRONMENT},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.starts += 1
        self.ready = asyncio.run(self._wait(self.process))

    async def _wait(self, process: subprocess.Popen[bytes]) -> Judgement:
        probe = settings(url=self.url, model=MODEL, names=VLLM, start_limit=START_LIMIT, hang_limit=60.0)
        waiting = asyncio.create_task(wait(probe, KEY))
        while not (await asyncio.wait([waiting], timeout=0.5))[0]:
            assert process.poll() is None, self.log[-3000:]
        return waiting.result()

    def ask(self, request: Request) -> Reply:
        """Ask it with its key."""

        async def run() -> Reply:
            async with httpx.AsyncClient(trust_env=False) as client:
                return await ask(client, self.url, request, key=KEY)

        return asyncio.run(run())

    def load(self, replies: list[Reply]) -> Callable[[httpx.AsyncClient], Coroutine[None, None, None]]:
        """Return a load of twelve clients without end, half of them with long prompts; replies are added to a list."""

        async def one(client: httpx.AsyncClient, number: int) -> None:
            while True:
                prompt = f"{number} " + "words " * (60 if number % 2 else 2)
                request = Request(MODEL, ({"role": "user", "content": prompt},), 120, exact=True)
                replies.append(await ask(client, self.url, request, key=KEY))
                await asyncio.sleep(0.02)

        async def beside(client: httpx.AsyncClient) -> None:
            await asyncio.gather(*(one(client, number) for number in range(12)))

        return beside

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        """Send it a request, with a key or without one."""
        headers = {} if key is None else {"authorization": f"Bearer {key}".strip()}
        return httpx.post(self.url + path, json=body, headers=headers, timeout=60, trust_env=False)

    def health(self) -> int:
        """Return the status of what it says of its health."""
        return httpx.get(f"{self.url}/health", timeout=10, trust_env=False).status_code

    def processes(self) -> list[int]:
        """Return the ids of all its processes."""
        assert self.process is not None
        found = subprocess.run(["pgrep", "-s", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(line) for line in found.stdout.split()]

    def engine(self) -> list[int]:
        """Return the ids of those that compute: all but the API server."""
        assert self.process is not None
        return [found for found in self.processes() if found != self.process.pid]

    def hang(self) -> None:
        """Stop what computes where it is: the API server stays."""
        for process in self.engine():
            os.kill(process, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let what was stopped go on."""
        for process in self.engine():
            os.kill(process, signal.SIGCONT)

    def stop(self) -> None:
        """End it, hung or not."""
        if self.process is not None:
            for process in self.processes():
                os.kill(process, signal.SIGKILL)
            self.process.wait(30)
            self.process = None
