"""The acceptance report: Markdown for people, JSON for the next report, JUnit XML for CI."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.errors import printable
from generator.verify.verdict import ACCEPTED, NOT_ACCEPTED, Verdict, exit_code

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARKS = {"passed": "passed", "failed": "**failed**", "not checked": "not checked"}


@dataclass(frozen=True, slots=True)
class Report:
    """The verdicts on a machine, and when it was looked at (ISO 8601); notes are what no verdict is given on."""

    machine: str
    spec: str
    when: str
    version: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def conclusion(self) -> str:
        """Return accepted, not accepted, or could not check."""
        code = exit_code(self.verdicts)
        return {ACCEPTED: "accepted", NOT_ACCEPTED: "not accepted"}.get(code, "could not check everything")


def to_json(report: Report) -> str:
    """Return a report as JSON, which --baseline reads again."""
    data: dict[str, Any] = {
        "machine": report.machine,
        "spec": report.spec,
        "when": report.when,
        "llmflake": report.version,
        "conclusion": report.conclusion,
        "notes": list(report.notes),
        "criteria": [
            {
                "id": verdict.criterion.id,
                "phase": verdict.criterion.phase,
                "subject": verdict.criterion.subject,
                "expected": verdict.criterion.expected,
                "rule": verdict.criterion.rule,
                "outcome": verdict.outcome,
                "measured": verdict.measured,
                "advice": verdict.advice,
                "value": verdict.value,
                "unit": verdict.unit,
            }
            for verdict in report.verdicts
        ],
    }
    return json.dumps(data, indent=2) + "\n"


def summary(verdicts: Iterable[Verdict]) -> str:
    """Return how many passed, failed and were not checked."""
    counts: Counter[str] = Counter(verdict.outcome for verdict in verdicts)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in _MARKS if counts[outcome]) or "nothing was checked"


def to_markdown(report: Report) -> str:
    """Return a report as Markdown."""
    lines = [
        f"# Acceptance of {report.machine}: {report.conclusion}",
        "",
        f"{_cell(report.spec)}, {report.when}, llmflake {report.version}. {summary(report.verdicts)}.",
        "",
        *(line for note in report.notes for line in (f"**Note:** {_cell(note)}.", "")),
        "| criterion | expected | measured | verdict | rule |",
        "| --- | --- | --- | --- | --- |",
    ]
    for verdict in report.verdicts:
        criterion = verdict.criterion
        cells = (criterion.id, criterion.expected, verdict.measured, _MARKS[verdict.outcome], criterion.rule)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    to_do = [verdict for verdict in report.verdicts if verdict.advice]
    if to_do:
        lines += ["", "## What to do", ""]
        lines += [f"- {_cell(verdict.criterion.id)}: {_cell(verdict.advice)}" for verdict in to_do]
    return "\n".join(lines) + "\n"


# What would end a cell, or be more than text: a model's answers are in here, and "![](…)" is fetched by who looks.
_ESCAPES = str.maketrans({**{char: f"\\{char}" for char in "\\|`["}, "<": "&lt;"})


def _cell(text: str) -> str:
    """Return a text on one line; what cannot be printed, as half of a surrogate pair, as an escape."""
    return printable(" ".join(text.split())).translate(_ESCAPES)


def to_junit(report: Report) -> str:
    """Return a report as JUnit XML: a suite a phase, a case a criterion."""
    from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

    xml = JUnitXml()
    for phase in dict.fromkeys(verdict.criterion.phase for verdict in report.verdicts):
        suite = TestSuite(f"llmflake.{report.machine}.{phase}")
        for note in report.notes:
            suite.add_property("note", _plain(note))
        for verdict in report.verdicts:
            if verdict.criterion.phase != phase:
                continue
            case = TestCase(_plain(verdict.criterion.id), f"llmflake.{report.machine}")
            case.system_out = _plain(f"{verdict.criterion.expected}: {verdict.measured} ({verdict.criterion.rule})")
            if verdict.outcome == "failed":
                case.result = [Failure(_plain(f"{verdict.measured}; {verdict.advice}"))]
            elif verdict.outcome == "not checked":
                case.result = [Skipped(_plain(f"{verdict.measured}; {verdict.advice}"))]
            suite.add_testcase(case)
        xml.add_testsuite(suite)
    text: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    return text.decode("utf-8")


def _plain(text: str) -> str:
    """Write as escapes what XML cannot hold: a broken model's answers have it."""
    return "\n".join(map(printable, text.split("\n")))


FORMATS = {".md": to_markdown, ".json": to_json, ".xml": to_junit}
