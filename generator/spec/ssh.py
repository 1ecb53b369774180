"""How a machine's ``target_host`` is said to ssh."""

from __future__ import annotations


def ssh_target(target: str) -> list[str]:
    """Split ``user@host:port`` into ssh's arguments.

    >>> ssh_target("root@aspen1:2222")
    ['-p', '2222', 'root@aspen1']
    """
    host, separator, port = target.rpartition(":")
    return ["-p", port, host] if separator and port.isdigit() else [target]
