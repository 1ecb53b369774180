"""Where a server that listens on a host is asked."""

from __future__ import annotations

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask, not where to listen


def asked_at(host: str) -> str:
    """Return the address at which its own machine asks a server: one that listens everywhere, on loopback.

    nix/lib/address.nix has the same as ``asked``.

    >>> asked_at("::")
    '::1'
    """
    return _EVERYWHERE.get(host, host)


def bracketed(host: str, port: int) -> str:
    """Return host and port as they stand in a URL, or after ssh's ``-L``.

    >>> bracketed("::1", 8000)
    '[::1]:8000'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
