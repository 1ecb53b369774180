# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Have a container image here before its server starts: ``python -m generator.machine.image PROGRAM UNIT IMAGE``.

PROGRAM is podman or docker. The image is pulled by its digest where it is not there; it gets the name
``localhost/llmflake/UNIT:current``, and the one that had it before gets ``:previous``, by which it survives pruning and
a registry that has it no more. The image before that one is removed, unless it is ``:accepted`` or no image is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

NAMES = "localhost/llmflake/"
"""What all our names of images begin with."""
WAITS = (5, 15, 60, 300, 300)
"""Seconds before each next try to pull."""


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    if len(arguments) != 3:  # noqa: PLR2004 - PROGRAM UNIT IMAGE
        say("usage: python -m generator.machine.image PROGRAM UNIT IMAGE")
        return os.EX_USAGE
    program, unit, image = arguments
    current, previous, accepted = (name_of(unit, tag) for tag in ("current", "previous", "accepted"))
    if identity(program, image) is None and not pull(program, image, WAITS):
        return os.EX_UNAVAILABLE
    new, old = identity(program, image), identity(program, current)
    if old is not None and old != new:
        oldest = identity(program, previous)
        run(program, "tag", old, previous)
        say(f"the image of before stays as {previous}")
        if oldest is not None and oldest not in {old, new}:
            retire(program, unit, oldest, identity(program, accepted))
    run(program, "tag", image, current)
    return os.EX_OK


def identity(program: str, image: str) -> str | None:
    """Return the ID of an image that is here, else None."""
    done = subprocess.run(  # noqa: S603 - the module names the program
        [program, "image", "inspect", "--format", "{{.Id}}", image], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None if done.returncode == 0 else None


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


def accept(program: str, unit: str, image: str) -> bool:
    """Name the image that is accepted for a unit; return whether it is here. The one of before stays, by its ID."""
    name = name_of(unit, "accepted")
    new, old = identity(program, image), identity(program, name)
    if new is None:
        return False
    if old not in {None, new}:
        run(program, "tag", str(old), _own_name(unit, str(old)))
    run(program, "tag", image, name)
    return True


def _own_name(unit: str, image: str) -> str:
    return name_of(unit, image.removeprefix("sha256:")[:12])


def retire(program: str, unit: str, image: str, accepted: str | None) -> None:
    """Remove an image that is older than the one of before; while none was accepted, it may be the one that worked."""
    if accepted is None:
        run(program, "tag", image, _own_name(unit, image))
        say(f"an older image stays as {_own_name(unit, image)}, for none was accepted yet")
    elif image != accepted:
        gone = remove(program, image)
        say(f"{image}, which is older than that, {'is removed' if gone else 'stays: it is in use'}")


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
    """Run a command; return what it printed."""
    return subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603


def say(text: str) -> None:
    """Print a line at once: it goes to the journal."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
