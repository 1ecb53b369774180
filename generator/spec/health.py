"""How a service is known to be well, and what is done when it is not: the table ``services.*.health``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

# Engines whose start says that a model can answer. Ollama loads one only when asked; of any other container it is not
# known which question would be right.
_ASKED_BY_ITSELF = frozenset({"vllm", "llamacpp"})


@dataclass(frozen=True, slots=True)
class Health:
    """Times are seconds unless their name says otherwise; ``fallback`` is a service's name."""

    readiness: bool
    watchdog: bool
    question: str = "What is 2+2? Answer with the number alone."
    answer: str = "4"
    max_tokens: int = 512
    minimum_rate: float = 1.0
    start_limit: int = 3600
    probe_interval: int = 300
    hang_limit: int = 120
    restarts: int = 2
    fallback: str | None = None
    reboot: bool = False
    reboot_interval_hours: int = 24
    restart_after_requests: int | None = None
    restart_after_hours: int | None = None
    key_file: str | None = None


def build(data: dict[str, Any], engine: str) -> Health:
    """Build the table from data that satisfies the schema; a key that it does not know is the schema's to refuse."""
    asked = engine in _ASKED_BY_ITSELF
    known = {field.name: data[field.name] for field in fields(Health) if field.name in data}
    return Health(**{"readiness": asked, "watchdog": asked, **known})
