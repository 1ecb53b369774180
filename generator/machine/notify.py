# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""systemd's notification protocol, sd_notify(3)."""

from __future__ import annotations

import os
import socket


def notify(*states: str) -> bool:
    """Send states such as ``READY=1`` or ``STATUS=waiting`` to systemd; return whether anybody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto("\n".join(states).encode(), address)
    return True
