"""What the commands share: their arguments, JSON, and how problems are printed before the program exits."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from generator import report
from generator.errors import GeneratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from generator.errors import Problem
    from generator.spec.load import Spec

_Result = TypeVar("_Result")
SPEC = click.argument("spec", metavar="SPEC")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for machines.")


class Examples(click.Command):
    """A command whose help ends with examples, printed as they are to be typed."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:  # noqa: ANN401
        """Take the lines of the examples beside what click takes."""
        super().__init__(*args, **kwargs)
        self._examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples after the rest of the help."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self._examples:
                formatter.write_text(example)


def load_fitting(spec: str) -> Spec:
    """Return the spec, held against the planner too: one whose plan does not fit, or is not accepted, is wrong.

    Raises SpecError with every problem.
    """
    from generator.plan import findings
    from generator.spec.load import load_spec

    return load_spec(spec, findings.check)


def guarded(run: Callable[[], _Result], *, as_json: bool) -> _Result:
    """Return what ``run`` returns; print its problems and exit with 1 when it has any."""
    try:
        return run()
    except GeneratorError as error:
        _refuse(error, as_json=as_json)


def _refuse(error: GeneratorError, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"problems": problems_json(error.problems)})
    else:
        print_problems(error.problems)
    sys.exit(1)


def print_problems(problems: Iterable[Problem]) -> None:
    """Print problems on standard error, one a line, sorted by place."""
    for problem in sorted(problems):
        place, path = click.style(str(problem.location), bold=True), f"{problem.path}: " if problem.path else ""
        hint = f"; {click.style(problem.hint, fg='cyan')}" if problem.hint else ""
        click.echo(f"{place}: {path}{problem.what}{hint}", err=True)


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems for machines, sorted by place."""
    return [report.problem_json(problem) for problem in sorted(problems)]


def print_json(data: dict[str, Any]) -> None:
    """Print JSON on standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
