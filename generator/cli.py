"""The command line: the only place that prints or exits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from generator import __version__, report, resources
from generator.commands.verify import verify
from generator.errors import GeneratorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.emit.changes import Changes
    from generator.spec.load import Spec

_Result = TypeVar("_Result")
_SPEC = click.argument("spec", metavar="SPEC")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for machines.")


class _Examples(click.Command):
    """A command whose help ends with examples, printed as they are to be typed."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self._examples:
                formatter.write_text(example)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="llmflake")
def main() -> None:
    """Turn one spec of machines, models and LLM services into a checked Nix flake for clan.

    SPEC is a TOML file, a JSON file, or "-" for standard input.
    """


@main.command(
    cls=_Examples,
    examples=(
        "llmflake generate examples/aspen1.toml -o out",
        "llmflake generate deployment.toml -o . --check",
    ),
)
@_SPEC
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The directory of the flake; created if it is not there.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; print what would change, and exit with 1 if anything would."
)
@_JSON
def generate(spec: str, output: Path, *, check: bool, as_json: bool) -> None:
    """Write the flake of SPEC into a directory.

    Files that llmflake did not write are never touched. A spec that is wrong, or a failure in the middle, changes
    nothing.
    """
    from generator.emit import changes as planned
    from generator.emit import tree, write

    def run() -> tuple[Spec, Changes]:
        loaded = _load(spec)
        files = tree.render(loaded, planned.read_existing(output, tree.LOCK))
        return loaded, planned.plan_changes(output, files, unmarked=frozenset({tree.LOCK}))

    loaded, changes = _guarded(run, as_json=as_json)
    if not check:
        _guarded(lambda: write.apply(changes), as_json=as_json)
    if as_json:
        _print_json({"output": str(output), **_changes_json(changes), "written": not check})
    elif check:
        _print_diff(planned.unified_diff(changes))
    else:
        _print_written(output, changes, loaded)
    if check and not changes.empty:
        sys.exit(1)


@main.command(cls=_Examples, examples=("llmflake validate examples/aspen1.toml", "llmflake validate - < spec.toml"))
@_SPEC
@_JSON
def validate(spec: str, *, as_json: bool) -> None:
    """Check SPEC, and print every problem that it has with its place and what to do."""
    loaded = read_spec(spec, as_json=as_json)
    deployment = loaded.deployment
    counts = {
        "machines": len(deployment.machines),
        "models": len(deployment.models),
        "services": len(deployment.services),
    }
    if as_json:
        _print_json({"problems": [], **counts})
    else:
        summary = ", ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in counts.items())
        click.echo(f"{click.style('ok', fg='green')}: {loaded.source.name}: {summary}")


@main.command(cls=_Examples, examples=("llmflake schema > deployment.schema.json",))
def schema() -> None:
    """Print the JSON Schema of specs, for editors and other tools."""
    click.echo(resources.schema_path().read_text(encoding="utf-8"), nl=False)


def read_spec(spec: str, *, as_json: bool) -> Spec:
    """Read a spec; print its problems and exit with 1 when it has any."""
    return _guarded(lambda: _load(spec), as_json=as_json)


def _load(spec: str) -> Spec:
    from generator.spec.load import load_spec

    return load_spec(spec)


def _guarded(run: Callable[[], _Result], *, as_json: bool) -> _Result:
    """Return what ``run`` returns; print its problems and exit with 1 when it has any."""
    try:
        return run()
    except GeneratorError as error:
        _refuse(error, as_json=as_json)


def _refuse(error: GeneratorError, *, as_json: bool) -> NoReturn:
    if as_json:
        _print_json({"problems": [report.problem_json(problem) for problem in sorted(error.problems)]})
    else:
        for problem in sorted(error.problems):
            place, path = click.style(str(problem.location), bold=True), f"{problem.path}: " if problem.path else ""
            hint = f"; {click.style(problem.hint, fg='cyan')}" if problem.hint else ""
            click.echo(f"{place}: {path}{problem.what}{hint}", err=True)
    sys.exit(1)


def _changes_json(changes: Changes) -> dict[str, Any]:
    return {
        kind: [str(path) for path in getattr(changes, kind)] for kind in ("created", "updated", "unchanged", "deleted")
    }


def _print_diff(diff: str) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        click.secho(line, fg=colours.get(line[:1]), bold=line.startswith(("+++", "---")))


def _print_written(output: Path, changes: Changes, loaded: Spec) -> None:
    click.echo(report.tree(str(output), [*changes.created, *changes.updated, *changes.unchanged]))
    counts = [f"{len(getattr(changes, kind))} {kind}" for kind in ("created", "updated", "deleted", "unchanged")]
    click.echo(f"\n{', '.join(count for count in counts if not count.startswith('0 '))}\n")
    click.echo(report.next_steps(str(output), loaded.deployment.machines))


def _print_json(data: dict[str, Any]) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


main.add_command(verify)
