"""Ways to a machine: none, when verify runs on it; or the system's own ssh, with the user's own configuration."""

from __future__ import annotations

import contextlib
import shlex
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from generator.process import Output, ProcessError, run, start
from generator.spec.address import bracketed
from generator.spec.ssh import ssh_target

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from types import TracebackType

_CONNECT = 20.0  # seconds
_COMMAND = 30.0


class TransportError(Exception):
    """The machine cannot be reached."""


class Transport(Protocol):
    """A way to a machine."""

    def run(self, command: Sequence[str], timeout: float = _COMMAND) -> Output:
        """Run a program on the machine."""

    def url(self, host: str, port: int) -> str:
        """Return where a port of the machine can be reached from here."""

    def refused(self, host: str, port: int) -> bool:
        """Return whether it is known that nothing listens there; asking will show what is not."""


class Local:
    """The machine itself."""

    def run(self, command: Sequence[str], timeout: float = _COMMAND) -> Output:
        """Run a program here; one that is missing exits with 127, as a shell has it."""
        try:
            return run(command, timeout=timeout)
        except ProcessError as error:
            return Output(127, "", str(error))

    def url(self, host: str, port: int) -> str:
        """Return the address as it is."""
        return f"http://{bracketed(host, port)}"

    def refused(self, host: str, port: int) -> bool:  # noqa: ARG002 - it has nothing to ask
        """Return False: whoever asks is refused itself."""
        return False


class Ssh:
    """A machine through one connection of the system's ssh, which every command and every port shares."""

    def __init__(self, target: str, config: Path | None = None) -> None:
        """Prepare; ``target`` is user@host or user@host:port, ``config`` is for ssh's -F."""
        self._folder = tempfile.TemporaryDirectory(prefix="llmflake-")
        self._options = [
            *(["-F", str(config)] if config else []),
            *("-o", "BatchMode=yes", "-o", f"ControlPath={Path(self._folder.name) / 'c'}"),
        ]
        self._target = ssh_target(target)
        self._master: subprocess.Popen[str] | None = None
        self._ports: dict[tuple[str, int], int] = {}

    def __enter__(self) -> Self:
        """Connect. Raises TransportError with what ssh says."""
        alone = ["-o", "ControlMaster=yes", "-o", f"ConnectTimeout={_CONNECT:g}", "-N"]
        try:
            self._master = start(["ssh", *self._options, *alone, *self._target])
        except ProcessError as error:
            raise TransportError(str(error)) from error
        try:
            self._connect(self._master)
        except BaseException:  # Ctrl-C among them: nobody ends ssh later
            self.__exit__(None, None, None)
            raise
        return self

    def _connect(self, master: subprocess.Popen[str]) -> None:
        until = time.monotonic() + _CONNECT
        while time.monotonic() < until:
            if master.poll() is not None:
                said = master.stderr.read().strip() if master.stderr else ""
                raise TransportError(said.splitlines()[-1] if said else f"ssh ended with {master.returncode}")
            if self._control("check").code == 0:
                return
            time.sleep(0.05)
        raise TransportError(f"no connection within {_CONNECT:g} s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        if self._master is not None:
            self._master.terminate()
            self._master.wait(10)
            if self._master.stderr:
                self._master.stderr.close()
        self._folder.cleanup()

    def _control(self, *words: str) -> Output:
        with contextlib.suppress(ProcessError):
            return run(["ssh", *self._options, "-O", *words, *self._target], timeout=_CONNECT)
        return Output(255, "", "")

    def run(self, command: Sequence[str], timeout: float = _COMMAND) -> Output:
        """Run a program there. Raises TransportError when the connection is gone."""
        try:
            output = run(["ssh", *self._options, *self._target, "--", shlex.join(command)], timeout=timeout)
        except ProcessError as error:
            return Output(124, "", str(error))
        if output.code == _SSH_FAILED and self._control("check").code != 0:
            raise TransportError(output.err.strip() or "the connection is gone")
        return output

    def url(self, host: str, port: int) -> str:
        """Forward a port of the machine to one of loopback here. Raises TransportError when ssh refuses."""
        if (host, port) not in self._ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                here = probe.getsockname()[1]
            there = bracketed(host, port)
            output = self._control("forward", "-L", f"127.0.0.1:{here}:{there}")
            if output.code != 0:
                raise TransportError(output.err.strip() or f"ssh does not forward {there}")
            self._ports[host, port] = here
        return f"http://127.0.0.1:{self._ports[host, port]}"

    def refused(self, host: str, port: int) -> bool:
        """Ask the machine: ssh takes every connection to a port that it forwards, and tells nobody what came of it."""
        line = 'exec 3<>"/dev/tcp/$1/$2"'
        output = self.run(["env", "LC_ALL=C", "bash", "-c", line, "bash", host, str(port)])
        return output.code != 0 and "refused" in output.err


_SSH_FAILED = 255
