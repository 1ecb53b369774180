# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""What is asked of a server and what came back, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["unreachable", "status", "timeout", "cut", "garbled", "too large"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no whole answer. ``status`` is the HTTP status, or an error's code in a stream; 0 without one."""

    kind: Kind
    what: str
    status: int = 0

    def __str__(self) -> str:
        """Return what went wrong in one line."""
        return f"{self.kind}: {self.what}"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. ``exact`` makes the engine go on until ``max_tokens``, where it can (vLLM, llama.cpp)."""

    model: str | None  # None leaves the choice to the server
    messages: tuple[Mapping[str, str], ...]
    max_tokens: int
    stream: bool = True
    exact: bool = False
    temperature: float = 0.0

    def body(self) -> dict[str, Any]:
        """Return the body of the HTTP request."""
        return {
            **({"model": self.model} if self.model else {}),
            "messages": list(self.messages),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            **({"ignore_eos": True} if self.exact else {}),
            **({"stream": True, "stream_options": {"include_usage": True}} if self.stream else {}),
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """How long an answer may take, how long it may pause (seconds), and how large it may be (bytes)."""

    total: float = 120.0
    pause: float = 120.0
    size: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Times are seconds; ``first`` and ``last`` count from the request to the first and last token."""

    text: str = ""
    reasoning: str = ""
    model: str = ""
    finish: str = ""
    tokens: int = 0  # as the server counts them, else the pieces that came
    prompt_tokens: int = 0
    pieces: int = 0
    first: float | None = None
    last: float | None = None
    longest_pause: float = 0.0
    seconds: float = 0.0
    fault: Fault | None = None

    @property
    def rate(self) -> float | None:
        """Decoded tokens a second after the first one; None when too few came to say."""
        if self.first is None or self.last is None or self.tokens < _ENOUGH or self.last <= self.first:
            return None
        return (self.tokens - 1) / (self.last - self.first)


_ENOUGH = 4


def bearer(key: str | None) -> dict[str, str]:
    """Return the header that carries a key, none without one."""
    return {"authorization": f"Bearer {key}"} if key else {}
