# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""The watchdog's judgement: one pure step from what was seen to what is to be done.

Progress is proof: the engine's counters moved, or a known question got its known answer. A server with work in hand
and no progress for ``hang_limit`` hangs; an idle one is asked every ``probe_interval``. Whatever a loaded server does
slowly moves its counters, so it is busy, not hung.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from generator.machine.counters import Counters
    from generator.machine.known import Judgement
    from generator.machine.settings import Settings
    from generator.machine.systemd import UnitState

Health = Literal["stopped", "starting", "healthy", "busy", "suspect", "draining", "hung"]
Action = Literal["none", "probe", "restart", "planned restart", "fallback", "reboot", "give up"]

FAILURES = 3  # answers in a row that prove a server broken
RETRY = 5.0  # seconds to the next question after one that failed


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment; ``now`` and ``wall`` are seconds: by a clock that never jumps, by the calendar."""

    now: float
    wall: float
    unit: UnitState
    counters: Counters | None = None  # None: the engine has none, or did not answer
    probing: bool = False
    judgement: Judgement | None = None  # of a probe that ended since the last sample
    standing_in: bool = False  # the fallback engine is active


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered between samples."""

    seen: str = ""  # the unit's state at the last sample
    exhausted: bool = False  # systemd starts it no more
    invocation: str = ""
    started: float = 0.0
    proof: float = 0.0  # when there was progress last
    work_since: float | None = None
    counters: Counters | None = None
    finished_at_start: float | None = None
    failures: int = 0
    asking: bool = False  # at the last sample a question was under way, or had just ended
    asked: float = 0.0  # when the last probe ended
    complaint: str = ""
    restarts: tuple[float, ...] = ()
    fell_back: float | None = None
    rebooted_wall: float | None = None
    gave_up: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, what the server is, and why."""

    action: Action
    health: Health
    why: str


def step(settings: Settings, state: State, sample: Sample) -> tuple[State, Decision]:
    """Judge a sample; return what to remember and what to do."""
    unit = sample.unit
    state = replace(state, exhausted=_exhausted(state, unit), seen=unit.active)
    if sample.standing_in and unit.active != "active":
        return replace(state, invocation=""), Decision("none", "stopped", f"{settings.fallback_unit} stands in")
    if state.exhausted and not unit.job:
        return _climb(
            settings, replace(state, invocation=""), sample, "it died until its start limit", may_restart=False
        )
    if unit.active != "active" or unit.job:
        starting = unit.active in {"activating", "reloading"} or unit.job
        return replace(state, invocation=""), Decision("none", "starting" if starting else "stopped", unit.active)
    if unit.invocation != state.invocation:
        # A unit is active only after its readiness probe: a start is proof.
        state = replace(
            state,
            invocation=unit.invocation,
            started=sample.now,
            proof=sample.now,
            asked=sample.now,
            work_since=None,
            counters=None,
            finished_at_start=sample.counters.finished if sample.counters else None,
            failures=0,
            complaint="",
        )
    state = _progress(settings, state, sample)
    state = _judged(settings, state, sample)
    if state.failures >= FAILURES:
        return _climb(settings, state, sample, state.complaint)
    return _active(settings, state, sample)


def _exhausted(state: State, unit: UnitState) -> bool:
    """Say whether a unit failed so often that systemd gave up, and is not one that a person stopped.

    A unit that ran into its start limit keeps the result of its last failure, so the way there has to tell: it
    was to be started again, and failed instead.
    """
    if unit.active != "failed":
        return False
    gave_up = state.seen == "activating" and unit.restarts > 0
    return state.exhausted or gave_up or unit.result == "start-limit-hit"


def _progress(settings: Settings, state: State, sample: Sample) -> State:
    """Take in the counters: any change is progress, since an engine that restarted counts from zero."""
    counters = sample.counters
    # An engine that has no counters may just let a question wait behind others: then three must time out, see _judged.
    if settings.names is None:
        working = False
    elif counters is None:  # it has them and does not say: whoever waited, waits
        working = sample.probing or state.work_since is not None
    else:
        working = sample.probing or counters.working
    work_since = (state.work_since if state.work_since is not None else sample.now) if working else None
    asking = sample.probing or sample.judgement is not None
    moved = counters is not None and state.counters is not None and counters.progress != state.counters.progress
    # The tokens of a question that goes wrong are no proof: only traffic besides clears its failures.
    cleared = moved and not asking and not state.asking
    return replace(
        state,
        work_since=work_since,
        asking=asking,
        counters=counters or state.counters,
        finished_at_start=state.finished_at_start
        if state.finished_at_start is not None or counters is None
        else counters.finished,
        proof=sample.now if moved else state.proof,
        failures=0 if cleared else state.failures,
        complaint="" if cleared else state.complaint,
    )


def _judged(settings: Settings, state: State, sample: Sample) -> State:
    judgement = sample.judgement
    if judgement is None:
        return state
    state = replace(state, asked=sample.now)
    if judgement.outcome == "passed":
        return replace(state, proof=sample.now, failures=0, complaint="", gave_up=False)
    # The last counters that were read are in the state: a loaded llama.cpp may be too busy to give them each time.
    others = state.counters is not None and state.counters.working
    moving = sample.now - state.proof < settings.hang_limit and others
    # Under load a probe may be slow, queued or turned away; that the load moves is the better proof.
    excused = judgement.outcome == "refused" or (judgement.outcome in {"slow", "late", "busy", "dead"} and moving)
    state = replace(state, complaint=f"{judgement.outcome}: {judgement.why}")
    if excused:
        return state
    # Not a single token in all the time that the question was given: that needs no second question.
    still = (
        judgement.outcome == "late" and settings.names is not None and sample.now - state.proof >= settings.hang_limit
    )
    return replace(state, failures=FAILURES if still else state.failures + 1)


def _active(settings: Settings, state: State, sample: Sample) -> tuple[State, Decision]:
    now, counters = sample.now, sample.counters
    if state.work_since is not None:
        still = now - max(state.proof, state.work_since)
        if still >= settings.hang_limit:
            what = f"{counters.running:g} running, {counters.waiting:g} waiting" if counters else "a question"
            return _climb(settings, state, sample, f"no progress for {still:.0f} s with {what} in hand")
    return state, _quiet(settings, state, sample)


def _quiet(settings: Settings, state: State, sample: Sample) -> Decision:
    """Decide for a server that neither hangs nor answers wrongly: it is busy, due for a restart, or to be asked."""
    counters = sample.counters
    if (reason := _planned(settings, state, sample)) is not None:
        if counters is not None and not counters.working and not sample.probing:
            return Decision("planned restart", "draining", reason)
        return Decision("none", "draining", f"{reason}; waiting for the requests in flight")
    if not sample.probing and counters is not None and counters.working:
        return Decision("none", "busy", f"{counters.running:g} running, {counters.waiting:g} waiting")
    silent = settings.names is not None and counters is None
    wait = min(RETRY, settings.probe_interval) if state.failures or silent else settings.probe_interval
    last = state.asked if state.failures else max(state.proof, state.asked)
    due = not sample.probing and sample.now - last >= wait
    return Decision("probe" if due else "none", "suspect" if state.failures else "healthy", state.complaint or "idle")


def _planned(settings: Settings, state: State, sample: Sample) -> str | None:
    """Say why a restart is due that nothing forces; only where the counters tell when nobody is waiting."""
    if settings.names is None:
        return None
    hours = settings.restart_after_hours
    if hours is not None and sample.now - state.started >= hours * 3600:
        return f"up for {hours:g} hours"
    limit, counters = settings.restart_after_requests, sample.counters
    if limit is None or counters is None or counters.finished is None or state.finished_at_start is None:
        return None
    done = counters.finished - state.finished_at_start
    return f"{done:g} requests answered" if done >= limit else None


def _climb(
    settings: Settings, state: State, sample: Sample, why: str, *, may_restart: bool = True
) -> tuple[State, Decision]:
    """Take the next rung of the ladder: restart, the fallback engine, a reboot; never the same one without end."""
    now = sample.now
    state = replace(
        state,
        restarts=tuple(time for time in state.restarts if now - time < settings.window),
        fell_back=state.fell_back if state.fell_back is not None and now - state.fell_back < settings.window else None,
        complaint=why,
    )
    # Whatever is done, the server is judged anew from here on.
    calm = replace(state, failures=0, proof=now, work_since=None, asked=now)
    if may_restart and len(state.restarts) < settings.restarts:
        return replace(calm, restarts=(*state.restarts, now)), Decision("restart", "hung", why)
    if settings.fallback_unit is not None and state.fell_back is None:
        return replace(calm, fell_back=now), Decision("fallback", "hung", why)
    since = None if state.rebooted_wall is None else sample.wall - state.rebooted_wall
    if settings.reboot and (since is None or since >= settings.reboot_interval_hours * 3600):
        return replace(calm, rebooted_wall=sample.wall), Decision("reboot", "hung", why)
    if state.gave_up:
        ask = not sample.probing and now - state.asked >= settings.probe_interval and sample.unit.active == "active"
        return state, Decision("probe" if ask else "none", "hung", why)
    return replace(state, gave_up=True), Decision("give up", "hung", why)
