"""A real Prometheus that holds the invented hours, and what the deployment's own rules make of them."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.drawn.history import history
from tests.drawn.load import END, HOURS, STEP
from tests.llama import free_port
from tests.prometheus import evaluate, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.nix_program import Nix

_SECONDS = {"m": 60, "h": 3600}
_NOW = 1800  # seconds: of alerts, those that fire in the end are drawn


@contextmanager
def remembering(nix: Nix, data: Mapping[str, Any], folder: Path, *, plain: bool) -> Iterator[str]:
    """Run a Prometheus with the past of a deployment, as ``history`` has it; yield its address."""
    rules = evaluate(nix, data, "lib.monitoring.ruleGroups d")
    text = folder / "history.txt"
    gtt = {name: machine["host"]["gttMiB"] for name, machine in data["machines"].items()}
    with text.open("w", encoding="utf-8") as file:
        file.writelines(history(evaluate(nix, data, "lib.scrape.servers d"), gtt, plain=plain))
    database = folder / "data"
    _promtool("create-blocks-from", "openmetrics", str(text), str(database))
    text.unlink()
    # promtool evaluates rules against a Prometheus, which sees what was recorded once it has started anew.
    for name, some in passes([rule for group in rules for rule in group["rules"]]).items():
        file_of_rules = folder / f"{name}.json"
        file_of_rules.write_text(json.dumps({"groups": [{"name": name, "rules": some}]}), encoding="utf-8")
        seconds = _NOW if name == "alerts" else HOURS * 3600
        with _prometheus(database, folder) as url:
            span = [f"--start={END - seconds}", f"--end={END}", f"--eval-interval={STEP}s", f"--url={url}"]
            _promtool("create-blocks-from", "rules", *span, f"--output-dir={database}", str(file_of_rules))
    with _prometheus(database, folder) as url:
        yield url


def passes(rules: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return rules in three groups of which each needs those before it; what nobody draws is left out."""
    recorded = [rule for rule in rules if rule.get("record", "").startswith("llm:")]
    facts = [rule for rule in recorded if rule["expr"].startswith("vector(")]
    return {
        "facts": facts,
        "recorded": [rule for rule in recorded if rule not in facts],
        "alerts": [_firing(rule) for rule in rules if "alert" in rule],
    }


def _firing(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alert as the series that Prometheus keeps of it: promtool makes a past of recording rules alone."""
    held = re.fullmatch(r"(\d+)([mh])", rule["for"])
    assert held is not None
    seconds = int(held[1]) * _SECONDS[held[2]]
    # As often as it was looked at within that time.
    count = f"count_over_time(({rule['expr']})[{max(seconds, STEP)}s:{STEP}s])"
    expression = f"({count} >= {max(1, seconds // STEP)}) * 0 + 1"
    labels = {**rule["labels"], "alertname": rule["alert"], "alertstate": "firing"}
    return {"record": "ALERTS", "expr": expression, "labels": labels}


@contextmanager
def _prometheus(database: Path, folder: Path) -> Iterator[str]:
    config = folder / "prometheus.yml"
    config.write_text("{}\n", encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={database}", "--log.level=warn"]
    # The past stays, and gets no older than it is.
    command += ["--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, f"{url}/-/ready", folder / "prometheus.log"):
        yield url


def _promtool(*words: str) -> None:
    done = subprocess.run([program("promtool"), "tsdb", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"promtool: {done.stdout}{done.stderr}")
