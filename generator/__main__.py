"""``python -m generator``, and the script ``llmflake``."""

import gc
import os
import sys
from contextlib import suppress


def run() -> None:
    """Run the command line, and spare what Python does beside it: a fifth of the time of ``generate``.

    Nearly all that a run makes lives until its end. Looking for cycles in it while modules are loaded finds none, and
    freeing it object by object is of no use to a process that ends.
    """
    gc.set_threshold(100_000, 20, 20)
    from generator.cli import main

    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, str):  # which Python prints
            _leave(end.code or 0)
        raise


def _leave(code: int) -> None:
    with suppress(OSError, ValueError):  # a stream that is closed or full: Python's own way to end says so
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    run()
