"""What writing needs of the system: not to be interrupted in the middle, and locks where there are any."""

from __future__ import annotations

import errno
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_LOCKS = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""Errors of a file system that has no locks."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off Ctrl-C and other polite wishes to end: what is inside takes milliseconds and is worse half done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
