"""Settings of a watched server, with times that tests can wait for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from generator.machine.counters import Names
from generator.machine.known import Known
from generator.machine.settings import Settings

VLLM = Names(
    ("vllm:generation_tokens_total", "vllm:prompt_tokens_total"),
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:request_success_total",
)
LLAMA = Names(
    ("llamacpp:n_decode_total", "llamacpp:tokens_predicted_total"),
    "llamacpp:requests_processing",
    "llamacpp:requests_deferred",
)


def settings(**changes: Any) -> Settings:  # noqa: ANN401 - any field
    """Return the settings of a server that must answer within a second."""
    base = Settings(
        name="llm",
        unit="vllm",
        url="http://127.0.0.1:1",
        model="tiny",
        names=VLLM,
        known=Known(minimum_rate=1.0),
        start_limit=10.0,
        probe_interval=0.3,
        hang_limit=1.0,
        restarts=2,
        fallback_unit=None,
        reboot=False,
        reboot_interval_hours=24.0,
        restart_after_requests=None,
        restart_after_hours=None,
    )
    return replace(base, **changes)
