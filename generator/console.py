"""How commands speak: results, problems and progress; beside cli.py and its commands nothing prints or exits."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from generator import report
from generator.errors import GeneratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Result = TypeVar("_Result")
_PATIENCE = 1.0  # seconds after which people want to see that something is going on


class Examples(click.Command):
    """A command whose help ends with examples, printed as they are to be typed."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:  # noqa: ANN401, D107
        super().__init__(*args, **kwargs)
        self._examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self._examples:
                formatter.write_text(example)


def guarded(run: Callable[[], _Result], *, as_json: bool) -> _Result:
    """Return what ``run`` returns; print its problems and exit with 1 when it has any."""
    try:
        return run()
    except GeneratorError as error:
        refuse(error, as_json=as_json)


def refuse(error: GeneratorError, *, as_json: bool) -> NoReturn:
    """Print problems and exit with 1."""
    if as_json:
        print_json({"problems": [report.problem_json(problem) for problem in sorted(error.problems)]})
    else:
        for problem in sorted(error.problems):
            place, path = click.style(str(problem.location), bold=True), f"{problem.path}: " if problem.path else ""
            hint = f"; {click.style(problem.hint, fg='cyan')}" if problem.hint else ""
            click.echo(f"{place}: {path}{problem.what}{hint}", err=True)
    sys.exit(1)


def print_json(data: dict[str, Any]) -> None:
    """Print a result for machines."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows how far work has come, as a bar on stderr; only to people, and not within a second."""
    begun = time.monotonic()
    bar: Any = None

    def show(name: str, done: int, of: int) -> None:
        nonlocal bar
        if not sys.stderr.isatty() or time.monotonic() - begun < _PATIENCE:
            return
        if bar is not None and bar.length != of:
            bar.render_finish()
            bar = None
        if bar is None:
            bar = click.progressbar(length=of, file=sys.stderr, item_show_func=lambda item: item or "")
            bar.render_progress()
        bar.update(done - bar.pos, name or None)

    try:
        yield show
    finally:
        if bar is not None:
            bar.render_finish()
