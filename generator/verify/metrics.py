"""The metrics of a service: the endpoint answers, and has what dashboards and alerts ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from generator.catalog import metrics
from generator.machine.counters import samples
from generator.machine.exchange import bearer
from generator.verify.load import Server, client
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generator.verify.expectation import ServiceExpectation


async def check(expected: ServiceExpectation, server: Server) -> AsyncIterator[Verdict]:
    """Check a service's metrics; an engine without any gets no verdict."""
    if expected.service.engine not in metrics.counters():
        return
    async with client() as http:
        try:
            response = await http.get(f"{server.url}/metrics", headers=bearer(server.key), timeout=30)
            yield judge(expected, response.status_code, response.text, key=server.key is not None)
        except httpx.HTTPError as error:
            yield judge(expected, 0, str(error) or type(error).__name__)


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
    flag = "set llamacpp.metrics = true" if expected.service.engine == "llamacpp" else "see the service's log"
    if status == httpx.codes.UNAUTHORIZED and not key:
        return criterion.not_checked("HTTP 401", f"give --key-file {expected.service.name}=FILE")
    if status != httpx.codes.OK:
        return criterion.failed(f"HTTP {status}" if status else text, flag)
    try:
        found = samples(text)
    except ValueError as error:
        return criterion.failed(f"no Prometheus text: {error}", "something else answers on this port")
    missing = [name for name, condition in used.items() if name not in found and not condition]
    if missing:
        return criterion.failed(
            f"missing: {', '.join(missing)}",
            "the engine's release does not have them: nix/data/metrics.toml says which do",
        )
    waived = [f"{name} ({condition})" for name, condition in used.items() if name not in found and condition]
    without = f" but {', '.join(waived)}, whose panel stays empty" if waived else ""
    return criterion.passed(f"{len(found)} samples, among them all {len(used)}{without}")
