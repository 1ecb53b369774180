"""A known question: what each reply proves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.machine.exchange import Fault, Reply
from generator.machine.known import Known, holds, judge

KNOWN = Known(minimum_rate=10.0)


def reply(**fields: Any) -> Reply:  # noqa: ANN401 - any field
    return Reply(
        **{"text": "2 + 2 = 4", "model": "m", "finish": "stop", "tokens": 8, "first": 0.1, "last": 0.2, **fields}
    )


@pytest.mark.parametrize(
    ("fields", "outcome", "why"),
    [
        ({}, "passed", "'2 + 2 = 4'"),
        ({"last": 1.0}, "slow", "7.8 tokens/s, less than 10"),
        ({"text": "It is 5."}, "wrong", "no '4'"),
        ({"text": "14"}, "wrong", "no '4'"),
        ({"text": ""}, "wrong", "no text"),
        ({"text": "4 " * 50}, "wrong", "repeated"),
        ({"model": "other"}, "wrong", "'other' answered instead of 'm'"),
        ({"text": "", "reasoning": "well, let me see", "finish": "length", "tokens": 512}, "wrong", "took all 512"),
        ({"text": "", "reasoning": "/" * 99, "finish": "length"}, "wrong", "'/' repeated 99 times"),
        ({"text": "4", "reasoning": "two and two"}, "passed", "'4'"),
        ({"fault": Fault("timeout", "nothing came")}, "late", "nothing came"),
        ({"fault": Fault("status", "EngineDeadError", 500)}, "dead", "HTTP 500"),
        ({"fault": Fault("status", "overloaded", 503)}, "busy", "HTTP 503"),
        ({"fault": Fault("status", "slow down", 429)}, "busy", "HTTP 429"),
        ({"fault": Fault("status", "Unauthorized", 401)}, "refused", "HTTP 401"),
        ({"fault": Fault("cut", "ended")}, "dead", "cut: ended"),
    ],
)
def test_a_reply_is_judged(fields: dict[str, Any], outcome: str, why: str) -> None:
    judgement = judge(KNOWN, reply(**fields), "m")
    assert (judgement.outcome, why in judgement.why) == (outcome, True), judgement


def test_a_server_without_a_name_may_answer_under_any() -> None:
    assert judge(KNOWN, reply(model="whatever"), None).outcome == "passed"


def test_an_answer_too_short_to_measure_is_not_slow() -> None:
    assert judge(KNOWN, reply(text="4", tokens=1, first=0.1, last=0.1), "m").outcome == "passed"


@pytest.mark.parametrize("text", ["4", "4.", "= 4\n", "**4**", "(4)", "2+2=4", "four: 4!"])
def test_the_answer_is_found_as_a_word(text: str) -> None:
    assert holds(text, "4")


@pytest.mark.parametrize("text", ["14", "40", "4.5", "0.4", "4,000", "x4"])
def test_the_answer_is_not_found_inside_another(text: str) -> None:
    assert not holds(text, "4")


@settings(deadline=None)
@given(st.text(), st.text(min_size=1))
def test_any_answer_can_be_looked_for(text: str, answer: str) -> None:
    assert holds(answer, answer) is True
    holds(text, answer)


def test_the_request_says_what_is_asked() -> None:
    body = KNOWN.request("m").body()
    assert body["model"] == "m"
    assert body["messages"] == [{"role": "user", "content": "What is 2+2? Answer with the number alone."}]
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (512, 0, True)
    assert "model" not in KNOWN.request(None).body()
