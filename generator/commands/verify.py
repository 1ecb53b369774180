"""``llmflake verify``: what it prints, and how it exits. The work is in generator/verify."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from generator import __version__
from generator.commands.loaded import deployed
from generator.commands.said import Said, progress
from generator.console import JSON, SPEC, Examples, echo, guarded
from generator.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.verify.expectation import MachineExpectation
    from generator.verify.run import Plan
    from generator.verify.transport import Transport

_Read = TypeVar("_Read")
_UNITS = {"s": 1, "m": 60, "h": 3600}


def _duration(_: click.Context, __: click.Parameter, text: str) -> float:
    """Return the seconds of 90s, 10m or 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration; write 90s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def _reports(_: click.Context, __: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Refuse a report's name before anything is measured."""
    for path in paths:
        if path.suffix not in {".md", ".json", ".xml"}:
            raise click.BadParameter(f"{path} has none of the endings .md, .json and .xml, which say what to write")
        if not path.parent.is_dir():
            raise click.BadParameter(f"{path.parent} is no directory; create it first")
    return paths


@click.command(
    cls=Examples,
    examples=(
        "llmflake verify examples/aspen1.toml aspen1",
        "llmflake verify deployment.toml aspen1 --local --soak 1h --report acceptance.md --report acceptance.json",
        "llmflake verify deployment.toml aspen1 --phase speed --baseline acceptance.json",
        "clan vars get aspen1 llm-key-chat/api-key | llmflake verify deployment.toml aspen1 --key-file chat=-",
    ),
)
@SPEC
@click.argument("machine", metavar="MACHINE")
@click.option("--local", is_flag=True, help="Verify the machine that this runs on, without SSH.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(["system", "rocm", "service", "api", "speed", "metrics"]),
    help="Check this phase alone; give it again for more. All of them without it.",
)
@click.option(
    "--soak",
    callback=_duration,
    default="0s",
    metavar="DURATION",
    help="Load each service for so long at the end: 90s, 10m, 1h.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_reports,
    help="Write the report to a file: .md for people, .json for --baseline, .xml (JUnit) for CI.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Compare with an earlier report (.json), and name what got worse.",
)
@click.option(
    "--key-file",
    "key_files",
    multiple=True,
    metavar="[SERVICE=]FILE",
    help="The file that holds a service's API key, or that of all; - is standard input. Give it again for more.",
)
@click.option(
    "--ssh-config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Another configuration for ssh."
)
@JSON
def verify(
    spec: str,
    machine: str,
    *,
    local: bool,
    phases: tuple[str, ...],
    soak: float,
    reports: tuple[Path, ...],
    baseline: Path | None,
    key_files: tuple[str, ...],
    ssh_config: Path | None,
    as_json: bool,
) -> None:
    """Prove on MACHINE that SPEC runs there, and how well.

    One line a criterion as it is decided. Exits with 0 when accepted, 1 when not, 2 when not everything was checked.
    """
    from generator.verify import baseline as earlier
    from generator.verify import left
    from generator.verify import report as reporting
    from generator.verify.expectation import expectations
    from generator.verify.keys import read_keys
    from generator.verify.run import Plan as Checks
    from generator.verify.verdict import COULD_NOT_CHECK, PHASES, exit_code

    loaded = guarded(lambda: deployed(spec), as_json=as_json)
    if machine not in loaded.deployment.machines:
        known = ", ".join(loaded.deployment.machines)
        what = f"{printable(spec)} has no machine {printable(machine)}; it has {known}"
        raise click.BadParameter(what, param_hint="MACHINE")
    before = _given("--baseline", lambda: earlier.read(baseline) if baseline else None)
    keys = _given("--key-file", lambda: read_keys(key_files, loaded.placement.services_on[machine]))
    plan = Checks(tuple(phase for phase in PHASES if not phases or phase in phases), soak, keys)
    expected = expectations(loaded, machine)
    said = Said(quiet=as_json)
    said.notes(expected.notes)
    interrupted = False
    try:
        _check(expected, plan, said, before=before, local=local, ssh_config=ssh_config)
    except KeyboardInterrupt:
        interrupted = True
        said.take(left.interrupted(expected, plan, list(said.verdicts)))
        said.take([] if before is None else [earlier.interrupted()])
    report = reporting.Report(machine, spec, _now(), __version__, tuple(said.verdicts), expected.notes)
    written = [_write(path, reporting.FORMATS[path.suffix](report)) for path in reports]
    if as_json:
        echo(reporting.to_json(report).removesuffix("\n"))
    else:
        echo(f"\n{machine}: {report.conclusion}: {reporting.summary(said.verdicts)}")
    sys.exit(exit_code(said.verdicts) or (0 if all(written) and not interrupted else COULD_NOT_CHECK))


def _check(
    expected: MachineExpectation,
    plan: Plan,
    said: Said,
    *,
    before: dict[str, dict[str, Any]] | None,
    local: bool,
    ssh_config: Path | None,
) -> None:
    """Check the machine; compare with an earlier report, and let the machine record that it is accepted."""
    from generator.verify import accept, run
    from generator.verify import baseline as earlier
    from generator.verify.transport import Local, Ssh, TransportError

    machine = expected.machine.name
    with contextlib.ExitStack() as stack:
        tell = stack.enter_context(progress(plan.soak_seconds, quiet=said.quiet))
        transport: Transport | None = None
        system = ""
        try:
            target = expected.machine.target_host or machine
            transport = Local() if local else stack.enter_context(Ssh(target, ssh_config))
        except TransportError as error:
            said.take(run.unreachable(machine, phase, error) for phase in plan.phases)
        else:
            system = accept.running(transport)
            said.take(run.verify(expected, transport, plan, tell))
        if before is not None:
            said.take(earlier.drift(before, list(said.verdicts)))
        if transport is not None and (why := accept.record(transport, expected, system, plan, said.verdicts)):
            echo(f"{machine}: what it uses is not kept as the accepted state: {why}", err=True)


def _write(path: Path, text: str) -> bool:
    """Write a report; return whether that worked."""
    from generator.emit.present import reason

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"{printable(str(path))}: cannot be written: {reason(error)}"
        echo(f"{what}; free some space, or choose another file", err=True)
        return False
    return True


def _given(option: str, read: Callable[[], _Read]) -> _Read:
    """Return what an option's file holds; what is wrong with it is wrong usage."""
    try:
        return read()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")
