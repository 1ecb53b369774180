"""The command ``lock``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from generator.console import JSON, SPEC, Examples, echo, guarded, print_json, progress
from generator.errors import Location, LockError, Problem

if TYPE_CHECKING:
    from generator.lock.outdated import Newer
    from generator.lock.resolve import Options
    from generator.spec.pins import Pins

LOCK = click.option(
    "--lock",
    "lock_file",
    type=click.Path(path_type=Path),
    help="The lock, where it is not beside SPEC (deployment.toml has deployment.lock.toml).",
)


@click.command(
    cls=Examples,
    examples=(
        "llmflake lock examples/aspen1.toml",
        "llmflake lock deployment.toml --check",
        "llmflake lock deployment.toml --update nixpkgs",
        "llmflake lock deployment.toml --outdated",
    ),
)
@SPEC
@LOCK
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the lock does not cover SPEC.")
@click.option("--update", multiple=True, metavar="NAME", help="Renew a model, a service's image, a source or an input.")
@click.option("--outdated", is_flag=True, help="Write nothing; list what has a newer release, and what is known of it.")
@click.option("--offline", is_flag=True, help="Use no network: files of models are left to be resolved.")
@click.option("--image-hashes", is_flag=True, help="Pin images for the Nix store too; downloads them.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds after which a host that gives no good answer is given up.",
)
@JSON
def lock(spec: str, lock_file: Path | None, *, as_json: bool, **flags: Any) -> None:  # noqa: ANN401 - options
    """Pin what SPEC names, in a lock beside it.

    Models to commits and the hashes of their files, images to digests, sources to hashes, and the flake's inputs.
    What is pinned stays pinned until --update names it. A failure changes nothing.

    A token for private repositories is taken from HF_TOKEN, or from the file that HF_TOKEN_PATH names; logins to
    registries are those of podman or docker.
    """
    if flags["check"]:
        _check(spec, lock_file, as_json=as_json)
    elif flags["outdated"]:
        _outdated(spec, lock_file, flags, as_json=as_json)
    else:
        _lock(spec, lock_file, flags, as_json=as_json)


def _lock(spec: str, lock_file: Path | None, flags: dict[str, Any], *, as_json: bool) -> None:
    from generator.lock import describe, resolve, store
    from generator.spec.load import load_spec
    from generator.spec.lockfile import read_pins
    from generator.spec.pins import Pins

    path = guarded(lambda: _path(spec, lock_file), as_json=as_json)
    # As with Ctrl-C, the programs that this has started end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def run() -> tuple[Pins, Pins]:
        loaded = load_spec(spec)
        with store.held(spec), progress() as show:
            old = read_pins(path)
            new = resolve.resolve(loaded, old, _options(flags, show))
            text = store.lock_text(new)
            if text != old.text and (old.text is not None or new != Pins()):
                store.write(path, text, old.text)
        return old, new

    old, new = guarded(run, as_json=as_json)
    changed = list(describe.changes(old, new))
    if as_json:
        entries = [{"entry": entry, "old": before, "new": after} for entry, before, after in changed]
        print_json({"lock": str(path), "changes": entries})
        return
    for entry, before, after in changed:
        signs = {before is None: "+", after is None: "-"}
        sign = click.style(signs.get(True, "~"), fg={"+": "green", "-": "red"}.get(signs.get(True, "~"), "yellow"))
        echo(f"{sign} {entry}: {' -> '.join(text for text in (before, after) if text is not None)}")
    echo(f"{path}: {len(changed)} changed" if changed else f"{path}: nothing to change")


def _check(spec: str, lock_file: Path | None, *, as_json: bool) -> None:
    from generator.spec.load import load_spec
    from generator.spec.lockfile import read_pins

    path = guarded(lambda: _path(spec, lock_file), as_json=as_json)
    given = str(lock_file) if lock_file else None
    loaded = guarded(lambda: load_spec(spec, locked=read_pins(path), lock=given), as_json=as_json)
    if as_json:
        print_json({"lock": str(path), "problems": [], "notes": list(loaded.notes)})
        return
    for note in loaded.notes:
        echo(f"note: {note}")
    echo(f"{click.style('ok', fg='green')}: {path} covers {spec}")


def _outdated(spec: str, lock_file: Path | None, flags: dict[str, Any], *, as_json: bool) -> None:
    from generator.lock.outdated import outdated
    from generator.spec.load import load_spec
    from generator.spec.lockfile import read_pins

    path = guarded(lambda: _path(spec, lock_file), as_json=as_json)

    def run() -> list[Newer]:
        with progress() as show:
            return outdated(load_spec(spec), read_pins(path), _options(flags, show))

    found = guarded(run, as_json=as_json)
    if as_json:
        fields = ("path", "locked", "newer", "status", "reason")
        print_json({"outdated": [{name: getattr(entry, name) for name in fields} for entry in found]})
        return
    colours = {"works": "green", "broken": "red", "unknown": "yellow"}
    for entry in found:
        status = click.style(entry.status, fg=colours[entry.status])
        echo(f"{entry.path}: {entry.locked} -> {entry.newer}: {status}{entry.reason and f': {entry.reason}'}")
    if not found:
        echo("nothing is newer" if not flags["offline"] else "nothing newer is known offline")


def _path(spec: str, lock_file: Path | None) -> Path:
    from generator.spec.lockfile import lock_path
    from generator.spec.source import read_source

    path = lock_file or lock_path(spec)
    if path is None and spec != "-":
        read_source(spec)  # says what is wrong with it
    if path is None:
        hint = "name the lock with --lock FILE"
        raise LockError((Problem(Location("<stdin>"), "", "standard input has no lock beside it", hint),))
    return path


def _options(flags: dict[str, Any], show: Any) -> Options:  # noqa: ANN401 - a function
    from generator.lock.resolve import Options

    return Options(
        update=frozenset(flags["update"]),
        offline=flags["offline"],
        image_hashes=flags["image_hashes"],
        seconds=flags["timeout"],
        progress=show,
    )
