"""How commands speak: shared arguments, results, problems; only ``cli.py`` and its commands print or exit besides."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from generator import report
from generator.errors import GeneratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from generator.errors import Problem

_Result = TypeVar("_Result")
_PATIENCE = 1.0  # seconds after which people want to see that something is going on
# Files are not looked at here: what is wrong with one, the reader of specs says.
SPEC = click.argument("spec", metavar="SPEC", type=click.Path(allow_dash=True, readable=False))
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for machines.")


class Examples(click.Command):
    """A command whose help ends with examples, printed as they are to be typed."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:  # noqa: ANN401
        """Take the lines of the examples beside what click takes."""
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples after the rest of the help."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self.examples:  # never wrapped: a line that is copied must be the whole command
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def guarded(run: Callable[[], _Result], *, as_json: bool) -> _Result:
    """Return what ``run`` returns; print its problems and exit with 1 when it has any."""
    try:
        return run()
    except GeneratorError as error:
        refuse(error, as_json=as_json)


def refuse(error: GeneratorError, *, as_json: bool) -> NoReturn:
    """Print problems and exit with 1."""
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
        echo(f"{place}: {path}{problem.what}{hint}", err=True)


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems for machines, sorted by place."""
    return [report.problem_json(problem) for problem in sorted(problems)]


def print_json(data: dict[str, Any]) -> None:
    """Print a result for machines."""
    echo(json.dumps(data, indent=2))  # in ASCII: a file's name need not be UTF-8


def echo(text: str, *, err: bool = False) -> None:
    """Print a line. Where it cannot be printed, as on a full disk, end with 1 and say so."""
    try:
        click.echo(text, err=err)
    except OSError as error:
        from generator.emit.present import reason

        if error.errno == errno.EPIPE:
            raise  # nobody reads any more, and click ends quietly
        stream = sys.stderr if err else sys.stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python would fail once more at its end
        sys.exit(f"<stdout>: cannot be written: {reason(error)}; free some space, or print elsewhere")


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
