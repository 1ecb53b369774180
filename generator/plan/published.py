"""The published measurements to show beside an estimate: the newest of each kind, the same engine's first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from generator.catalog import measured, models
from generator.plan.result import Measurement

if TYPE_CHECKING:
    from generator.plan.ask import Ask

_ENGINES = {"vllm": "vLLM", "llamacpp": "llama.cpp", "ollama": "Ollama"}
_BACKENDS = {"vulkan": "Vulkan", "rocm": "ROCm", "cuda": "CUDA", "metal": "Metal"}
_KINDS = ("decode", "throughput", "prefill")
_MOST = {"decode": 5, "deep": 3, "batch": 3, "prompt": 3}


def published(asked: Ask) -> tuple[Measurement, ...]:
    """Return measurements of the service's model on its machine's hardware."""
    hardware, known = asked.machine.hardware, asked.known
    if hardware is None or hardware.measured_as is None or known.shape is None:
        return ()
    name = known.repository.shape if known.repository is not None else None
    if name is None:
        name = next((model for model in models.shape_names() if models.shape(model) is known.shape), None)
    seen: set[tuple[str, ...]] = set()
    found = []
    for row in measured.speeds(name, hardware.measured_as) if name is not None else ():
        what = _what(row)
        engine = " ".join(filter(None, (row["engine"], row["engine_version"], row["backend"], row["driver_env"])))
        driver = "AMDVLK" if "AMDVLK" in row["driver_env"].upper() else ""
        key = (what, row["engine"], row["backend"], driver, row["quant"].upper())
        if key in seen or row["kind"] not in _KINDS:
            continue
        seen.add(key)
        rank = (
            row["engine"] != _ENGINES.get(asked.engine),
            _KINDS.index(row["kind"]),
            row["backend"] != _BACKENDS.get(asked.backend) or driver != "",
            int(row["context_depth"] or 0),
        )
        found.append(
            (
                rank,
                Measurement(
                    kind=_kind(row),
                    what=what,
                    value=float(row["value_tps"]),
                    engine=engine,
                    format=row["quant"],
                    source=row["source"],
                    date=row["date"],
                    same_engine=row["engine"] == _ENGINES.get(asked.engine),
                ),
            )
        )
    shown: Counter[str] = Counter()
    chosen = []
    for _, entry in sorted(found, key=lambda pair: pair[0]):
        shown[entry.kind] += 1
        if shown[entry.kind] <= _MOST[entry.kind]:
            chosen.append(entry)
    return tuple(chosen)


def _kind(row: dict[str, str]) -> str:
    if row["kind"] == "prefill":
        return "prompt"
    if row["kind"] == "throughput" or row["batch"] != "1":
        return "batch"
    return "deep" if (row["context_depth"] or "0") != "0" else "decode"


def _what(row: dict[str, str]) -> str:
    depth, users = row["context_depth"] or "0", row["batch"]
    if row["kind"] == "prefill":
        return f"prompt of {row['n_prompt']}" + (f" at {depth}" if depth != "0" else "")
    if row["kind"] == "throughput":
        return f"throughput, {users}"
    text = "decode" + (f" at {depth}" if depth != "0" else "")
    return text if users == "1" else f"{text}, {users} at once"
