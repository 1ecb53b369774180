"""``llmflake plan``: whether a deployment fits and how fast it will be, before anything is written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from generator.console import JSON, SPEC, Examples, echo, guarded, print_json, print_problems, problems_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.errors import Problem
    from generator.plan.result import Plan
    from generator.show.lines import Line, Span
    from generator.spec.load import Spec

_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "label": {"bold": True},
    "faint": {"dim": True},
    "good": {"fg": "green", "bold": True},
    "warn": {"fg": "yellow", "bold": True},
    "bad": {"fg": "red", "bold": True},
    "weights": {"fg": "blue"},
    "KV cache": {"fg": "cyan"},
    "recurrent state": {"fg": "green"},
    "compute buffers": {"fg": "magenta"},
    "activations and graphs": {"fg": "magenta"},
    "headroom": {"dim": True},
    "the rest": {"dim": True},
    "too much": {"fg": "red", "bold": True},
    "system": {"dim": True},
}


@click.command(
    cls=Examples,
    examples=("llmflake plan examples/aspen1.toml", "llmflake plan deployment.toml --html plan.html"),
)
@SPEC
@JSON
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page of its own too, which shows the memory and the speed as charts.",
)
def plan(spec: str, *, as_json: bool, html: Path | None) -> None:
    """Show whether SPEC fits its machines and how fast it will be, beside what was measured of the same models.

    A plan that does not fit is shown all the same, and what is wrong with it after it. Exits with 0 where every service
    is feasible, and what it needs is accepted; with 1 otherwise.
    """

    def run() -> tuple[Spec, Plan, tuple[Problem, ...]]:
        from generator.plan import findings
        from generator.plan.planner import make_plan
        from generator.spec.load import load_spec, problems_of

        loaded = load_spec(spec)
        return loaded, make_plan(loaded.deployment, loaded.placement), problems_of(loaded, findings.check)

    loaded, planned, problems = guarded(run, as_json=as_json)
    written = html is not None and guarded(lambda: _write_page(planned, loaded, html), as_json=as_json)
    if as_json:
        from generator.show.data import plan_data

        print_json({**plan_data(planned), "problems": problems_json(problems)})
    else:
        from generator.show.table import table

        _print_lines(table(planned, shutil.get_terminal_size((100, 24)).columns))
        if html is not None:
            echo(f"\n{html}: {'written' if written else 'unchanged'}")
        print_problems(problems)
    if problems:
        sys.exit(1)


def _write_page(planned: Plan, loaded: Spec, path: Path) -> bool:
    from generator.emit.single import write_file
    from generator.show.page import page

    return write_file(path, page(planned, loaded.deployment.clan.name))


def _print_lines(lines: Iterable[Line]) -> None:
    for line in lines:
        echo("".join(_styled(span) for span in line))


def _styled(span: Span) -> str:
    return click.style(span.text, **_STYLES[span.mark]) if span.mark and span.text.strip() else span.text
