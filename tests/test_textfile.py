"""The watchdog's metrics, as node_exporter will read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from generator.machine.known import Judgement
from generator.machine.textfile import Textfile
from generator.machine.watch import Decision

if TYPE_CHECKING:
    from pathlib import Path


def values(path: Path) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            labels = tuple(value for name, value in sorted(sample.labels.items()) if name != "unit")
            found[sample.name, *labels] = sample.value
            assert sample.labels["unit"] == "vllm"
    return found


def test_the_file_says_what_the_server_is_and_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "vllm.prom"
    metrics = Textfile(path, "vllm")
    metrics.write(Decision("restart", "hung", "no progress"), Judgement("dead", "timeout"), 5.0)
    metrics.write(Decision("probe", "healthy", "idle"), None, 6.0)
    found = values(path)
    assert found["llmflake_watchdog_health", "healthy"] == 1
    assert found["llmflake_watchdog_health", "hung"] == 0
    assert found["llmflake_watchdog_actions_total", "restart"] == 1
    assert found["llmflake_watchdog_actions_total", "reboot"] == 0
    assert found["llmflake_watchdog_probes_total", "dead"] == 1
    assert found["llmflake_watchdog_last_run_timestamp_seconds",] == 6.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["vllm.prom"]
