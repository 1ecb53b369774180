"""The real Prometheus and what it scrapes, where bin/set-up-prometheus could lay them; started on ports of loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import pytest

from generator.emit.data import deployment_data
from generator.spec.load import load_spec
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.nix_program import Nix

DATA = ROOT / "tests" / "data"
SPEC = DATA / "monitored.toml"
RECORDED = DATA / "vllm-0.32.0-metrics.txt"
_LAID = ROOT / ".prometheus"
NEED = "no {}; run `bin/set-up-prometheus .prometheus` (needs Debian's archive), as `make test` does"


def program(name: str) -> str:
    """Return the path of prometheus, promtool or prometheus-node-exporter; skip the test where there is none."""
    found = shutil.which(name, path=f"{_LAID / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip(NEED.format(name))
    return found


def deployment(**monitoring: object) -> dict[str, Any]:
    """Return deployment.json of the tests' spec, with fields of its table ``monitoring`` replaced."""
    data = deployment_data(load_spec(SPEC))
    data["monitoring"].update(monitoring)
    return data


def evaluate(nix: Nix, data: Mapping[str, Any], expression: str) -> Any:  # noqa: ANN401 - whatever it is
    """Return the value of a Nix expression in which ``lib`` is nix/lib and ``d`` the deployment."""
    text = json.dumps(json.dumps(data)).replace("${", "\\${")
    return nix.evaluate(f"let lib = import {ROOT}/nix/lib; d = builtins.fromJSON {text}; in {expression}")


def get(url: str, headers: Mapping[str, str] | None = None, **query: str) -> str:
    """Return what is at a URL of loopback; raises URLError."""
    full = f"{url}?{urllib.parse.urlencode(query)}" if query else url
    request = urllib.request.Request(full, headers=dict(headers or {}))  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        text: str = answer.read().decode()
        return text


@contextmanager
def running(command: list[str], ready: str, log: Path) -> Iterator[None]:
    """Run a program until the block ends; ``ready`` is a URL that answers once it is there, within 60 seconds."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait(lambda: process.poll() is not None or _answers(ready), 60)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended:\n{log.read_text(errors='replace')[-2000:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait(until: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again, and return whether it came true in time."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _answers(url: str) -> bool:
    try:
        get(url)
    except (urllib.error.URLError, OSError):
        return False
    return True


class RecordedVllm:
    """Serves the recorded metrics of a real vLLM: first as they are at its start, all counters 0, then as recorded."""

    def __init__(self, fresh: int) -> None:
        """Serve zeros to the first ``fresh`` scrapes."""
        recorded = RECORDED.read_text(encoding="utf-8")
        started = "".join(map(_zero, recorded.splitlines(keepends=True)))
        scrapes = iter(range(fresh))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = (started if next(scrapes, None) is not None else recorded).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _zero(line: str) -> str:
    series, _, _ = line.rpartition(" ")
    name = series.partition("{")[0]
    grows = name.endswith(("_total", "_bucket", "_sum", "_count"))
    return f"{series} 0.0\n" if grows and not line.startswith("#") else line


def sysfs(folder: Path) -> Path:
    """Lay the part of /sys that node_exporter reads of a Strix Halo with 115 GiB of GTT, in the kernel's own forms."""
    device = folder / "devices" / "pci0000:00" / "0000:c5:00.0"
    card, hwmon = device / "drm" / "card0", device / "hwmon" / "hwmon3"
    for path in (card, hwmon, folder / "class" / "drm", folder / "class" / "hwmon"):
        path.mkdir(parents=True)
    (card / "device").symlink_to("../../../0000:c5:00.0")
    (hwmon / "device").symlink_to("../../../0000:c5:00.0")
    (folder / "class" / "drm" / "card0").symlink_to("../../devices/pci0000:00/0000:c5:00.0/drm/card0")
    (folder / "class" / "hwmon" / "hwmon3").symlink_to("../../devices/pci0000:00/0000:c5:00.0/hwmon/hwmon3")
    files = {
        device / "uevent": "DRIVER=amdgpu\nPCI_CLASS=38000\nPCI_ID=1002:1586\nPCI_SLOT_NAME=0000:c5:00.0",
        device / "gpu_busy_percent": "93",
        device / "mem_info_gtt_total": "123480309760",
        device / "mem_info_gtt_used": "98784247808",
        device / "mem_info_vram_total": "536870912",
        device / "mem_info_vram_used": "160000000",
        device / "mem_info_vis_vram_total": "536870912",
        device / "mem_info_vis_vram_used": "160000000",
        device / "power_dpm_force_performance_level": "auto",
        hwmon / "name": "amdgpu",
        hwmon / "temp1_input": "67000",
        hwmon / "temp1_label": "edge",
        hwmon / "power1_average": "92041000",
        hwmon / "power1_label": "PPT",
    }
    for path, text in files.items():
        path.write_text(text + "\n", encoding="utf-8")
    return folder
