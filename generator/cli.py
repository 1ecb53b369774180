"""The command line; with ``commands/`` the only place that prints or exits."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from generator import __version__, report, resources
from generator.commands.loaded import checked, locked
from generator.commands.lock import LOCK, lock
from generator.commands.plan import plan
from generator.commands.verify import verify
from generator.console import JSON, SPEC, Examples, echo, guarded, print_json
from generator.errors import printable

if TYPE_CHECKING:
    from generator.emit.changes import Changes
    from generator.spec.load import Spec


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="llmflake")
def main() -> None:
    """Turn one spec of machines, models and LLM services into a checked Nix flake for clan.

    SPEC is a TOML file, a JSON file, or "-" for standard input.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal has the lines of a tree


def _directory(_context: click.Context, _parameter: click.Parameter, value: str) -> Path:
    if not value:  # as of -o "$OUT" where nothing set OUT; the current directory is "."
        raise click.BadParameter("the name is empty")
    try:
        Path(value).absolute()
    except FileNotFoundError as error:
        raise click.BadParameter("the directory that you are in is gone; go to another") from error
    return Path(value)


main.add_command(plan)
main.add_command(lock)
main.add_command(verify)


@main.command(
    cls=Examples,
    examples=(
        "llmflake generate examples/aspen1.toml -o out",
        "llmflake generate deployment.toml -o . --check",
    ),
)
@SPEC
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False),
    callback=_directory,
    help="The directory of the flake; created if it is not there.",
)
@LOCK
@click.option(
    "--check", is_flag=True, help="Write nothing; print what would change, and exit with 1 if anything would."
)
@JSON
def generate(spec: str, output: Path, lock_file: Path | None, *, check: bool, as_json: bool) -> None:
    """Write the flake of SPEC into a directory.

    Files that llmflake did not write are never touched. A spec that is wrong, or a failure in the middle, changes
    nothing. What the lock does not pin is an error that names the command to run: this one uses no network.
    """
    from generator.emit import changes as planned
    from generator.emit import tree, write

    def run() -> tuple[Spec, Changes]:
        loaded = locked(spec, lock_file)
        files = tree.render(loaded, planned.read_existing(output, tree.LOCK))
        return loaded, planned.plan_changes(output, files, unmarked=frozenset({tree.LOCK}))

    loaded, changes = guarded(run, as_json=as_json)
    if not check:
        guarded(lambda: write.apply(changes), as_json=as_json)
    if as_json:
        print_json({"output": str(output), **_changes_json(changes), "written": not check, "notes": list(loaded.notes)})
    elif check:
        _print_diff(planned.unified_diff(changes))
    else:
        _print_written(output, changes, loaded)
    if check and not changes.empty:
        sys.exit(1)


@main.command(cls=Examples, examples=("llmflake validate examples/aspen1.toml", "llmflake validate - < spec.toml"))
@SPEC
@JSON
def validate(spec: str, *, as_json: bool) -> None:
    """Check SPEC: print every problem and its place.

    Each comes with what to do. Nothing is written.
    """
    loaded = guarded(lambda: checked(spec), as_json=as_json)
    deployment = loaded.deployment
    counts = {
        "machines": len(deployment.machines),
        "models": len(deployment.models),
        "services": len(deployment.services),
    }
    if as_json:
        print_json({"problems": [], **counts})
    else:
        summary = ", ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in counts.items())
        echo(f"{click.style('ok', fg='green')}: {printable(loaded.source.name)}: {summary}")


@main.command(cls=Examples, examples=("llmflake schema > deployment.schema.json",))
def schema() -> None:
    """Print the JSON Schema of specs, for editors and other tools."""
    echo(resources.schema_path().read_text(encoding="utf-8").removesuffix("\n"))


def _changes_json(changes: Changes) -> dict[str, Any]:
    return {
        kind: [str(path) for path in getattr(changes, kind)] for kind in ("created", "updated", "unchanged", "deleted")
    }


def _print_diff(diff: str) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        echo(click.style(line, fg=colours.get(line[:1]), bold=line.startswith(("+++", "---")) or None))


def _print_written(output: Path, changes: Changes, loaded: Spec) -> None:
    echo(report.tree(printable(str(output)), [*changes.created, *changes.updated, *changes.unchanged]))
    counts = [f"{len(getattr(changes, kind))} {kind}" for kind in ("created", "updated", "deleted", "unchanged")]
    echo(f"\n{', '.join(count for count in counts if not count.startswith('0 '))}\n")
    for note in loaded.notes:
        echo(f"{click.style('note', fg='yellow')}: {note}\n")
    is_repository = (output / ".git").exists()
    echo(report.next_steps(str(output), loaded.deployment.machines, is_repository=is_repository))
