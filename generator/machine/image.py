# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Have a container image here before its server starts: ``python -m generator.machine.image PROGRAM UNIT IMAGE``.

PROGRAM is podman or docker. The image is pulled by its digest where it is not there; it gets the name
``localhost/llmflake/UNIT:current``, and the one that had it before gets ``:previous``, by which it survives pruning and
a registry that has it no more. The image before that one is removed, unless a name of ours is left on it, of this unit
or of another, or it was accepted last, or no image was.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from generator.machine.uses import ACCEPTED, UnknownError, read

NAMES = "localhost/llmflake/"
"""What all our names of images begin with."""
WAITS = (5, 15, 60, 300, 300)
"""Seconds before each next try to pull."""


class ContainerError(Exception):
    """The program that runs containers does not do what it was told; the text says why."""


def main(arguments: list[str], root: Path = Path("/")) -> int:
    """Run; return the exit code."""
    if len(arguments) != 3:  # noqa: PLR2004 - PROGRAM UNIT IMAGE
        say("usage: python -m generator.machine.image PROGRAM UNIT IMAGE")
        return os.EX_USAGE
    program, unit, image = arguments
    try:
        if identity(program, image) is None and not pull(program, image, WAITS):
            return os.EX_UNAVAILABLE
        name(program, unit, image, root)
    except ContainerError as error:
        say(str(error))
        return os.EX_UNAVAILABLE
    return os.EX_OK


def name(program: str, unit: str, image: str, root: Path) -> None:
    """Name an image that is here as a unit's current one, and the one of before; remove what is older."""
    current, previous = name_of(unit, "current"), name_of(unit, "previous")
    new, old = identity(program, image), identity(program, current)
    if old is not None and old != new:
        oldest = identity(program, previous)
        run(program, "tag", old, previous)
        say(f"the image of before stays as {previous}")
        if oldest not in {None, old, new}:
            retire(program, unit, str(oldest), root)
    run(program, "tag", image, current)


def identity(program: str, image: str) -> str | None:
    """Return the ID of an image that is here, else None. Raises ContainerError where the program does not work."""
    try:
        return run(program, "image", "inspect", "--format", "{{.Id}}", image) or None
    except ContainerError:
        run(program, "images", "--quiet")  # of a program that does not work, nothing is known
        return None


def pull(program: str, image: str, waits: tuple[float, ...]) -> bool:
    """Pull an image, again after each wait; return whether it is here then."""
    for wait in (*waits, None):
        say(f"pulling {image}")
        if subprocess.run([program, "pull", "--quiet", image], check=False).returncode == 0:  # noqa: S603
            return True
        if wait is not None:
            say(f"that failed; trying again in {wait:g} s")
            time.sleep(wait)
    say(f"{image} could not be pulled; see above, and whether the registry still has it")
    return False


def accept(program: str, unit: str, image: str) -> None:
    """Name the image that is accepted for a unit. The one of before stays, by its ID."""
    accepted = name_of(unit, "accepted")
    old = identity(program, accepted)
    if old not in {None, identity(program, image)}:
        run(program, "tag", str(old), _own_name(unit, str(old)))
    run(program, "tag", image, accepted)


def _own_name(unit: str, image: str) -> str:
    return name_of(unit, image.removeprefix("sha256:")[:12])


def retire(program: str, unit: str, image: str, root: Path) -> None:
    """Remove an image that is older than the one of before, and that nobody wants any more."""
    left = [name for name in tags(program, image) if name.startswith(NAMES)]
    reason = None if left else _wanted(program, unit, image, root)
    if left:
        say(f"an older image stays as {left[0]}")
    elif reason is not None:
        run(program, "tag", image, _own_name(unit, image))
        say(f"an older image stays as {_own_name(unit, image)}, for {reason}")
    else:
        gone = remove(program, image)
        say(f"{image}, which is older than that, {'is removed' if gone else 'stays: it is in use'}")


def _wanted(program: str, unit: str, image: str, root: Path) -> str | None:
    """Return why an image without a name of ours is wanted; None where it is not."""
    try:
        recorded = read(root / ACCEPTED).images if (root / ACCEPTED).exists() else {}
    except UnknownError:
        return "the record of what was accepted cannot be read"
    if image in {identity(program, reference) for reference in recorded.values()}:
        return "it was accepted"
    if unit not in recorded and identity(program, name_of(unit, "accepted")) is None:
        return "none was accepted yet"  # it may be the one that worked
    return None


def remove(program: str, image: str) -> bool:
    """Remove our names of an image, and the image where nobody else named it and no container has it.

    Returns whether it is gone.
    """
    if run(program, "ps", "--all", "--quiet", "--filter", f"ancestor={image}"):
        return False  # with its names, so that it is found again
    for name in tags(program, image):
        if name.startswith(NAMES):
            silently(program, "rmi", name)
    if identity(program, image) is not None and not tags(program, image):
        silently(program, "rmi", image)
    return identity(program, image) is None


def tags(program: str, image: str) -> list[str]:
    """Return the names of an image, but for those by digest."""
    return run(program, "image", "inspect", "--format", '{{join .RepoTags "\\n"}}', image).split()


def name_of(unit: str, tag: str) -> str:
    """Return one of our names of a unit's image."""
    return f"{NAMES}{unit}:{tag}"


def silently(program: str, *arguments: str) -> int:
    """Run a command that may be refused; return its exit code."""
    return subprocess.run([program, *arguments], capture_output=True, check=False).returncode  # noqa: S603


def run(program: str, *arguments: str) -> str:
    """Run a command; return what it printed. Raises ContainerError."""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise ContainerError(f"{program} does not run: {error.strerror}; correct that, and start again") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ContainerError(f"{program} {arguments[0]} failed: {said}; correct that, and start again")
    return done.stdout.strip()


def say(text: str) -> None:
    """Print a line at once: it goes to the journal."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
