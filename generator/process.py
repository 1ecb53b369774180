"""The one place that starts programs for the command line; Nix has a place of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Output:
    """What a program left behind: its exit code, and what it printed."""

    code: int
    out: str
    err: str


class ProcessError(Exception):
    """A program could not be started, or did not end in time."""


def run(command: Sequence[str], *, timeout: float) -> Output:
    """Run a program and wait for it, at most ``timeout`` seconds; an exit code is no error here.

    Raises ProcessError when the program is not there or does not end in time.
    """
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, never a shell
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise ProcessError(f"{command[0]} cannot be started: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"{command[0]} did not end within {timeout:g} s") from error
    return Output(done.returncode, done.stdout, done.stderr)


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a program that goes on beside this one; its complaints can be read from ``stderr``.

    Raises ProcessError when it is not there.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - an argument list, never a shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise ProcessError(f"{command[0]} cannot be started: {error.strerror or error}") from error
