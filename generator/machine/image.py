# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Have a container image here before its server starts: ``python -m generator.machine.image PROGRAM UNIT IMAGE``.

PROGRAM is podman or docker. The image is pulled by its digest where it is not there; it gets the name
``localhost/llmflake/UNIT:current``, and the one that had it before gets ``:previous``, by which it survives pruning and
a registry that has it no more. Images before that one are removed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

WAITS = (5, 15, 60, 300, 300)
"""Seconds before each next try to pull."""


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    if len(arguments) != 3:  # noqa: PLR2004 - PROGRAM UNIT IMAGE
        say("usage: python -m generator.machine.image PROGRAM UNIT IMAGE")
        return os.EX_USAGE
    program, unit, image = arguments
    current, previous = (f"localhost/llmflake/{unit}:{name}" for name in ("current", "previous"))
    if identity(program, image) is None and not pull(program, image, WAITS):
        return os.EX_UNAVAILABLE
    new, old = identity(program, image), identity(program, current)
    if old is not None and old != new:
        oldest = identity(program, previous)
        run(program, "tag", old, previous)
        say(f"the image of before stays as {previous}")
        if oldest is not None and oldest not in {old, new}:
            remove(program, oldest)
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


def remove(program: str, image: str) -> None:
    """Remove an image with all its names, unless a container has it."""
    if not run(program, "ps", "--all", "--quiet", "--filter", f"ancestor={image}"):
        say(f"removing {image}, which is older than that")
        subprocess.run([program, "rmi", "--force", image], stdout=subprocess.DEVNULL, check=False)  # noqa: S603


def run(program: str, *arguments: str) -> str:
    """Run a command; return what it printed."""
    return subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603


def say(text: str) -> None:
    """Print a line at once: it goes to the journal."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
