# Managed by llmflake: the static tier, copied unchanged into every generated flake.
"""What clouds have cost, kept in a file: LiteLLM counts it in memory, and would begin anew with every start."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.duration_parser import duration_in_seconds

_LOG = logging.getLogger("llmflake")


class Spend(CustomLogger):
    """Counts what LiteLLM counts, in a file, and tells LiteLLM after a start what was spent before it.

    The file has, by deployment, since when (seconds since 1970) how much (US dollars) was spent in the running period.
    """

    def __init__(self, path: Path) -> None:
        """Count in a file."""
        super().__init__()
        self._path = path
        self._told: Any = None  # the counter of LiteLLM that knows already

    async def async_filter_deployments(
        self,
        model: str,  # noqa: ARG002 - LiteLLM's interface
        healthy_deployments: list[Any],
        messages: list[Any] | None,  # noqa: ARG002
        request_kwargs: dict[str, Any] | None = None,  # noqa: ARG002
        parent_otel_span: Any = None,  # noqa: ANN401, ARG002
    ) -> list[Any]:
        """Let every deployment pass; LiteLLM's own counter, which is asked after this one, holds back what is spent."""
        counter = _counter()
        if counter is not None and counter is not self._told:
            await self._tell(counter)
            self._told = counter
        return healthy_deployments

    async def _tell(self, counter: Any) -> None:  # noqa: ANN401 - RouterBudgetLimiting
        entries, now = self._read(), time.time()
        for name, budget in (counter.deployment_budget_config or {}).items():
            # Money is not spent twice because a file is broken.
            since, spent = (now, budget.max_budget) if entries is None else entries.get(name, (0.0, 0.0))
            left = since + duration_in_seconds(budget.budget_duration) - now
            if left > 0:
                await counter.dual_cache.async_set_cache(
                    key=f"deployment_spend:{name}:{budget.budget_duration}", value=spent, ttl=left
                )
                await counter.dual_cache.async_set_cache(
                    key=f"deployment_budget_start_time:{name}", value=since, ttl=left
                )

    async def async_log_success_event(
        self,
        kwargs: dict[str, Any],
        response_obj: Any,  # noqa: ANN401, ARG002 - LiteLLM's interface
        start_time: Any,  # noqa: ANN401, ARG002
        end_time: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """Add what an answer has cost."""
        payload = kwargs.get("standard_logging_object") or {}
        name, cost = str(payload.get("model_id") or ""), float(payload.get("response_cost") or 0)
        counter = _counter()
        budget = ((counter and counter.deployment_budget_config) or {}).get(name)
        if budget is None or cost <= 0:
            return
        entries, now = self._read(), time.time()
        if entries is None:  # what it had is not known, and with a new one the budget would be new
            return
        since, spent = entries.get(name, (now, 0.0))
        if now - since > duration_in_seconds(budget.budget_duration):
            since, spent = now, 0.0
        self._write({**entries, name: (since, spent + cost)})

    def _read(self) -> dict[str, tuple[float, float]] | None:
        """Return what the file has, None where it cannot be read."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: (float(since), float(spent)) for name, (since, spent) in data.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError):
            _LOG.exception("%s cannot be read: every budget counts as spent; remove it to begin anew", self._path)
            return None

    def _write(self, entries: dict[str, tuple[float, float]]) -> None:
        new = self._path.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(entries, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError:
            _LOG.exception("%s cannot be written: what this start spends is forgotten with it", self._path)


def _counter() -> Any:  # noqa: ANN401 - RouterBudgetLimiting, None where nothing has a budget
    from litellm.proxy.proxy_server import llm_router  # set when LiteLLM has read its configuration

    return None if llm_router is None else llm_router.router_budget_logger


counter = Spend(Path(os.environ["STATE_DIRECTORY"]) / "spend.json")
