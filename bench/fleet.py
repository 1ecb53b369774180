"""How ``generate`` grows: 1,000 machines with a service each, against 100."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNS = 3
_RATIO = 11.0
_SECONDS = 5.0
_MIB = 300.0


def spec(size: int) -> dict[str, Any]:
    """Return a spec of ``size`` machines, each with a service of its own; half of them are found by tag."""
    return {
        "clan": {"name": "fleet"},
        "machines": {
            f"node{number}": {
                "hardware": "strix-halo-128",
                "target_host": f"root@node{number}.example",
                "tags": [f"rack-{number}"],
                "gtt_mib": 117760,
                "kernel": {"package": "linuxPackages_latest", "minimum": "6.18.4"},
            }
            for number in range(size)
        },
        "models": {
            "gpt-oss-120b": {
                "repository": "openai/gpt-oss-120b",
                "revision": "b5c939de8f754692c1647ca79fbf85e8c1e70f8a",
                "format": "safetensors",
                "quantisation": "mxfp4",
            }
        },
        "services": {
            f"llm-{number}": {
                "engine": "vllm",
                **({"tags": [f"rack-{number}"]} if number % 2 else {"machines": [f"node{number}"]}),
                "model": "gpt-oss-120b",
                "accept": ["slow", "unproven"],
                "vllm": {"max_model_len": 4096, "gpu_memory_utilization": 0.85, "max_num_seqs": 4},
            }
            for number in range(size)
        },
    }


def run() -> Iterator[str]:
    """Yield the growth of time, the time itself, and the peak of memory."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {}
        for size in (1000, 100):
            path = Path(folder, f"{size}.json")
            path.write_text(json.dumps(spec(size)), encoding="utf-8")
            subprocess.run([sys.executable, "-m", "generator", "lock", "--offline", path], check=True, cwd=folder)
            commands[size] = measure.generate_anew(str(path), folder)
        large, small = measure.medians(commands[1000], commands[100], _RUNS)
        memory = measure.peak_mib(commands[1000])
    yield measure.verdict("fleet, time", large / small, _RATIO, f"1,000 machines {large:.2f} s, 100 {small:.2f} s")
    yield measure.verdict("fleet, seconds", large, _SECONDS, "1,000 machines")
    yield measure.verdict("fleet, MiB", memory, _MIB, "1,000 machines, peak")
