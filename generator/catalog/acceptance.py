"""What machines are accepted by: known-bad firmware, log lines, free memory."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def facts() -> dict[str, Any]:
    """Return acceptance.toml: table ``service``, lists ``firmware`` and ``log_line``."""
    path = Path(__file__).resolve().parent / "acceptance.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
