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
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from generator.machine import image, unused
from generator.machine.directories import REGISTRY, registered
from generator.machine.files import State
from generator.machine.image import ContainerError
from generator.machine.uses import ACCEPTED, SYSTEMS, USES, Files, UnknownError, Uses, hashes_by_directory, held, read

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 1 << 30
GC_ROOT = "nix/var/nix/gcroots/llmflake-accepted"
OTHER = " of another revision"


class StoppedError(Exception):
    """The work ended in the middle; the text says where, and why."""


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
    if owner == unused.OWNER and os.geteuid() != 0:
        # Podman would make a storage of this user's own, in which there is nothing.
        say("what is used is root's to tell; run it as root: sudo llmflake-kept")
        return os.EX_NOPERM
    try:
        if options.accept is not None:
            accept(root, options.accept)
        else:
            clean(root, owner, remove=options.remove)
    except StoppedError as error:
        say(str(error))
        return os.EX_UNAVAILABLE
    except (UnknownError, ContainerError) as error:
        say(f"{error}; nothing was {'removed' if options.accept is None else 'recorded'}")
        return os.EX_UNAVAILABLE
    except OSError as error:
        what = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        say(f"{what}; correct that, and start again")
        return os.EX_UNAVAILABLE
    return os.EX_OK


def accept(root: Path, expected: str) -> None:
    """Record what the running system uses.

    Raises UnknownError or ContainerError, with nothing recorded, where that is not the expected one, or does not tell,
    or not all of it is here; StoppedError where it was recorded, and its images could not be named.
    """
    system = (root / SYSTEMS[0]).resolve()
    if expected and Path(expected) != system:
        raise UnknownError(f"{system} runs by now, and not {expected}")
    uses = read(system / USES)
    # The hashes of files are those that are there: the flake does not know all of them.
    models = {
        path: Files(files.selection, _whole(path) | (files.hashes or frozenset()))
        for path, files in uses.models.items()
    }
    if unknown := [path for path, files in models.items() if not files.hashes]:
        raise UnknownError(f"no file of {unknown[0]} is known; let its download end, and verify again")
    for unit, reference in uses.images.items():
        if uses.runtime is None or image.identity(uses.runtime, reference) is None:
            raise UnknownError(f"{reference} of {unit} is not here; restart {unit}, and verify again")
    record = root / ACCEPTED
    record.parent.mkdir(parents=True, exist_ok=True)
    _replace(record, json.dumps({"system": str(system), **Uses(models, uses.images, uses.runtime).data()}) + "\n")
    # What is linked here survives nix-collect-garbage.
    if (root / GC_ROOT).parent.is_dir():
        new = root / f"{GC_ROOT}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(system)
        new.replace(root / GC_ROOT)
    # Last: what the record names stays without a name, and what was accepted before has its own until here.
    try:
        for unit, reference in uses.images.items():
            image.accept(str(uses.runtime), unit, reference)
    except ContainerError as error:
        raise StoppedError(f"{error}; {system} is recorded, and not all of its images are named") from error
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
    """Tell what is not used any more, and remove it if so asked.

    Raises UnknownError or ContainerError where that cannot be told, with nothing removed; StoppedError where it could
    not be told any more.
    """
    # All are asked before the first is removed: of none is it known only then that it does not answer.
    list(_unused_images(held(root)))
    try:
        freed = sum(_clean_models(root, owner, remove=remove)) + sum(_clean_images(root, remove=remove))
    except (UnknownError, ContainerError) as error:
        raise StoppedError(f"{error}; nothing {'more ' if remove else ''}was removed") from error
    say(f"{freed / GIB:.2f} GiB {'freed' if remove else 'would be freed; llmflake-kept --remove does it'}")


def _clean_models(root: Path, owner: str | None, *, remove: bool) -> Iterator[int]:
    """Yield the bytes that go with each directory."""
    for directory, entry in registered(root / REGISTRY.relative_to("/")).items():
        try:
            with unused.locked(directory):
                # Only now: a new system may have come up since the last look.
                found = unused.find(directory, hashes_by_directory(held(root)), owner)
                if found.files or found.whole:
                    yield _clean_model(found, entry, remove=remove)
        except unused.LeftAloneError as reason:
            if directory.is_dir():  # its disk may be away
                say(f"{directory} is left alone: {reason}")


def _clean_model(found: unused.Unused, entry: Path, *, remove: bool) -> int:
    """Tell what may go of a directory, and remove it if so asked; return the bytes that go."""
    size, left = found.size, unused.remove(found) if remove else None
    size -= 0 if left is None else left.size
    count = len(found.files) - (0 if left is None else len(left.files))
    gone = remove and found.whole and unused.remove_directory(found.directory, entry)
    whole = found.whole and (gone or not remove)
    what = str(found.directory) if whole else f"{found.directory}: {count} files{'' if found.whole else OTHER}"
    say(f"{what}, {size / GIB:.2f} GiB{', removed' if remove else ''}")
    if left is not None and left.files:
        say(f"{left.files[0]} cannot be removed by the directory's owner: {len(left.files)} files stay")
    if remove and found.whole and not gone:
        say(f"{found.directory} stays, for files of others are in it")
    return size


def _clean_images(root: Path, *, remove: bool) -> Iterator[int]:
    """Yield the bytes that go with each image; layers that others share stay."""
    for runtime, identity, name, size in list(_unused_images(held(root))):
        gone = remove and image.remove(runtime, identity)
        said = ", removed" if gone else ", which somebody else named or a container has: it stays" if remove else ""
        say(f"image {name}, up to {size / GIB:.2f} GiB{said}")
        yield size if gone or not remove else 0


def _unused_images(found: list[Uses]) -> Iterator[tuple[str, str, str, int]]:
    """Yield the program, ID, name and bytes of each image that has a name of ours and is not used."""
    accepted, running = found[:2]
    # Systems have their own builds of one program, which see the same images: the running system's is asked.
    runtimes = [uses.runtime for uses in (*found[2:], accepted, running) if uses.runtime is not None]
    for runtime in {Path(runtime).name: runtime for runtime in runtimes}.values():
        named = ours(runtime)
        references = {reference for uses in found for reference in uses.images.values()}
        names = {image.name_of(unit, "accepted") for unit in accepted.images}
        used = {image.identity(runtime, name) for name in references | names}
        for identity, (name, *_) in named.items():
            if identity not in used:
                size = image.run(runtime, "image", "inspect", "--format", "{{.Size}}", identity)
                yield runtime, identity, name, int(size)


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
