"""An accepted machine keeps what it needs to come back to this state: its own llmflake-kept records what that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.verify.transport import TransportError
from generator.verify.verdict import ACCEPTED, PHASES, exit_code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.verify.expectation import MachineExpectation
    from generator.verify.run import Plan
    from generator.verify.transport import Transport
    from generator.verify.verdict import Verdict

_SYSTEM = ["readlink", "--canonicalize-existing", "/run/current-system"]
_BY_HAND = "run 'llmflake-kept --accept' as root on the machine"


def running(transport: Transport) -> str:
    """Return the system that runs, before anything is judged of it; "" where there is none or it cannot be seen."""
    try:
        output = transport.run(_SYSTEM)
    except TransportError:
        return ""
    return output.out.strip() if output.code == 0 else ""


def record(
    transport: Transport, expected: MachineExpectation, system: str, plan: Plan, verdicts: Iterable[Verdict]
) -> str | None:
    """Let the machine record that a system is accepted, where every phase was checked and every criterion passed.

    Returns why it did not; None where it did, or there was nothing to record: no system, or one without services, which
    uses neither models nor images, and has no llmflake-kept.
    """
    if not expected.services or not system or plan.phases != PHASES or exit_code(verdicts) != ACCEPTED:
        return None
    try:
        output = transport.run(["llmflake-kept", "--accept", system])
    except TransportError as error:
        return f"{error}; {_BY_HAND}"
    if output.code == 0:
        return None
    said = (output.out.strip() or output.err.strip() or f"exit code {output.code}").splitlines()[-1]
    return f"{said}; {_BY_HAND}"
