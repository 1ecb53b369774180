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
    from generator.plan.ask import Known
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
    examples=(
        "llmflake plan examples/aspen1.toml",
        "llmflake plan deployment.toml --html plan.html",
        "llmflake plan deployment.toml --config my-model=model/config.json",
        "llmflake plan deployment.toml --compare",
    ),
)
@SPEC
@JSON
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page of its own too, which shows the memory and the speed as charts.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="[NAME=]PATH",
    help="Read a model that the catalog does not know from its files: a GGUF file, a config.json with the index or the "
    "weights beside it, or a folder of them.",
)
@click.option("--hub", is_flag=True, help="Ask the hub of models that the catalog does not know; no weights come down.")
@click.option("--compare", is_flag=True, help="Rank engines, formats and contexts for each service's model instead.")
def plan(spec: str, *, as_json: bool, html: Path | None, configs: tuple[str, ...], hub: bool, compare: bool) -> None:
    """Show whether SPEC fits, and how fast it will be.

    Estimates stand beside what was measured of the same models on the same hardware. A plan that does not fit is shown
    all the same, and what is wrong with it after it. Exits with 0 where every service fits as far as is known, and what
    is slow or unproven is accepted; with 1 otherwise.
    """
    if compare and html is not None:
        raise click.UsageError("--html shows a plan, and --compare none: leave one of them out")

    def load() -> tuple[Spec, dict[str, Known]]:
        from generator.commands.given import ask_hub, read_files
        from generator.spec.load import load_spec

        loaded = load_spec(spec)
        given = read_files(loaded.deployment, configs)
        return loaded, given | (ask_hub(loaded.deployment, given) if hub else {})

    loaded, given = guarded(load, as_json=as_json)
    if compare:
        _compare(loaded, given, as_json=as_json)
        return
    planned, problems = guarded(lambda: _plan(loaded, given), as_json=as_json)
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


def _plan(loaded: Spec, given: dict[str, Known]) -> tuple[Plan, tuple[Problem, ...]]:
    from generator.plan import findings
    from generator.plan.planner import make_plan
    from generator.spec.load import problems_of

    planned = make_plan(loaded.deployment, loaded.placement, given)
    return planned, problems_of(loaded, lambda context: findings.check(context, given))


def _compare(loaded: Spec, given: dict[str, Known], *, as_json: bool) -> None:
    from generator.plan.compare import compare
    from generator.show.ranking import ranking, ranking_data

    ranked = []
    for machine in loaded.deployment.machines.values():
        for service in loaded.placement.services_on[machine.name]:
            model = loaded.deployment.models.get(service.model or "")
            if model is not None:
                options = compare(service, machine, model, given.get(model.name))
                ranked.append((service.name, machine.name, options))
    if as_json:
        print_json({"comparisons": [ranking_data(*entry) for entry in ranked]})
        return
    for index, entry in enumerate(ranked):
        _print_lines([*([()] if index else []), *ranking(*entry)])
    if not ranked:
        echo("no service has a model that llmflake knows: there is nothing to compare")


def _write_page(planned: Plan, loaded: Spec, path: Path) -> bool:
    from generator.emit.single import write_file
    from generator.show.page import page

    return write_file(path, page(planned, loaded.deployment.clan.name))


def _print_lines(lines: Iterable[Line]) -> None:
    for line in lines:
        echo("".join(_styled(span) for span in line))


def _styled(span: Span) -> str:
    return click.style(span.text, **_STYLES[span.mark]) if span.mark and span.text.strip() else span.text
