"""The watchdog's judgement in virtual time: hangs are found in time, busy servers are left alone, ladders end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from generator.machine.counters import Counters
from generator.machine.known import Judgement
from generator.machine.systemd import UnitState
from generator.machine.watch import Decision, Sample, State, step
from tests.watched import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.machine.settings import Settings

TICK = 5.0
PASSED = Judgement("passed", "4")
WRONG = Judgement("wrong", "////")
DEAD = Judgement("dead", "connection refused")
LATE = Judgement("late", "nothing came")
LIMITS = {"probe_interval": 60.0, "hang_limit": 120.0}


@dataclass
class Life:
    """A server's life under the watchdog: ``see`` says what its counters are, ``answer`` how it answers a question."""

    settings: Settings
    see: Callable[[float], Counters | None]
    answer: Callable[[float], Judgement | None]  # None: nothing came until the limit
    unit: Callable[[float], UnitState] = lambda _: UnitState("active", "success", "1")
    state: State = field(default_factory=State)
    now: float = 1000.0
    probe_since: float | None = None
    actions: list[tuple[float, str]] = field(default_factory=list)
    starts: int = 0
    standing_in: bool = False

    def live(self, seconds: float) -> list[tuple[float, str]]:
        """Live on, and return all actions so far."""
        until = self.now + seconds
        while self.now < until:
            self.now += TICK
            self._tick()
        return self.actions

    def _tick(self) -> Decision:
        judgement = None
        if self.probe_since is not None:
            judgement = self.answer(self.now)
            if judgement is None and self.now - self.probe_since >= self.settings.hang_limit:
                judgement = LATE
        if judgement is not None:
            self.probe_since = None
        unit = self.unit(self.now)
        unit = replace(unit, invocation=f"{unit.invocation}-{self.starts}")
        sample = Sample(
            self.now,
            1e9 + self.now,
            unit,
            self.see(self.now),
            self.probe_since is not None,
            judgement,
            self.standing_in,
        )
        self.state, decision = step(self.settings, self.state, sample)
        if decision.action == "probe":
            self.probe_since = self.now
        elif decision.action != "none":
            self.actions.append((self.now, decision.action))
            self.probe_since = None
            self.starts += decision.action in {"restart", "planned restart"}
            self.standing_in = self.standing_in or decision.action == "fallback"
        return decision


def idle(_: float) -> Counters:
    return Counters(100, 0, 0, 5)


def stuck(_: float) -> Counters:
    return Counters(100, 1, 2, 5)


def busy(now: float) -> Counters:
    return Counters(now * 40, 4, 9, now // 10)


def answering(asked: list[float]) -> Callable[[float], Judgement]:
    def answer(now: float) -> Judgement:
        asked.append(now)
        return PASSED

    return answer


def life(see: Callable[[float], Counters | None], answer: Judgement | None, **changes: Any) -> Life:  # noqa: ANN401
    return Life(settings(**{**LIMITS, **changes}), see, lambda _: answer)


def test_an_idle_server_that_answers_is_left_alone_for_hours() -> None:
    assert life(idle, PASSED).live(20000) == []


def test_an_idle_server_is_asked_every_interval() -> None:
    asked: list[float] = []
    server = Life(settings(**LIMITS), idle, answering(asked))
    server.live(3600)
    assert 50 <= len(asked) <= 60


@pytest.mark.parametrize("answer", [None, DEAD, LATE, Judgement("busy", "503"), Judgement("slow", "1 token/s")])
def test_a_busy_server_is_left_alone_for_hours_whatever_a_question_gets(answer: Judgement | None) -> None:
    assert life(busy, answer).live(20000) == []


def test_a_busy_server_is_not_even_asked() -> None:
    asked: list[float] = []
    Life(settings(**LIMITS), busy, answering(asked)).live(3600)
    assert asked == []


def test_work_in_hand_without_progress_is_a_hang_within_the_limit() -> None:
    ((when, action), *_) = life(stuck, None).live(600)
    assert action == "restart"
    assert when - 1000 <= LIMITS["hang_limit"] + 2 * TICK


def test_an_idle_server_that_hangs_is_found_within_interval_and_limit() -> None:
    ((when, action), *_) = life(idle, None).live(600)
    assert action == "restart"
    assert when - 1000 <= LIMITS["probe_interval"] + LIMITS["hang_limit"] + 3 * TICK


def test_a_server_that_does_not_even_give_its_counters_is_found() -> None:
    ((when, action), *_) = life(lambda _: None, None).live(600)
    assert action == "restart"
    assert when - 1000 <= LIMITS["hang_limit"] + 4 * TICK


def test_three_wrong_answers_are_a_broken_server() -> None:
    ((when, action), *_) = life(idle, WRONG).live(600)
    assert action == "restart"
    assert when - 1000 <= LIMITS["probe_interval"] + 8 * TICK


def test_two_wrong_answers_are_not() -> None:
    answers = [WRONG, WRONG]
    server = Life(settings(**LIMITS), idle, lambda _: answers.pop() if answers else PASSED)
    assert server.live(3600) == []


def test_a_question_that_is_not_allowed_says_nothing_of_the_engine() -> None:
    assert life(idle, Judgement("refused", "401")).live(20000) == []


def test_the_tokens_of_a_wrong_answer_are_no_progress() -> None:
    server = life(idle, WRONG)
    server.see = lambda now: Counters(now if server.probe_since is not None else 100, 0, 0, 5)
    assert server.live(600)[0][1] == "restart"


def test_an_engine_without_counters_must_fail_three_times() -> None:
    ((when, action), *_) = life(lambda _: None, None, names=None).live(3600)
    assert action == "restart"
    assert when - 1000 >= 3 * LIMITS["hang_limit"]


def test_an_engine_without_counters_that_answers_is_left_alone() -> None:
    assert life(lambda _: None, PASSED, names=None).live(20000) == []


@pytest.mark.parametrize("active", ["inactive", "activating", "deactivating", "failed"])
def test_a_unit_that_is_not_active_is_not_touched(active: str) -> None:
    server = life(stuck, None, fallback_unit="llama-cpp", reboot=True)
    server.unit = lambda _: UnitState(active, "exit-code")
    assert server.live(20000) == []


def test_a_unit_that_died_until_its_start_limit_falls_back_at_once() -> None:
    server = life(idle, None, fallback_unit="llama-cpp", reboot=True)
    server.unit = lambda _: UnitState("failed", "start-limit-hit")
    assert [action for _, action in server.live(20000)] == ["fallback"]


def test_a_unit_that_was_to_start_again_and_failed_instead_falls_back() -> None:
    """What systemd 257 shows at the start limit: the result is that of the last failure."""
    server = life(idle, None, fallback_unit="llama-cpp")
    server.unit = lambda now: (
        UnitState("activating", "exit-code", restarts=4) if now < 1100 else UnitState("failed", "exit-code", restarts=5)
    )
    assert [action for _, action in server.live(3600)] == ["fallback"]


def test_a_unit_that_a_person_stopped_and_that_failed_of_it_is_left_alone() -> None:
    server = life(idle, PASSED, fallback_unit="llama-cpp")
    states = {
        0: UnitState("active", "success", "1"),
        1: UnitState("deactivating"),
        2: UnitState("failed", "signal", restarts=3),
    }
    server.unit = lambda now: states[min(2, int(now - 1000) // 100)]
    assert server.live(3600) == []


def test_the_ladder_is_climbed_rung_by_rung() -> None:
    server = life(stuck, None, fallback_unit="llama-cpp", reboot=True)
    server.live(3600)
    server.standing_in = False  # the fallback does not live either
    assert [action for _, action in server.live(1800)][:5] == ["restart", "restart", "fallback", "reboot", "give up"]


def test_without_fallback_and_reboot_the_watchdog_gives_up_and_says_so_once() -> None:
    actions = [action for _, action in life(stuck, None).live(7200.0)]
    assert actions[:3] == ["restart", "restart", "give up"]
    assert actions.count("give up") == 1


def test_a_reboot_is_not_repeated_within_its_interval() -> None:
    server = life(stuck, None, restarts=0, reboot=True, reboot_interval_hours=24.0)
    server.state = State(rebooted_wall=1e9)
    assert [action for _, action in server.live(3600)] == ["give up"]
    assert "reboot" in [action for _, action in server.live(86400)]


def test_a_server_that_comes_back_by_itself_is_forgiven() -> None:
    server = life(stuck, None, restarts=0)
    assert [action for _, action in server.live(600)] == ["give up"]
    server.see, server.answer = idle, lambda _: PASSED
    server.live(600)
    assert not server.state.gave_up


def test_a_start_begins_with_a_clean_slate() -> None:
    server = life(stuck, None)
    server.live(100)
    server.starts += 1  # somebody restarted it
    assert server.live(100) == []


def test_after_so_many_requests_the_server_is_restarted_when_nobody_waits() -> None:
    server = life(lambda now: Counters(now, 0, 0, (now - 1000) / 10), PASSED, restart_after_requests=100)
    ((when, action), *_) = server.live(1100)
    assert action == "planned restart"
    assert 1000 <= when - 1000 <= 1020


def test_a_planned_restart_waits_for_the_requests_in_flight() -> None:
    def see(now: float) -> Counters:
        return Counters(now * 40, 1 if now < 9000 else 0, 0, 500)

    ((when, action), *_) = life(see, PASSED, restart_after_hours=1.0).live(10000)
    assert (when, action) == (9000.0, "planned restart")


def test_a_planned_restart_is_no_rung_of_the_ladder() -> None:
    server = life(idle, PASSED, restart_after_hours=0.5)
    actions = [action for _, action in server.live(7300)]
    assert actions == ["planned restart"] * 4
    assert server.state.restarts == ()


def test_an_engine_without_counters_is_never_restarted_by_plan() -> None:
    assert life(lambda _: None, PASSED, names=None, restart_after_hours=1.0).live(20000) == []


@hypothesis(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 50), st.integers(1, 900)), min_size=30, max_size=200))
def test_any_load_that_moves_is_never_a_hang(load: list[tuple[int, int, int]]) -> None:
    """Each entry is what one minute looks like: running, waiting, tokens; questions get no answer at all."""
    total = 0.0
    totals = [total := total + tokens for _, _, tokens in load]

    def see(now: float) -> Counters:
        minute = min(int((now - 1000) // 60), len(load) - 1)
        return Counters(totals[minute], max(1, load[minute][0]), load[minute][1], 0)

    assert life(see, None).live(60.0 * (len(load) - 1)) == []


@hypothesis(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["idle", "stuck", "busy", "silent"]), min_size=1, max_size=40),
    st.lists(st.sampled_from([PASSED, WRONG, DEAD, None]), min_size=1, max_size=40),
    st.integers(0, 4),
    st.booleans(),
)
def test_no_life_whatever_gets_more_restarts_than_are_allowed(
    seen: list[str],
    answers: list[Judgement | None],
    restarts: int,
    reboot: bool,  # noqa: FBT001
) -> None:
    views: dict[str, Callable[[float], Counters | None]] = {
        "idle": idle,
        "stuck": stuck,
        "busy": busy,
        "silent": lambda _: None,
    }
    server = Life(
        settings(**LIMITS, restarts=restarts, reboot=reboot),
        lambda now: views[seen[int(now // 300) % len(seen)]](now),
        lambda now: answers[int(now // 60) % len(answers)],
    )
    actions = server.live(20000)
    times = [when for when, action in actions if action == "restart"]
    for start in times:
        assert sum(start <= when < start + 7200.0 for when in times) <= restarts
    assert sum(action == "reboot" for _, action in actions) <= (1 if reboot else 0)
