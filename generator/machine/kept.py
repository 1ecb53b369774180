# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""What of models and images no system of this machine uses any more: ``llmflake-kept [--accept [SYSTEM] | --remove]``.

Without an option it tells what could go, and removes nothing. What runs, what may be booted, and what was accepted last
stays, and so does everything that llmflake did not make. ``--accept`` records that what runs now is good: ``llmflake
verify`` calls it when every criterion passed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from generator.machine import image, unused
from generator.machine.directories import REGISTRY, registered
from generator.machine.files import State
from generator.machine.uses import ACCEPTED, SYSTEMS, USES, Files, UnknownError, Uses, hashes_by_directory, held, read

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 1 << 30
GC_ROOT = "nix/var/nix/gcroots/llmflake-accepted"


def main(arguments: list[str], root: Path = Path("/"), owner: str | None = unused.OWNER) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="llmflake-kept", description="What of models and images is not used any more."
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--remove", action="store_true", help="remove it")
    choice.add_argument(
        "--accept", nargs="?", const="", metavar="SYSTEM", help="record that what runs now, which is SYSTEM, is good"
    )
    options = parser.parse_args(arguments)
    try:
        if options.accept is not None:
            accept(root, options.accept)
        else:
            clean(root, owner, remove=options.remove)
    except UnknownError as error:
        say(f"{error}; nothing was removed" if options.accept is None else f"{error}; nothing was recorded")
        return os.EX_UNAVAILABLE
    except PermissionError as error:
        say(f"{error.filename}: {error.strerror}; run this as root")
        return os.EX_NOPERM
    except (OSError, subprocess.CalledProcessError) as error:  # such as a podman that does not run
        say(f"{error}; correct that, and start again")
        return os.EX_UNAVAILABLE
    return os.EX_OK


def accept(root: Path, expected: str) -> None:
    """Record what the running system uses. Raises UnknownError where that is not the expected one, or does not tell."""
    system = (root / SYSTEMS[0]).resolve()
    if expected and Path(expected) != system:
        raise UnknownError(f"{system} runs by now, and not {expected}")
    uses = read(system / USES)
    # The hashes of files are those that are there: the flake does not know all of them.
    models = {
        path: Files(files.selection, _whole(path) | (files.hashes or frozenset()))
        for path, files in uses.models.items()
    }
    for unit, reference in uses.images.items():
        if uses.runtime is None or not image.accept(uses.runtime, unit, reference):
            raise UnknownError(f"{reference} of {unit} is not here")
    record = root / ACCEPTED
    record.parent.mkdir(parents=True, exist_ok=True)
    _replace(record, json.dumps({"system": str(system), **Uses(models, uses.images, uses.runtime).data()}) + "\n")
    # What is linked here survives nix-collect-garbage.
    if (root / GC_ROOT).parent.is_dir():
        new = root / f"{GC_ROOT}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(system)
        new.replace(root / GC_ROOT)
    say(f"{system} is the accepted state now")


def _whole(directory: Path) -> frozenset[str]:
    return frozenset(found for _, _, found in State.read(directory).whole.values())


def _replace(path: Path, text: str) -> None:
    """Write a file in one step."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def clean(root: Path, owner: str | None, *, remove: bool) -> None:
    """Tell what is not used any more, and remove it if so asked. Raises UnknownError where that cannot be told."""
    freed = sum(_clean_models(root, owner, remove=remove)) + sum(_clean_images(held(root), remove=remove))
    say(f"{freed / GIB:.2f} GiB {'freed' if remove else 'would be freed; llmflake-kept --remove does it'}")


def _clean_models(root: Path, owner: str | None, *, remove: bool) -> Iterator[int]:
    """Yield the bytes that go with each directory."""
    for directory, entry in registered(root / REGISTRY.relative_to("/")).items():
        try:
            with unused.locked(directory):
                # Only now: a new system may have come up since the last look.
                found = unused.find(directory, hashes_by_directory(held(root)), owner)
                size = found.size
                if not found.files and not found.whole:
                    continue
                gone = remove and unused.remove(found)
        except unused.LeftAloneError as reason:
            if directory.is_dir():  # its disk may be away
                say(f"{directory} is left alone: {reason}")
            continue
        what = str(directory) if found.whole else f"{directory}: {len(found.files)} files of another revision"
        say(f"{what}, {size / GIB:.2f} GiB{', removed' if remove else ''}")
        if gone:
            entry.unlink()
        elif remove and found.whole:
            say(f"{directory} stays, for files of others are in it")
        yield size


def _clean_images(found: list[Uses], *, remove: bool) -> Iterator[int]:
    """Yield the bytes that go with each image; layers that others share stay. The accepted system is the first."""
    for runtime in dict.fromkeys(uses.runtime for uses in found if uses.runtime is not None):
        references = {reference for uses in found for reference in uses.images.values()}
        named = {image.name_of(unit, "accepted") for unit in found[0].images}
        used = {image.identity(runtime, name) for name in references | named}
        for identity, names in ours(runtime).items():
            if identity in used:
                continue
            size = int(image.run(runtime, "image", "inspect", "--format", "{{.Size}}", identity))
            gone = remove and image.remove(runtime, identity)
            said = ", removed" if gone else ", which somebody else named or a container has: it stays" if remove else ""
            say(f"image {names[0]}, up to {size / GIB:.2f} GiB{said}")
            yield size if gone or not remove else 0


def ours(runtime: str) -> dict[str, list[str]]:
    """Return the images that have a name of ours, with those names."""
    listed = image.run(runtime, "images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
    found: dict[str, list[str]] = {}
    for line in listed.splitlines():
        identity, _, name = line.partition(" ")
        if name.startswith(image.NAMES):
            found.setdefault(image.identity(runtime, identity) or identity, []).append(name)
    return found


def say(text: str) -> None:
    """Print a line."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
