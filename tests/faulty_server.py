"""A server of the tests' own, for what no good one does: OpenAI's protocol, vLLM's metrics, and faults on demand.

Standard library alone, so that it also runs inside a bare container: python3 faulty_server.py --port 8000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = (
    "hang",  # stops after `after` tokens, keeps the connection, /health stays 200
    "cut",  # closes the connection after `after` tokens
    "garbage",
    "loop",
    "empty",
    "broken",  # no UTF-8
    "wrong answer",
    "slow",  # one token every two seconds
    "unavailable",
    "turned away",  # an error in a stream that has begun, as vLLM gives it
    "error",
    "wrong model",
    "huge",
    "html",
)


@dataclass
class FaultyServer:
    """How the server behaves; every field may change while it runs."""

    fault: str | None = None
    after: int = 3
    rate: float = 500.0  # tokens a second and request
    first: float = 0.0  # seconds to the first token
    reading: float = 0.0  # seconds for each word of a prompt
    template: int = 7  # tokens that stand before every prompt
    counts: bool = True  # says how many tokens a prompt has
    slots: int = 4
    model: str = "tiny"
    context: int = 4096
    answer: str = "The answer is 4."
    said: str = "EngineDeadError"  # with the fault "error"
    key: str | None = None
    repeats: bool = False  # in its errors, the key that came
    queue: int | None = None  # requests that may wait; more get 503
    reasoning: str = ""
    token_text: str | None = None
    more_metrics: str = ""
    asked: int = 0
    finished: int = 0
    tokens: int = 0
    prompted: int = 0
    running: int = 0
    waiting: int = 0
    sent_first: list[float] = field(default_factory=list)  # time.perf_counter of first tokens
    received: list[float] = field(default_factory=list)
    _slots: asyncio.Semaphore | None = field(default=None, repr=False)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (request := await _request(reader)) is not None:
                self.received.append(time.perf_counter())
                if not await self._answer(writer, *request):
                    break
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, line: str, headers: dict[str, str], body: bytes) -> bool:
        path = line.split(" ")[1]
        if path == "/fault":
            self.fault = json.loads(body)
        if path in {"/health", "/metrics", "/fault"}:
            return await _send(writer, 200, self.metrics() if path == "/metrics" else "", "text/plain; version=0.0.4")
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            said = f"no such key: {headers.get('authorization')}" if self.repeats else "Unauthorized"
            return await _send(writer, 401, json.dumps({"error": said}))
        if path == "/v1/models":
            entry = {"id": self.model, "object": "model", "max_model_len": self.context}
            return await _send(writer, 200, json.dumps({"object": "list", "data": [entry]}))
        if path != "/v1/chat/completions":
            return await _send(writer, 404, "{}")
        return await self._chat(writer, json.loads(body))

    async def _chat(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> bool:
        self.asked += 1
        if self.fault == "unavailable" or (self.queue is not None and self.waiting >= self.queue):
            return await _send(writer, 503, json.dumps({"error": {"message": "overloaded"}}))
        if self.fault == "error":
            return await _send(writer, 500, f'{{"error": {{"message": "{self.said}"}}}}')
        if self.fault == "html":
            return await _send(writer, 200, "<html>a proxy's idea of an answer</html>", "text/html")
        if body.get("model", self.model) != self.model:
            return await _send(writer, 404, json.dumps({"error": {"message": "The model does not exist"}}))
        body["max_tokens"] = body.get("max_tokens") or body.get("max_completion_tokens") or 64
        prompt = self.template + sum(len(str(message["content"]).split()) for message in body["messages"])
        body["prompt_tokens"] = prompt
        if prompt + body["max_tokens"] > self.context:
            return await _send(writer, 400, json.dumps({"error": {"message": "maximum context length exceeded"}}))
        if self._slots is None:
            self._slots = asyncio.Semaphore(self.slots)
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            return await (self._stream(writer, body) if body.get("stream") else self._whole(writer, body))
        finally:
            self.running -= 1
            self._slots.release()

    def _words(self, body: dict[str, Any]) -> list[str]:
        texts = {
            "garbage": ["/"] * 64,
            "loop": ["the cat sat "] * 40,
            "empty": [""],
            "wrong answer": ["It ", "is ", "5."],
            "huge": ["x" * 65536] * 4096,
        }
        words = texts.get(self.fault or "") or [word + " " for word in self.answer.split(" ")]
        if body.get("ignore_eos"):
            words = [self.token_text or f"w{index} " for index in range(body["max_tokens"])]
        return words[: body["max_tokens"]] if self.fault != "huge" else words

    async def _stream(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        model = "another" if self.fault == "wrong model" else self.model
        await asyncio.sleep(self.first + self.reading * body["prompt_tokens"])
        if self.fault == "turned away":
            message = f"busy {self.key}" if self.repeats else "busy"
            error = {"message": message, "type": "Service Unavailable", "param": None, "code": 503}
            _chunk(writer, f"data: {json.dumps({'error': error})}\n\ndata: [DONE]\n\n".encode())
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        words = self._words(body)
        thoughts = [word + " " for word in self.reasoning.split()]
        began = time.perf_counter()
        for index, word in enumerate([*thoughts, *words]):
            if self.fault == "hang" and index >= self.after:
                return await self._hang()
            if self.fault == "cut" and index >= self.after:
                return False
            name = "reasoning_content" if index < len(thoughts) else "content"
            event = {"model": model, "choices": [{"index": 0, "delta": {name: word}, "finish_reason": None}]}
            text = json.dumps(event).encode()
            if self.fault == "broken":
                text = text.replace(word.encode(), b"\xff\xfe")
            if index == 0:
                self.sent_first.append(time.perf_counter())
            self.tokens += 1
            _chunk(writer, b"data: " + text + b"\n\n")
            await writer.drain()
            rate = 0.5 if self.fault == "slow" else self.rate
            # Many tokens fall into one turn of the event loop: the clock, not the sleep, keeps the rate.
            ahead = began + (index + 1) / rate - time.perf_counter()
            if ahead > _TURN:
                await asyncio.sleep(ahead)
        usage = self._usage(body, len(words) + len(thoughts))
        finish = "length" if len(words) >= body["max_tokens"] else "stop"
        end = {"model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        for part in (json.dumps(end), json.dumps({"model": model, "choices": [], "usage": usage}), "[DONE]"):
            _chunk(writer, f"data: {part}\n\n".encode())
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        self.finished += 1
        return True

    def _usage(self, body: dict[str, Any], tokens: int) -> dict[str, int]:
        self.prompted += body["prompt_tokens"]
        return {"completion_tokens": tokens, **({"prompt_tokens": body["prompt_tokens"]} if self.counts else {})}

    async def _hang(self) -> bool:
        while self.fault == "hang":  # noqa: ASYNC110 - the fault is set from another thread
            await asyncio.sleep(0.02)
        return False

    async def _whole(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> bool:
        words = self._words(body)
        self.tokens += len(words)
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop"}
        usage = self._usage(body, len(words))
        self.finished += 1
        return await _send(writer, 200, json.dumps({"model": self.model, "choices": [choice], "usage": usage}))

    def metrics(self) -> str:
        """Return the metrics, by vLLM's names."""
        values = {
            "vllm:generation_tokens_total": ("counter", self.tokens),
            "vllm:prompt_tokens_total": ("counter", self.prompted),
            "vllm:num_requests_running": ("gauge", self.running),
            "vllm:num_requests_waiting": ("gauge", self.waiting),
            "vllm:request_success_total": ("counter", self.finished),
        }
        lines = []
        for name, (kind, value) in values.items():
            lines += [f"# TYPE {name.removesuffix('_total') if kind == 'counter' else name} {kind}"]
            lines += [f'{name}{{engine="0",model_name="{self.model}"}} {value}']
        return "\n".join(lines) + "\n" + self.more_metrics


_TURN = 0.0005
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 500: "Error", 503: "Unavailable"}


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
    return line, headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def _send(writer: asyncio.StreamWriter, status: int, text: str, kind: str = "application/json") -> bool:
    body = text.encode()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@contextlib.contextmanager
def serving(server: FaultyServer, port: int = 0) -> Iterator[str]:
    """Run a server in a thread of its own on loopback; give its URL."""
    started: list[Any] = []
    ready = threading.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server.handle, "127.0.0.1", port)
        stop = asyncio.Event()
        started.extend([listening.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop])
        ready.set()
        await stop.wait()
        listening.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the server did not start")
    try:
        yield f"http://127.0.0.1:{started[0]}"
    finally:
        started[1].call_soon_threadsafe(started[2].set)
        thread.join(10)


async def _serve(server: FaultyServer, port: int) -> None:
    listening = await asyncio.start_server(server.handle, "127.0.0.1", port)
    await listening.serve_forever()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=500.0, help="tokens a second and request")
    parser.add_argument("--fault-file", type=Path, help="a file that names the fault with which to start")
    arguments = parser.parse_args()
    file: Path | None = arguments.fault_file
    fault = file.read_text().strip() if file is not None and file.exists() else ""
    asyncio.run(_serve(FaultyServer(fault=fault or None, rate=arguments.rate, slots=256), arguments.port))


if __name__ == "__main__":
    _main()
