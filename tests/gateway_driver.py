"""Runs inside a booted machine (tests/test_systemd_gateway.py): starts the units, and writes down who sees keys.

Standard library alone; the last argument is the JSON file that it leaves.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

UNITS = ("llama-cpp", "litellm", "traefik")
KEYS = Path("/llmflake/keys")


def call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=120)
    return done.stdout + done.stderr


def ask(url: str, key: str | None, body: Any = None, host: str | None = None) -> list[Any]:  # noqa: ANN401
    """Return the status and the text of an answer; status 0 where there is none."""
    headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - servers of this machine
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
    except OSError as error:
        return [0, str(error)]


def until_ok(url: str, key: str, host: str | None = None) -> bool:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if ask(url, key, host=host)[0] == 200:
            return True
        time.sleep(1)
    return False


def holders(key: str) -> dict[str, list[str]]:
    """Return the programs that have a key in their arguments and in their environment, by the names of their units."""
    found: dict[str, list[str]] = {"cmdline": [], "environ": []}
    for process in Path("/proc").glob("[0-9]*"):
        for name, units in found.items():
            try:
                if key.encode() in (process / name).read_bytes():
                    units.append((process / "cgroup").read_text().strip().rpartition("/")[2])
            except OSError:
                continue
    return found


def scenario() -> dict[str, Any]:
    keys = {path.name: path.read_text().strip() for path in KEYS.iterdir()}
    seen: dict[str, Any] = {"systemd": call("systemctl", "--version").splitlines()[0]}
    for user in ("traefik", "llm-models"):
        call("useradd", "--system", "--user-group", user)
    call("install", "-d", "-o", "traefik", "-g", "traefik", "/var/lib/traefik")
    call("install", "-D", "-m", "644", "/opt/llama/model.gguf", "/var/lib/llm/models/g/a.gguf")
    for unit in UNITS:
        seen[f"start-{unit}"] = call("systemctl", "start", f"{unit}.service")
    seen["engine"] = until_ok("http://127.0.0.1:8080/props", keys["api-key"])
    front = "https://127.0.0.1:443"
    seen["gateway"] = until_ok(f"{front}/v1/models", keys["client-ann"], "llm.test")
    body = {"model": "chat", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
    for name, key in (("none", None), ("wrong", "x" * 64), ("right", keys["client-ann"])):
        seen[f"chat-{name}"] = ask(f"{front}/v1/chat/completions", key, body, "llm.test")
    for name, key in (("none", None), ("right", keys["api-key"])):
        seen[f"engine-{name}"] = ask("http://127.0.0.1:8080/v1/chat/completions", key, body)
    seen["holders"] = {name: holders(key) for name, key in keys.items()}
    shown = "".join(call("systemctl", "show", f"{unit}.service") for unit in UNITS)
    journal = call("journalctl", "--no-pager", "--output=export")
    seen["shown"] = [name for name, key in keys.items() if key in shown]
    seen["logged"] = [name for name, key in keys.items() if key in journal]
    seen["states"] = {unit: call("systemctl", "is-active", f"{unit}.service").strip() for unit in UNITS}
    seen["logs"] = {unit: call("journalctl", "--no-pager", "-u", unit)[-4000:] for unit in UNITS}
    (KEYS / "api-key").write_text("")
    call("systemctl", "restart", "llama-cpp.service")
    time.sleep(2)
    seen["emptied"] = [
        call("systemctl", "show", "llama-cpp.service", "--property=ExecMainStatus").strip(),
        ask("http://127.0.0.1:8080/health", None)[0],
        call("journalctl", "--no-pager", "-u", "llama-cpp", "-n", "30"),
    ]
    return seen


if __name__ == "__main__":
    result: dict[str, Any] = {}
    try:
        result = scenario()
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shall read it
        result = {"error": repr(error)}
    Path(sys.argv[-1]).write_text(json.dumps(result))
    subprocess.run(["systemctl", "poweroff", "--force"], check=False)
