"""Runs inside a booted machine (tests/test_systemd_machine.py): does things to the units, and writes down what it saw.

Standard library alone. Every scenario leaves one entry in the JSON file of the last argument.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path("/llmflake")
METRICS = Path("/var/lib/llm-watchdog/vllm.prom")
FAULT = HERE / "fault"
HANG_LIMIT = 5.0
PROBE_INTERVAL = 5.0
_BURST = 5  # of the unit's start limit
PROMISED = PROBE_INTERVAL + HANG_LIMIT + 30.0


def call(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def show(unit: str) -> dict[str, str]:
    names = ("ActiveState", "SubState", "Result", "InvocationID", "NRestarts", "MainPID")
    _, text = call("systemctl", "show", f"{unit}.service", *(f"--property={name}" for name in names))
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def until(holds: Callable[[], bool], seconds: float) -> float | None:
    """Wait until something holds; return how long that took, None when it never did."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if holds():
            return time.monotonic() - began
        time.sleep(0.2)
    return None


def fault(name: str | None) -> None:
    request = urllib.request.Request("http://127.0.0.1:8000/fault", json.dumps(name).encode(), method="POST")
    urllib.request.urlopen(request, timeout=5).read()  # noqa: S310 - the server of this machine


def actions() -> dict[str, float]:
    """Return what the watchdog did, by its own metrics."""
    found = {}
    for line in METRICS.read_text().splitlines() if METRICS.exists() else []:
        if line.startswith("llmflake_watchdog_actions_total{"):
            found[line.partition('action="')[2].partition('"')[0]] = float(line.split()[-1])
    return found


def install() -> dict[str, Any]:
    for name in ("llm-watchdog", "llm-models"):
        call("useradd", "--system", "--user-group", name)
    for path in (HERE / "units").iterdir():
        shutil.copy(path, "/etc/systemd/system")
    shutil.copy(HERE / "llmflake.rules", "/etc/polkit-1/rules.d/10-llmflake.rules")
    for model in ("m", "g"):
        Path(f"/var/lib/llm/models/{model}").mkdir(parents=True, exist_ok=True)
    call("systemctl", "daemon-reload")
    return {"polkit": call("systemctl", "restart", "polkit.service"), "state": show("polkit")}


def start() -> dict[str, Any]:
    began = time.monotonic()
    code, output = call("systemctl", "start", "vllm.service")
    took = time.monotonic() - began
    _, log = call("journalctl", "-u", "vllm.service", "-o", "cat", "--no-pager")
    watch = call("systemctl", "start", "vllm-watchdog.service", "llama-cpp-watchdog.service")
    return {
        "code": code,
        "output": output,
        "took": took,
        "log": log,
        "server": show("vllm"),
        "watchdog": (
            watch,
            show("vllm-watchdog"),
            call("journalctl", "-u", "vllm-watchdog", "-o", "cat", "--no-pager"),
        ),
        "fallback": show("llama-cpp"),
    }


def hang() -> dict[str, Any]:
    before = show("vllm")
    fault("hang")
    took = until(lambda: show("vllm")["InvocationID"] != before["InvocationID"], PROMISED + 30)
    ready = until(lambda: show("vllm")["ActiveState"] == "active", 60)
    time.sleep(6)  # the next look writes the metrics
    _, log = call("journalctl", "-u", "vllm-watchdog", "-o", "cat", "--no-pager")
    return {"took": took, "ready": ready, "actions": actions(), "log": log, "server": show("vllm")}


def stopped() -> dict[str, Any]:
    before = actions()
    call("systemctl", "stop", "vllm.service")
    time.sleep(PROMISED / 2)
    return {"server": show("vllm"), "before": before, "after": actions(), "fallback": show("llama-cpp")}


def crash() -> dict[str, Any]:
    call("systemctl", "start", "vllm.service")
    before = show("vllm")
    os.kill(int(before["MainPID"]), signal.SIGKILL)
    took = until(lambda: show("vllm")["InvocationID"] != before["InvocationID"], 30)
    ready = until(lambda: show("vllm")["ActiveState"] == "active", 30)
    return {"took": took, "ready": ready, "server": show("vllm"), "actions": actions()}


def fall_back() -> dict[str, Any]:
    """Hang once more: the one restart that is allowed was taken in ``hang``."""
    fault("hang")
    took = until(lambda: show("llama-cpp")["ActiveState"] == "active", PROMISED + 60)
    time.sleep(6)
    return {"took": took, "server": show("vllm"), "fallback": show("llama-cpp"), "actions": actions()}


def rights() -> dict[str, Any]:
    as_watchdog = ("setpriv", "--reuid=llm-watchdog", "--regid=llm-watchdog", "--clear-groups", "systemctl")
    return {
        "own": call(*as_watchdog, "stop", "--no-ask-password", "llama-cpp.service"),
        "other": call(*as_watchdog, "restart", "--no-ask-password", "systemd-journald.service"),
        "reboot": call(*as_watchdog, "reboot", "--no-ask-password"),
    }


def garbage() -> dict[str, Any]:
    """Start a server that prints garbage from its first word on: it never counts as started, nor cycles for ever."""
    call("systemctl", "stop", "llama-cpp.service", "vllm-watchdog.service")
    call("systemctl", "reset-failed", "vllm.service")
    FAULT.write_text("garbage")
    code, _ = call("systemctl", "start", "vllm.service")
    seen: set[str] = set()

    def ended() -> bool:
        state = show("vllm")
        seen.add(state["ActiveState"])
        return state["ActiveState"] == "failed" and int(state["NRestarts"]) >= _BURST

    took = until(ended, 150)
    time.sleep(10)  # and it stays there
    FAULT.unlink()
    return {"code": code, "took": took, "seen": sorted(seen), "server": show("vllm")}


def watchdog_hangs() -> dict[str, Any]:
    """Unlike an engine it notifies systemd, which kills it when it does not."""
    call("systemctl", "start", "vllm-watchdog.service")
    before = show("vllm-watchdog")
    os.kill(int(before["MainPID"]), signal.SIGSTOP)
    took = until(lambda: show("vllm-watchdog")["MainPID"] not in {before["MainPID"], "0"}, 60)
    ready = until(lambda: show("vllm-watchdog")["ActiveState"] == "active", 30)
    return {"took": took, "ready": ready, "watchdog": show("vllm-watchdog")}


def kept() -> dict[str, Any]:
    """Let llmflake-kept remove a model that nothing uses, of the user that downloads, and find what others own."""
    root = Path("/run/systems")
    for name in ("run/current-system", "run/booted-system", "nix/var/nix/profiles/system"):
        uses = root / name.replace("/", "-") / "etc/llmflake/uses.json"
        uses.parent.mkdir(parents=True)
        uses.write_text(json.dumps({"models": [], "images": {}, "runtime": None}))
        Path("/", name).parent.mkdir(parents=True, exist_ok=True)
        Path("/", name).symlink_to(uses.parents[2])
    directory, registry = Path("/var/lib/llm/models/old"), Path("/var/lib/llm-models/directories")
    registry.mkdir(parents=True)
    (registry / "old").symlink_to(directory)
    (directory / "below").mkdir(parents=True)
    whole: dict[str, Any] = {}
    for name in ("weights", "below/roots"):
        (directory / name).write_bytes(b"w" * 9999)
        status = (directory / name).stat()
        whole[name] = [status.st_size, status.st_mtime_ns, "sha256:00"]
    (directory / ".llmflake-model.json").write_text(json.dumps({"selection": "", "listing": None, "whole": whole}))
    call("chown", "-R", "llm-models:llm-models", str(directory))
    call("chown", "-R", "root:root", str(directory / "below"))
    program = ("env", "PYTHONPATH=/llmflake/programs", "python3", "-P", "-m", "generator.machine.kept")
    found = {"before": call(*program, "--remove"), "accept": call(*program, "--accept"), "listed": call(*program)}
    there = sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
    removed = call(*program, "--remove")
    left = sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
    return {**found, "there": there, "removed": removed, "left": left}


def main() -> None:
    found: dict[str, Any] = {}
    out = Path(sys.argv[1])
    for scenario in (install, start, hang, stopped, crash, fall_back, rights, garbage, watchdog_hangs, kept):
        try:
            found[scenario.__name__] = scenario()
        except Exception:  # noqa: BLE001 - whatever it was, the test outside has to see it
            found[scenario.__name__] = {"error": traceback.format_exc()}
        out.write_text(json.dumps(found, indent=2))
    (out.parent / "journal").write_text(call("journalctl", "--no-pager", "-o", "short-monotonic")[1])
    call("systemctl", "poweroff")


if __name__ == "__main__":
    main()
