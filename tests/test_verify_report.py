"""The acceptance report in its three forms, its exit code, and a later one beside it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml

from generator.verify.baseline import drift, read
from generator.verify.report import Report, to_json, to_junit, to_markdown
from generator.verify.verdict import Criterion, Verdict, exit_code, short

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPEED = Criterion("speed", "decode", "llm", "at least 10 tokens/s", "the plan")
FIRST = Criterion("speed", "first-token", "llm", "within 5 s", "the plan")
MEMORY = Criterion("system", "gtt", "aspen1", "117760 MiB", "spec")
PASSED = SPEED.passed("20.0 tokens/s", 20.0, "tokens/s")
FAILED = MEMORY.failed("62 MiB | <half>", "reboot")
ANYTHING = st.text(st.characters())  # halves of surrogate pairs among them
UNSEEN = FIRST.not_checked("no connection", "see ssh")


def report(*verdicts: Verdict) -> Report:
    return Report("aspen1", "aspen1.toml", "2026-11-26T12:00:00+00:00", "0.1.0", verdicts)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [([PASSED], 0), ([PASSED, FAILED, UNSEEN], 1), ([FAILED], 1), ([PASSED, UNSEEN], 2), ([UNSEEN], 2), ([], 2)],
)
def test_the_exit_code_is_that_of_the_worst(verdicts: list[Verdict], code: int) -> None:
    assert exit_code(verdicts) == code


def test_markdown_says_what_was_expected_measured_and_what_to_do() -> None:
    text = to_markdown(report(PASSED, FAILED, UNSEEN))
    assert text.startswith("# Acceptance of aspen1: not accepted\n")
    assert "1 passed, 1 failed, 1 not checked." in text
    assert "| system.aspen1.gtt | 117760 MiB | 62 MiB \\| &lt;half> | **failed** | spec |" in text
    assert "- system.aspen1.gtt: reboot\n" in text


def test_json_holds_every_field() -> None:
    data = json.loads(to_json(report(PASSED)))
    assert data["conclusion"] == "accepted"
    assert data["criteria"] == [
        {
            "id": "speed.llm.decode",
            "phase": "speed",
            "subject": "llm",
            "expected": "at least 10 tokens/s",
            "rule": "the plan",
            "outcome": "passed",
            "measured": "20.0 tokens/s",
            "advice": "",
            "value": 20.0,
            "unit": "tokens/s",
        }
    ]


@settings(deadline=None)
@given(ANYTHING, ANYTHING)
def test_junit_xml_is_read_again_whatever_a_model_said(measured: str, advice: str) -> None:
    xml = JUnitXml.fromstring(to_junit(report(PASSED, MEMORY.failed(measured, advice), UNSEEN)).encode())
    suites = {suite.name: suite for suite in xml}
    assert set(suites) == {"llmflake.aspen1.speed", "llmflake.aspen1.system"}
    assert (suites["llmflake.aspen1.system"].failures, suites["llmflake.aspen1.speed"].skipped) == (1, 1)


@settings(deadline=None)
@given(ANYTHING, ANYTHING)
def test_markdown_keeps_its_table_whatever_a_model_said(measured: str, advice: str) -> None:
    text = to_markdown(report(PASSED, MEMORY.failed(measured, advice)))
    text.encode()
    assert all(char.isprintable() or char == "\n" for char in text)
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows] == [6] * 4


def test_a_picture_that_a_model_asks_for_is_text() -> None:
    text = to_markdown(report(MEMORY.failed("![x](http://example.org) `|` \x1b[31m", "reboot")))
    assert "| !\\[x](http://example.org) \\`\\|\\` \\\\x1b\\[31m |" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(6.5398, "6.54"), (5.0, "5"), (0.0423, "0.0423"), (999.4, "999"), (1e5, "100000")],
)
def test_numbers_for_people_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize("form", [to_markdown, to_json, to_junit])
def test_a_specs_name_need_not_be_utf8(form: Callable[[Report], str]) -> None:
    strange = Report("aspen1", "sp\udcffec.toml", "2026-11-26T12:00:00+00:00", "0.1.0", (PASSED,))
    form(strange).encode()


def test_a_note_is_in_every_report_and_is_no_verdict() -> None:
    noted = Report("aspen1", "a.toml", "2026-11-26T12:00:00+00:00", "0.1.0", (PASSED,), ("llm serves <x>: beware",))
    assert "\n**Note:** llm serves &lt;x>: beware.\n\n| criterion" in to_markdown(noted)
    assert json.loads(to_json(noted))["notes"] == ["llm serves <x>: beware"]
    assert json.loads(to_json(noted))["conclusion"] == "accepted"
    (suite,) = JUnitXml.fromstring(to_junit(noted).encode())
    properties = suite.properties()  # type: ignore[no-untyped-call]
    assert [(one.name, one.value) for one in properties] == [("note", "llm serves <x>: beware")]
    assert (suite.tests, suite.failures, suite.skipped) == (1, 0, 0)


def earlier(folder: Path, *verdicts: Verdict) -> Path:
    path = folder / "earlier.json"
    path.write_text(to_json(report(*verdicts)))
    return path


@pytest.mark.parametrize(
    ("now", "outcome", "measured"),
    [
        (SPEED.passed("19.0 tokens/s", 19.0, "tokens/s"), "passed", "1 criteria compared"),
        (SPEED.passed("17.0 tokens/s", 17.0, "tokens/s"), "failed", "15% less"),
        (SPEED.passed("40.0 tokens/s", 40.0, "tokens/s"), "passed", "none is worse"),
        (SPEED.failed("9.0 tokens/s", "look", 9.0, "tokens/s"), "failed", "failed: 9.0 tokens/s"),
        (SPEED.not_checked("gone"), "failed", "not checked: gone"),
        (FIRST.passed("1 s", 1.0, "s"), "not checked", "no criterion is in both"),
    ],
)
def test_what_got_worse_is_named(now: Verdict, outcome: str, measured: str, tmp_path: Path) -> None:
    (found,) = drift(read(earlier(tmp_path, PASSED)), [now])
    assert (found.outcome, measured in found.measured) == (outcome, True), found


def test_a_longer_time_is_worse(tmp_path: Path) -> None:
    before = read(earlier(tmp_path, FIRST.passed("1 s", 1.0, "s")))
    (found,) = drift(before, [FIRST.passed("1.2 s", 1.2, "s")])
    assert "20% more" in found.measured


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"x\.json is no report"):
        read(path)
