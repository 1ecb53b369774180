"""The invented load as Prometheus would have scraped it: OpenMetrics, under the names of the real exporters."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.drawn.load import ANSWER, AT_ONCE, END, ENDED, LOADED, PROMPT, STEP, STEPS, TIMES, Load, load, smooth
from tests.prometheus import RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.drawn.load import Series

    Labels = Mapping[str, str]

GIB = 1024**3
DAY = 86400
_SPREAD = 0.5  # of the logarithm of latencies
_PARTS = {"socket": 1.1, "apu": 1.0, "gfx": 0.8, "cpu_cores": 0.12, "system": 1.3}  # shares of the GPU's power
_REASONS = ("prochot", "spl", "fast_ppt", "slow_ppt", "thermal_core", "thermal_gfx", "thermal_soc")
_STATES = ("activating", "active", "deactivating", "failed", "inactive")


# What panels wait for: systemd, pressure, the system management unit, and files that are watched.
_SOMETIMES = ("node_systemd_", "node_pressure_", "amd_smu_", "llm_")


def history(servers: list[dict[str, Any]], gtt: Mapping[str, int], *, plain: bool) -> Iterator[str]:
    """Yield lines of OpenMetrics. ``servers`` are those of ``lib.scrape.servers``, ``gtt`` each machine's limit in MiB.

    The first vLLM of them fails; if ``plain``, none does, and there is only what every machine has.
    """
    lines = _all(servers, gtt, fails=not plain)
    yield from (line for line in lines if not (plain and line.startswith(_SOMETIMES)))
    yield "# EOF\n"


def _all(servers: list[dict[str, Any]], gtt: Mapping[str, int], *, fails: bool) -> Iterator[str]:
    failing = next((server for server in servers if fails and server["engine"] == "vllm"), None)
    loads: dict[str, Load] = {}
    for seed, server in enumerate(servers):
        stopped = server["starts"] == "demand"
        now = load(seed, fails=server is failing, fast=9.0 if server["engine"] == "vllm" else 80.0)
        yield from _unit(server, now, stopped=stopped)
        if not server["metrics"]:
            continue
        labels = {name: server[name] for name in ("machine", "service")}
        labels |= {"job": server["engine"], "instance": f"{server['machine']}:{server['port']}"}
        yield from _series("up", labels, np.zeros(STEPS) if stopped else now.up)
        if not stopped:
            engine = _vllm if server["engine"] == "vllm" else _llamacpp
            yield from engine(labels, now)
            loads.setdefault(server["machine"], now)
    for machine in sorted({server["machine"] for server in servers}):
        labels = {"job": "llm-node", "machine": machine, "instance": f"{machine}:9100"}
        keys = [server["service"] for server in servers if server["machine"] == machine and server["apiKey"]]
        yield from _machine(labels, gtt[machine], loads.get(machine))
        yield from _files(labels, keys)


def _series(name: str, labels: Labels, values: Series | float, present: Series | None = None) -> Iterator[str]:
    """Yield a series; where ``present`` is 0, nothing was scraped."""
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    shown = np.ones(STEPS) if present is None else present
    numbers = np.broadcast_to(values, STEPS)
    for time, value, there in zip(TIMES.tolist(), numbers.tolist(), shown.tolist(), strict=True):
        if there:
            yield f"{name}{{{inside}}} {value:.10g} {time}\n"


def _unit(server: Mapping[str, Any], now: Load, *, stopped: bool) -> Iterator[str]:
    """Yield what systemd says of a server's unit; nothing of one that is stopped and that nothing wants."""
    if stopped:
        return
    machine, steps = server["machine"], np.arange(STEPS)
    labels = {"job": "llm-node", "machine": machine, "instance": f"{machine}:9100", "name": f"{server['unit']}.service"}
    loading = (now.restarts > 0) & (steps < LOADED)
    states = {"activating": loading, "active": ~loading}
    for state in _STATES:
        values = states.get(state, np.zeros(STEPS)) * 1.0
        yield from _series("node_systemd_unit_state", {**labels, "state": state, "type": "simple"}, values)
    started = np.where(now.restarts > 0, TIMES[ENDED], END - 3 * DAY)
    yield from _series("node_systemd_unit_start_time_seconds", labels, started)
    yield from _series("node_systemd_service_restart_total", labels, now.restarts)


def _vllm(labels: Labels, now: Load) -> Iterator[str]:
    said = {**labels, "engine": "0", "model_name": "gpt-oss-120b"}
    wait = now.waiting * 6 + 0.02
    taken = np.where(now.waiting > 0, 0.97, now.running / AT_ONCE * 0.8)
    prompts = now.finished * PROMPT
    gauges = {"num_requests_running": now.running, "num_requests_waiting": now.waiting, "kv_cache_usage_perc": taken}
    counters = {
        "num_preemptions": np.where(now.waiting > 1, 0.6, 0.0) * (now.generated > 0),
        "prompt_tokens": prompts,
        "generation_tokens": now.generated,
        "prefix_cache_queries": prompts,
        "prefix_cache_hits": prompts * (0.35 + 0.1 * np.sin(np.arange(STEPS) / 200)),
    }
    times = {
        "time_to_first_token_seconds": (now.first, now.finished),
        "inter_token_latency_seconds": (1 / now.each, now.generated),
        "e2e_request_latency_seconds": (now.first + ANSWER / now.each, now.finished),
        "request_queue_time_seconds": (wait, now.finished),
    }
    for name, values in gauges.items():
        yield from _series(f"vllm:{name}", said, values, now.up)
    for name, growth in counters.items():
        yield from _series(f"vllm:{name}_total", said, now.counter(growth), now.up)
    for reason, share in {"stop": 0.86, "length": 0.13, "abort": 0.01, "error": 0.0, "repetition": 0.0}.items():
        finished = now.counter(now.finished * share)
        yield from _series("vllm:request_success_total", {**said, "finished_reason": reason}, finished, now.up)
    yield from _series("vllm:iteration_tokens_total_count", said, now.counter(now.generated), now.up)
    for name, (typical, count) in times.items():
        yield from _histogram(f"vllm:{name}", said, now, typical, count)


def _histogram(name: str, labels: Labels, now: Load, typical: Series, count: Series) -> Iterator[str]:
    """Yield a histogram with the buckets of the recorded vLLM, of values that scatter about what is typical."""
    bounds = re.findall(rf'^{name}_bucket{{.*le="([^"]+)"', RECORDED.read_text(encoding="utf-8"), re.MULTILINE)
    for bound in bounds:
        far = np.log(float(bound) / typical) / (_SPREAD * math.sqrt(2))
        below = np.array([0.5 * (1 + math.erf(value)) for value in far.tolist()])
        yield from _series(f"{name}_bucket", {**labels, "le": bound}, now.counter(count * below), now.up)
    yield from _series(f"{name}_count", labels, now.counter(count), now.up)
    yield from _series(f"{name}_sum", labels, now.counter(count * typical), now.up)


def _llamacpp(labels: Labels, now: Load) -> Iterator[str]:
    prompts = now.finished * PROMPT
    cached = 0.4 + 0.2 * np.sin(np.arange(STEPS) / 170)
    counters = {
        "prompt_tokens": prompts * (1 - cached),
        "prompt_seconds": prompts * (1 - cached) / (640 + 30 * np.sin(np.arange(STEPS) / 90)),
        "prompt_tokens_cached": prompts * cached,
        "tokens_predicted": now.generated,
        "tokens_predicted_seconds": now.generated / now.each,
        "n_decode": now.generated / np.maximum(now.running, 1) + 0.2,
    }
    yield from _series("llamacpp:requests_processing", labels, now.running)
    yield from _series("llamacpp:requests_deferred", labels, now.waiting)
    for name, growth in counters.items():
        yield from _series(f"llamacpp:{name}_total", labels, now.counter(growth))


def _files(labels: Labels, keys: list[str]) -> Iterator[str]:
    """Yield how old keys are, and how long the certificate of who asks for them holds."""
    for key in keys:
        yield from _series("llm_key_first_seen_seconds", {**labels, "key": key}, END - 40 * DAY)
        yield from _series("llm_certificate_not_after_seconds", {**labels, "certificate": key}, END + 62 * DAY)


def _machine(labels: Labels, limit: int, now: Load | None) -> Iterator[str]:
    """Yield what node_exporter says of a Strix Halo, and its system management unit."""
    noise = np.random.default_rng(len(labels["machine"]))
    works = np.zeros(STEPS) if now is None else (now.running > 0) * 1.0
    busy = smooth(96.0 * works, 0.5)
    watts = 12 + 0.95 * smooth(busy, 1) + noise.standard_normal(STEPS)
    gtt = 70 * GIB * (1 if now is None else 0.05 + 0.95 * now.up)
    card = {**labels, "card": "card0"}
    chip = {**labels, "chip": "0000:00:08_1_0000:c5:00_0"}
    disk = {**labels, "device": "/dev/nvme0n1p2", "fstype": "ext4", "mountpoint": "/"}
    yield from _series("node_drm_gpu_busy_percent", card, np.round(busy))
    yield from _series("node_drm_memory_gtt_used_bytes", card, gtt)
    yield from _series("node_drm_memory_gtt_size_bytes", card, limit * 1024**2)
    yield from _series("node_hwmon_chip_names", {**chip, "chip_name": "amdgpu"}, 1)
    yield from _series("node_hwmon_temp_celsius", {**chip, "sensor": "temp1"}, np.round(36 + 0.42 * smooth(watts, 4)))
    for sensor, label in {"temp1": "edge", "power1": "PPT"}.items():
        yield from _series("node_hwmon_sensor_label", {**chip, "sensor": sensor, "label": label}, 1)
    yield from _series("node_hwmon_power_average_watt", {**chip, "sensor": "power1"}, watts)
    yield from _series("node_memory_MemTotal_bytes", labels, 125 * GIB)
    yield from _series("node_memory_MemAvailable_bytes", labels, 121 * GIB - gtt)
    yield from _series("node_pressure_memory_stalled_seconds_total", labels, np.cumsum(works) * STEP * 0.0004)
    yield from _series("node_filesystem_size_bytes", disk, 1.8e12)
    yield from _series("node_filesystem_avail_bytes", disk, 1.8e12 * 0.41 - np.arange(STEPS) * 2e6)
    for part, share in _PARTS.items():
        yield from _series("amd_smu_power_watts", {**labels, "domain": part}, watts * share)
    for core in range(16):
        said = {**labels, "domain": "cpu_core", "core": str(core)}
        yield from _series("amd_smu_power_watts", said, np.abs(noise.standard_normal(STEPS)) * 0.4)
    for direction, share in {"read": 2.1e9, "write": 0.2e9}.items():
        yield from _series("amd_smu_dram_bandwidth_bytes_per_second", {**labels, "direction": direction}, busy * share)
    for reason in _REASONS:
        ticks = np.cumsum(np.where(smooth(watts, 8) > 95, 40.0, 0.0) if reason == "slow_ppt" else np.zeros(STEPS))
        yield from _series("amd_smu_throttle_residency_ticks_total", {**labels, "reason": reason}, ticks)
