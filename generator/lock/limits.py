"""How long to try: retries with backoff, and a time limit for each host."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar

from generator.errors import Location, LockError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    import tenacity

_Result = TypeVar("_Result")
DEFAULT_SECONDS = 120.0
REQUEST_SECONDS = 30.0
"""How long one request may wait for an answer; whatever is still coming in has as long again."""
DOWNLOAD = 30
"""How many times longer than for an answer a program may take that downloads."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 20.0


class TemporaryError(Exception):
    """A request failed in a way that may be over soon; ``wait`` is what the server asks for, in seconds."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        """Say what happened, and how long to wait."""
        super().__init__(what)
        self.wait = wait


@dataclass(slots=True)
class Limits:
    """Retries for requests. A host that gave no good answer for ``seconds`` is given up for the rest of the run."""

    seconds: float = DEFAULT_SECONDS
    _since: dict[str, float] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def call(self, host: str, request: Callable[[], _Result]) -> _Result:
        """Return what a request returns; repeat it while it raises TemporaryError and the host has time left.

        Raises LockError when the time is over.
        """
        import tenacity

        with self._guard:
            self._since.setdefault(host, time.monotonic())
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TemporaryError),
            wait=_wait,
            stop=lambda state: self._left(host) < _wait(state),
            reraise=True,
        )
        try:
            result = retrying(request)
        except TemporaryError as error:
            self._give_up(host, str(error))
        with self._guard:
            self._since[host] = time.monotonic()
        return result

    def _left(self, host: str) -> float:
        with self._guard:
            return self.seconds - (time.monotonic() - self._since[host])

    def _give_up(self, host: str, what: str) -> NoReturn:
        hint = "see whether there is a network, and start again; or give it longer with --timeout"
        raise LockError(
            (Problem(Location(host), "", f"no good answer within {self.seconds:g} s: {what}", hint),)
        ) from None


def _wait(state: tenacity.RetryCallState) -> float:
    """Return how long to wait before the next try: doubling, with jitter, but as long as the server says."""
    import tenacity

    backoff = (tenacity.wait_exponential(_FIRST_WAIT, _LONGEST_WAIT) + tenacity.wait_random(0, _FIRST_WAIT))(state)
    error = state.outcome.exception() if state.outcome else None
    return max(float(backoff), error.wait if isinstance(error, TemporaryError) else 0.0)
