"""How much the load generator of ``llmflake verify`` adds to what it measures, and how many tokens it can follow."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from generator.machine.exchange import Request
from generator.verify.load import Server, send
from tests.llama import free_port
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROMPT = ({"role": "user", "content": "go"},)
_FIRST_GOAL_MS = 2.0
_RATE_GOAL = 2000.0
_SINGLE = 20
_TURNS = 5
_AT_ONCE = 50
_TOKENS = 200
_RATE = 100.0  # tokens a second and request


def run() -> Iterator[str]:
    """Yield what is added to the first token, the tokens followed for a second of CPU time, and the rate measured."""
    with _server() as url:
        server = Server(url, "tiny")
        yield _first_token(server)
        used = time.process_time()
        many = asyncio.run(send(server, [Request("tiny", _PROMPT, _TOKENS, exact=True)] * _AT_ONCE, _AT_ONCE))
        used = time.process_time() - used
        tokens = sum(reply.tokens for reply in many.replies)
        detail = f"{tokens} tokens in {many.seconds:.2f} s took {used:.2f} s of CPU"
        goal = f"at least {_RATE_GOAL:g} a second of one core; {detail}"
        yield _verdict("tokens followed", f"{tokens / used:.0f}", goal, met=tokens / used >= _RATE_GOAL)
        rates = [reply.rate or 0.0 for reply in many.replies]
        yield (
            f"rate measured: {statistics.median(rates):.1f} tokens/s at the median of {_AT_ONCE} streams, "
            f"{min(rates):.1f} to {max(rates):.1f}; the server sends {_RATE:g}"
        )
        firsts = statistics.median(reply.first or 0.0 for reply in many.replies) * 1000
        throughput = tokens / many.seconds
        yield f"{_AT_ONCE} streams at once: first token {firsts:.1f} ms at the median, {throughput:.0f} tokens/s"
        yield _peer(url)


def _peer(url: str) -> str:
    """Return what ``vllm bench serve`` says of the same server under the same load."""
    program = ROOT / ".vllm" / "venv" / "bin" / "vllm"
    if not program.exists():
        return "vllm bench serve: not installed; `make test-vllm` does it"
    load = ["--backend", "openai-chat", "--base-url", url, "--endpoint", "/v1/chat/completions", "--model", "tiny"]
    load += ["--tokenizer", str(ROOT / ".vllm" / "model"), "--dataset-name", "random", "--random-input-len", "16"]
    load += ["--random-output-len", str(_TOKENS), "--num-prompts", str(_AT_ONCE), "--max-concurrency", str(_AT_ONCE)]
    done = subprocess.run(
        [str(program), "bench", "serve", *load, "--ignore-eos"],
        env={**os.environ, "VLLM_TARGET_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in done.stdout.splitlines())
    }
    return (
        f"vllm bench serve, the same: first token {found['Median TTFT (ms)']} ms at the median, "
        f"{found['Output token throughput (tok/s)']} tokens/s"
    )


def _first_token(server: Server) -> str:
    """Compare with a bare socket; they take turns, so that the machine's load is the same for both."""
    request = Request("tiny", _PROMPT, 4, exact=True)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(_TURNS):
        alone = asyncio.run(send(server, [request] * _SINGLE, 1))
        ours += [reply.first or 0.0 for reply in alone.replies[1:]]  # the first one connects
        bare += _bare(server.url, request)[1:]
    added = (statistics.median(ours) - statistics.median(bare)) * 1000
    detail = f"{statistics.median(ours) * 1000:.2f} ms, {statistics.median(bare) * 1000:.2f} ms through a bare socket"
    goal = f"at most {_FIRST_GOAL_MS:g} ms; {detail}"
    return _verdict("first token", f"{added:.2f} ms added", goal, met=added <= _FIRST_GOAL_MS)


def _bare(url: str, request: Request) -> list[float]:
    """Return the seconds to the first event of an answer for a client that does nothing but wait for it."""
    body = json.dumps(request.body()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    times = []
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as channel:
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(_SINGLE):
            began = time.perf_counter()
            channel.sendall(head + body)
            received = b""
            while b"data: " not in received:
                received += channel.recv(65536)
            times.append(time.perf_counter() - began)
            while not received.endswith(b"0\r\n\r\n"):
                received += channel.recv(65536)
    return times


def _verdict(name: str, value: str, goal: str, *, met: bool) -> str:
    return f"{name}: {value} (goal: {goal}; {'met' if met else 'MISSED'})"


@contextmanager
def _server() -> Iterator[str]:
    """Run a server that streams at a fixed rate, in a process of its own."""
    port = free_port()
    command = [sys.executable, str(ROOT / "tests" / "faulty_server.py"), "--port", str(port), "--rate", str(_RATE)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(f"{url}/health", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)
