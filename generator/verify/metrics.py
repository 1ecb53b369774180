"""The metrics of a service: the endpoint answers, and has what dashboards and alerts ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from generator.catalog import metrics
from generator.machine.chat import html
from generator.machine.counters import samples
from generator.machine.exchange import Fault
from generator.verify.load import Server, client, get
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from generator.verify.expectation import ServiceExpectation

_LIMIT, _BRIEFLY = 30.0, 5.0  # seconds; a server that is silent elsewhere need not be waited for


async def check(expected: ServiceExpectation, server: Server) -> AsyncIterator[Verdict]:
    """Check a service's metrics; an engine without any gets no verdict."""
    if not list(criteria(expected)):
        return
    async with client() as http:
        response = await get(http, server, "/metrics", _BRIEFLY if server.silence.since else _LIMIT)
        if isinstance(response, Fault):
            yield server.silence.heed(judge(expected, 0, response.what), response)
        else:
            yield judge(expected, response.status_code, response.text, key=server.key is not None)


def criteria(expected: ServiceExpectation) -> Iterator[Criterion]:
    """Yield what is checked."""
    if expected.service.engine in metrics.counters():
        yield judge(expected, 0, "").criterion


def judge(expected: ServiceExpectation, status: int, text: str, *, key: bool = False) -> Verdict:
    """Judge what ``/metrics`` answered; ``key`` says that one was sent."""
    used = metrics.samples(expected.service.engine)
    criterion = Criterion(
        "metrics",
        "endpoint",
        expected.service.name,
        f"/metrics has the {len(used)} samples that dashboards, alerts and the watchdog use",
        "docs/plan.md section 7; nix/data/metrics.toml",
    )
    off = expected.service.engine == "llamacpp" and not expected.service.flags.get("metrics")
    advice = "set llamacpp.metrics = true" if off else f"see 'systemctl status {expected.service.unit}' on the machine"
    if status == httpx.codes.UNAUTHORIZED and not key:
        return criterion.not_checked("HTTP 401", f"give --key-file {expected.service.name}=FILE")
    if status != httpx.codes.OK:
        return criterion.failed(f"HTTP {status}" if status else text, advice)
    try:
        found = samples(text)
    except ValueError as error:
        return criterion.failed(html(text.encode()) or f"no Prometheus text: {error}", "see what answers on this port")
    missing = [name for name, condition in used.items() if name not in found and not condition]
    if missing:
        return criterion.failed(
            f"missing: {', '.join(missing)}",
            "the engine's release does not have them: nix/data/metrics.toml says which do",
        )
    waived = [f"{name} ({condition})" for name, condition in used.items() if name not in found and condition]
    without = f" but {', '.join(waived)}, whose panel stays empty" if waived else ""
    return criterion.passed(f"{len(found)} samples, among them all {len(used)}{without}")
