"""The runbook's commands of git: what is deployed is a commit, and going back reverts the last of these.

clan commits of its own accord, before and after (keys, descriptions of hardware), so a message tells a deployment.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from generator.emit.operate import block

if TYPE_CHECKING:
    from collections.abc import Iterator


def message(clan: str) -> str:
    """Return the message of a deployment's commit: one for all machines, whose configuration is one."""
    return f"Deploy {clan}"


def commit(clan: str) -> tuple[str, ...]:
    """Return the commands that commit what is to be deployed; they do nothing where another machine's turn did it."""
    return (
        "git add .",
        f"git diff --cached --quiet || {shlex.join(['git', 'commit', '--message', message(clan)])}",
    )


def go_back(clan: str, machine: str, others: tuple[str, ...]) -> Iterator[str]:
    """Yield how the last deployment's commit is taken back, and the machine gets what was before."""
    last = shlex.join(["git", "log", "--format=%H", f"--grep=^{message(clan)}$"])
    # The first deployment brought everything: of that there is nothing before.
    yield from block(
        f"""git revert --no-edit "$({last} | sed '$d;q')" && {shlex.join(["clan", "machines", "update", machine])}"""
    )
    yield from (
        f'It takes back the last commit "{message(clan)}" and leaves those that clan made. After a first deployment',
        "there is none before, and git says `bad revision`; where it was taken back already, git says that there is",
        "nothing to commit. The spec is elsewhere: change it back too, or the next generation brings all of it again.",
        "",
    )
    if others:
        yield from ("The other machines' configuration went back with it, and to these it is deployed by:", "")
        yield from block(shlex.join(["clan", "machines", "update", *others]))
