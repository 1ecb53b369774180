"""A real Prometheus with our configuration and rules, and what it scrapes: a real llama-server and node_exporter.

vLLM is its recorded /metrics; node_exporter reads a sysfs tree of a Strix Halo, and what the program of ages wrote.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from generator import resources
from tests.llama import free_port, required
from tests.nix_program import ROOT
from tests.prometheus import RecordedVllm, deployment, evaluate, get, program, running, sysfs, wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.nix_program import Nix

METRICS = tomllib.loads(resources.release_data("metrics.toml").read_text(encoding="utf-8"))
PANELS = tomllib.loads(resources.release_data("panels.toml").read_text(encoding="utf-8"))["panel"]
QUERIES = [(panel["title"], query) for panel in PANELS for query in panel["queries"]]
FRESH = 3  # scrapes of the recorded vLLM before it served a request
DAY = 86400


def ages(nix: Nix, folder: Path, *arguments: str, **files: Path) -> str:
    """Run the program of ages, with files as its credentials; return the metrics that it wrote."""
    stub = "{ writeShellApplication = program: program.text; coreutils = null; openssl = null; }"
    text: str = nix.evaluate(f"import {ROOT}/nix/programs/ages.nix {stub}")
    places = {name: folder / name for name in ("CREDENTIALS", "STATE", "RUNTIME")}
    for path in places.values():
        path.mkdir(exist_ok=True)
    for name, path in files.items():
        shutil.copy(path, places["CREDENTIALS"] / name.replace("_", "-"))
    environment = {f"{name}_DIRECTORY": str(path) for name, path in places.items()}
    command = ["bash", "-euo", "pipefail", "-c", text, "llm-ages", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return (places["RUNTIME"] / "llm-ages.prom").read_text(encoding="utf-8")


def certificate(path: Path, days: int) -> Path:
    """Make a certificate that holds so many days."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH; install it (Debian: apt-get install openssl)")
    key = path.with_suffix(".key")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        str(key),
    ]
    subprocess.run(
        [*command, "-out", str(path), "-days", str(days), "-subj", "/CN=llm"], check=True, capture_output=True
    )
    return path


KEY = "not-a-real-key"
SENT = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True, slots=True)
class Watched:
    """What runs: Prometheus, and what it scrapes."""

    url: str
    llama: str
    exporter: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of a query now."""
        answer = json.loads(get(f"{self.url}/api/v1/query", query=expression))
        assert answer["status"] == "success"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules as Prometheus sees them."""
        groups = json.loads(get(f"{self.url}/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


def ask(url: str, prompt: str) -> None:
    """Let a real llama-server generate."""
    body = json.dumps({"prompt": prompt, "n_predict": 24, "cache_prompt": True}).encode()
    request = urllib.request.Request(f"{url}/completion", body, {"Content-Type": "application/json", **SENT})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        assert json.loads(answer.read())["tokens_predicted"] > 0


@pytest.fixture(scope="module")
def watched(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("prometheus")
    server, model = required()
    ports = {name: free_port() for name in ("llama", "node", "prometheus")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    metrics = folder / "textfile"
    metrics.mkdir()
    key = folder / "key"
    key.write_text(f"{KEY}\n", encoding="utf-8")
    text = ages(
        nix, folder, "key", "chat", "certificate", "gateway",
        key_chat=key, certificate_gateway=certificate(folder / "gateway.pem", 90),
    )  # fmt: skip
    (metrics / "llm-ages.prom").write_text(text, encoding="utf-8")

    data = deployment(scrapeInterval=1)
    configs = evaluate(nix, data, 'lib.scrape.configs d "aspen1"')
    rules = folder / "rules.json"
    rules.write_text(evaluate(nix, data, "lib.monitoring.ruleFile d"), encoding="utf-8")
    collectors = evaluate(nix, data, "lib.scrape.exporter")
    with ExitStack() as stack:
        vllm = stack.enter_context(RecordedVllm(FRESH))
        serve = [server, "--model", str(model), "--host", "127.0.0.1", "--port", str(ports["llama"]), "--metrics"]
        serve += ["--ctx-size", "1024", "--parallel", "2", "--threads", "1", "--api-key-file", str(key)]
        stack.enter_context(running(serve, f"{urls['llama']}/health", folder / "llama.log"))
        export = [program("prometheus-node-exporter"), f"--path.sysfs={sysfs(folder / 'sys')}"]
        # There may be no systemd where tests run; its flags are read all the same.
        export += [f"--collector.{name}" for name in collectors["collectors"] if name != "systemd"]
        export += ["--no-collector.systemd", *collectors["flags"], f"--collector.textfile.directory={metrics}"]
        export += [f"--web.listen-address=127.0.0.1:{ports['node']}"]
        stack.enter_context(running(export, f"{urls['node']}/metrics", folder / "node.log"))

        # What the configuration names, at the ports and with the key that are here; nothing else in it is changed.
        here = {"127.0.0.1:8000": vllm.port, "aspen2.lan:8080": ports["llama"], "127.0.0.1:8081": free_port()}
        here |= {"127.0.0.1:9100": ports["node"], "aspen2.lan:9100": ports["node"]}
        here |= {"127.0.0.1:8899": free_port()}  # Traefik's, which test_certificates.py runs
        for config in configs:
            if "authorization" in config:
                config["authorization"]["credentials_file"] = str(key)
            for group in config["static_configs"]:
                group["targets"] = [f"127.0.0.1:{here[target]}" for target in group["targets"]]
        settings = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(rules)], "scrape_configs": configs}
        (folder / "prometheus.json").write_text(json.dumps(settings), encoding="utf-8")
        run = [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.json'}",
            f"--storage.tsdb.path={folder / 'data'}",
        ]
        run += [f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--log.level=warn"]
        stack.enter_context(running(run, f"{urls['prometheus']}/-/ready", folder / "prometheus.log"))

        found = Watched(urls["prometheus"], urls["llama"], urls["node"])
        # Rates need two scrapes around what they count.
        assert wait(lambda: bool(found.query("llamacpp:n_decode_total")), 30)
        for _ in range(2):
            ask(found.llama, "Count from one to ten:")
        assert wait(lambda: all(map(found.query, READY)), 30)
        yield found


# What shows that requests were served, scraped, and seen by the rules.
READY = [
    f'{name}{{service="{service}"}} > 0'
    for name in ("llm:generation_tokens:rate5m", "llm:decode_tokens_per_second:rate15m", "llm:prompt_tokens:rate5m")
    for service in ("batch", "chat")
]


def filled(expression: str) -> str:
    """Return a panel's query as Grafana would send it."""
    for name, value in {"$__rate_interval": "1m", "$machine": ".*", "@model_mounts@": "/.*"}.items():
        expression = expression.replace(name, value)
    return expression


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[f"{title}: {query['legend']}" for title, query in QUERIES])
def test_every_query_of_the_dashboard_has_data_or_says_what_it_waits_for(
    watched: Watched, title: str, query: dict[str, str]
) -> None:
    found = watched.query(filled(query["expr"]))
    numbers = [float(sample["value"][1]) for sample in found]
    if "conditional" not in query:
        assert numbers, title
        assert any(number == number for number in numbers), f"{title}: not a number"  # noqa: PLR0124 - what NaN is


def test_all_rules_are_evaluated_without_an_error(watched: Watched) -> None:
    rules = watched.rules()
    assert {rule["name"] for rule in rules if rule.get("lastError")} == set()
    assert {rule["health"] for rule in rules} == {"ok"}


def test_both_engines_are_scraped_and_the_stopped_server_is_seen_to_be_down(watched: Watched) -> None:
    up = {(s["metric"]["machine"], s["metric"].get("service")): s["value"][1] for s in watched.query("up")}
    assert up == {
        ("aspen1", "batch"): "1",
        ("aspen2", "chat"): "1",
        ("aspen1", "spare"): "0",
        ("aspen1", None): "1",
        ("aspen2", None): "1",
    }


def test_no_alarm_is_raised_and_a_limit_other_than_asked_for_is_noticed(watched: Watched) -> None:
    """The one sysfs tree stands for both machines, and aspen2 asked for less than it says."""
    assert watched.query('ALERTS{alertstate="firing"}') == []
    pending = {
        (s["metric"]["alertname"], s["metric"]["machine"]) for s in watched.query('ALERTS{alertstate="pending"}')
    }
    assert ("LlmGttLimitWrong", "aspen2") in pending
    assert ("LlmGttLimitWrong", "aspen1") not in pending


def test_the_plans_names_have_data(watched: Watched) -> None:
    for entry in METRICS["revived"]:
        assert watched.query(entry["name"]), entry["name"]
    (share,) = watched.query('amd_gpu_memory_utilization_percent{machine="aspen1"}')
    assert float(share["value"][1]) == pytest.approx(80.0, abs=0.01)


def test_a_real_llama_server_has_the_metrics_of_the_catalogue(watched: Watched) -> None:
    exported = dict(re.findall(r"^# TYPE (\S+) (\S+)$", get(f"{watched.llama}/metrics", SENT), re.MULTILINE))
    for metric in METRICS["llamacpp"]["metrics"]:
        assert exported[metric["name"]] == metric["kind"]


def test_a_real_node_exporter_has_the_metrics_of_the_catalogue(watched: Watched) -> None:
    exported = dict(re.findall(r"^# TYPE (\S+) (\S+)$", get(f"{watched.exporter}/metrics"), re.MULTILINE))
    either = {"node_hwmon_power_watt", "node_hwmon_power_average_watt"}
    assert either & set(exported)
    absent = {metric["name"] for metric in METRICS["node"]["metrics"]} - either - set(exported)
    # systemd's, and the kernel's pressure where it does not count it, cannot be seen everywhere.
    assert {name for name in absent if not name.startswith(("node_systemd_", "node_pressure_"))} == set()
    for metric in METRICS["node"]["metrics"]:
        assert exported.get(metric["name"], metric["kind"]) == metric["kind"]


def test_prometheus_keeps_only_what_is_read_of_node_exporter(watched: Watched) -> None:
    names = {s["metric"]["__name__"] for s in watched.query('count by (__name__) ({job="llm-node"})')}
    assert "node_drm_gpu_busy_percent" in names
    assert not {name for name in names if name.startswith(("node_cpu_", "node_netstat_", "go_", "process_"))}


# The program of ages.


def test_a_certificate_holds_as_long_as_it_says(nix: Nix, tmp_path: Path) -> None:
    text = ages(nix, tmp_path, "certificate", "gateway", certificate_gateway=certificate(tmp_path / "c.pem", 10))
    value = re.search(r'^llm_certificate_not_after_seconds\{certificate="gateway"\} (\d+)$', text, re.MULTILINE)
    assert value is not None
    assert 9.9 * DAY < int(value[1]) - time.time() <= 10 * DAY


def test_a_key_is_as_old_as_the_first_look_at_it_and_a_new_one_is_new(nix: Nix, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("one", encoding="utf-8")
    ages(nix, tmp_path, "key", "chat", key_chat=key)
    (seen,) = (tmp_path / "STATE").iterdir()
    seen.write_text("1000\n", encoding="utf-8")
    assert 'llm_key_first_seen_seconds{key="chat"} 1000\n' in ages(nix, tmp_path, "key", "chat", key_chat=key)
    key.write_text("two", encoding="utf-8")
    assert 'llm_key_first_seen_seconds{key="chat"} 1000\n' not in ages(nix, tmp_path, "key", "chat", key_chat=key)


def test_no_key_is_in_what_the_program_leaves(nix: Nix, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sesame-open-1234", encoding="utf-8")
    text = ages(nix, tmp_path, "key", "chat", key_chat=key)
    left = text + "".join(f"{path.name} {path.read_text(encoding='utf-8')}" for path in (tmp_path / "STATE").iterdir())
    assert "sesame" not in left


def test_promtool_accepts_what_the_program_writes(nix: Nix, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("one", encoding="utf-8")
    pem = certificate(tmp_path / "c.pem", 10)
    text = ages(nix, tmp_path, "key", 'a "b" \\c', "certificate", "g", **{'key_a "b" \\c': key}, certificate_g=pem)
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_file_fails_the_unit_and_leaves_the_last_metrics(nix: Nix, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("one", encoding="utf-8")
    before = ages(nix, tmp_path, "key", "chat", key_chat=key)
    with pytest.raises(RuntimeError, match="No such file"):
        ages(nix, tmp_path, "key", "other")
    assert (tmp_path / "RUNTIME" / "llm-ages.prom").read_text(encoding="utf-8") == before
