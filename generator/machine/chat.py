# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""One chat completion over OpenAI's protocol, timed: whatever the server does is a ``Reply``, never an exception."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import httpx

from generator.machine.exchange import Fault, Limits, Reply, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from generator.machine.exchange import Request

_PATH = "/v1/chat/completions"
_HTML = (b"<!doctype html", b"<html")
_PAGE = "it answered with HTML; is something else on that port?"


async def ask(
    client: httpx.AsyncClient, url: str, request: Request, limits: Limits | None = None, *, key: str | None = None
) -> Reply:
    """Ask a server at ``url`` (scheme, host, port) and wait for the whole answer, or for what goes wrong."""
    limits = limits or Limits()
    reading = _Reading(limits.size, key or "")
    timeout = httpx.Timeout(limits.pause, connect=min(limits.total, 10.0))
    prepared = client.build_request(
        "POST",
        url + _PATH,
        json=request.body(),
        headers=bearer(key),
        timeout=timeout,
        extensions={"trace": reading.trace},
    )
    try:
        async with asyncio.timeout(limits.total):
            response = await client.send(prepared, stream=True)
            try:
                fault = await (reading.stream(response) if request.stream else reading.whole(response))
            finally:
                await response.aclose()
    except TimeoutError:
        fault = Fault("timeout", f"no whole answer within {limits.total:g} s, {reading.pieces} pieces came")
    except (httpx.ConnectTimeout, httpx.ConnectError) as error:
        fault = unreachable(url, error)
    except httpx.TimeoutException:
        fault = Fault("timeout", f"nothing came for {limits.pause:g} s, after {reading.pieces} pieces")
    except httpx.TransportError as error:
        fault = Fault("cut", f"{str(error).rstrip('.') or type(error).__name__}, after {reading.pieces} pieces")
    return reading.reply(fault)


def html(body: bytes) -> str:
    """Return what to say of a body that is a web page; "" where it is none."""
    begin = body[:200].lstrip().lower()
    return _PAGE if begin.startswith(_HTML) else ""


def unreachable(url: str, error: Exception) -> Fault:
    """Say that nobody could be reached at ``url``; a refused connection means that nobody listens there."""
    place = url.partition("://")[2].partition("/")[0]
    cause: BaseException | None = error
    while cause is not None:  # httpx says "All connection attempts failed", and why in what caused it
        if isinstance(cause, ConnectionRefusedError):
            return Fault("unreachable", f"nothing listens on {place}")
        if isinstance(cause, OSError) and cause.strerror:
            return Fault("unreachable", f"no connection to {place}: {cause.strerror}")
        cause = cause.__cause__ or cause.__context__
    return Fault("unreachable", f"no connection to {place}" + ("" if not str(error) else f": {error}"))


class _Reading:
    """An answer while it is being read."""

    def __init__(self, size: int, key: str) -> None:
        self._began = time.perf_counter()
        self._size = size
        self._key = key
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._model = self._finish = ""
        self._usage: dict[str, Any] = {}
        self._first: float | None = None
        self._last: float | None = None
        self._pause = 0.0
        self.pieces = 0

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Start the clock when the request leaves: what httpx does before is no time of the server's."""
        if event == "http11.send_request_headers.started":
            self._began = time.perf_counter()

    async def stream(self, response: httpx.Response) -> Fault | None:
        page = response.headers.get("content-type", "").startswith("text/html")
        if page or response.status_code != httpx.codes.OK:
            return await self._refused(response)
        received, done = 0, False
        async for line, size in _lines(response):
            received += size
            if received > self._size:
                return Fault("too large", f"more than {self._size} bytes came")
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                done = True
                break
            try:
                event = json.loads(data)
                fault = self._event(event)
            except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
                return Fault("garbled", f"not an event of a chat completion: {error}")
            if fault:
                return fault
        if not done and not self._finish:
            return Fault("cut", f"the stream ended after {self.pieces} pieces, without a reason")
        return None

    def _event(self, event: dict[str, Any]) -> Fault | None:
        if "error" in event:
            return self._error(event["error"])
        self._usage = event.get("usage") or self._usage
        self._model = event.get("model") or self._model
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            text = delta.get("content") or ""
            # vLLM says "reasoning" since 0.12 and "reasoning_content" before it, as llama.cpp does.
            reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
            if text or reasoning or delta.get("tool_calls"):
                self._piece(text, reasoning)
            self._finish = choice.get("finish_reason") or self._finish
        return None

    def _error(self, error: object) -> Fault:
        """Name an error within a stream: vLLM begins streams that it then turns away, where many come at once."""
        told: dict[str, Any] = error if isinstance(error, dict) else {}
        what, code = self._without_key(str(told.get("message", error)))[:200], told.get("code")
        if not self.pieces and isinstance(code, int) and 400 <= code < 600:  # noqa: PLR2004 - HTTP's errors
            return Fault("status", what, code)
        return Fault("cut", what)

    async def _refused(self, response: httpx.Response) -> Fault:
        """Read why a request was refused, or what came instead of an answer."""
        text = b""
        async for part in response.aiter_bytes():
            text += part
            if len(text) > _ERROR_BYTES + len(self._key):
                break
        if response.status_code == httpx.codes.OK:
            return Fault("garbled", _PAGE)
        what = self._without_key(text.decode("utf-8", "replace"))[:_ERROR_BYTES]
        return Fault("status", what.strip(), response.status_code)

    def _without_key(self, text: str) -> str:
        """Return what a server says without the key, which some repeat, and which belongs into no log."""
        return text.replace(self._key, "...") if self._key else text

    def _piece(self, text: str, reasoning: str) -> None:
        now = time.perf_counter() - self._began
        if self._last is not None:
            self._pause = max(self._pause, now - self._last)
        self._first = now if self._first is None else self._first
        self._last = now
        self.pieces += 1
        self._text.append(text)
        self._reasoning.append(reasoning)

    async def whole(self, response: httpx.Response) -> Fault | None:
        if response.status_code != httpx.codes.OK:
            return await self._refused(response)
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._size:
                return Fault("too large", f"more than {self._size} bytes came")
        try:
            data = json.loads(body)
            choice = data["choices"][0]
            message = choice["message"]
            self._text.append(message.get("content") or "")
            self._reasoning.append(message.get("reasoning_content") or message.get("reasoning") or "")
            self._finish, self._model = choice.get("finish_reason") or "", data.get("model") or ""
            self._usage = data.get("usage") or {}
        except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            return Fault("garbled", html(body) or f"not a chat completion: {error}")
        return None

    def reply(self, fault: Fault | None) -> Reply:
        return Reply(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            model=self._model,
            finish=self._finish,
            tokens=self._usage.get("completion_tokens") or self.pieces,
            prompt_tokens=self._usage.get("prompt_tokens") or 0,
            pieces=self.pieces,
            first=self._first,
            last=self._last,
            longest_pause=self._pause,
            seconds=time.perf_counter() - self._began,
            fault=fault,
        )


_ERROR_BYTES = 500


async def _lines(response: httpx.Response) -> AsyncIterator[tuple[bytes, int]]:
    """Yield lines, each with how many bytes came with it; httpx's own lines are text and cost four times as much."""
    rest = b""
    async for part in response.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        size = len(part)
        for line in lines:
            yield line, size
            size = 0
        if size:  # an endless line is counted while it grows
            yield b"", size
    if rest:
        yield rest, 0
