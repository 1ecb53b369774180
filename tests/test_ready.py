"""Readiness: a server counts as started when it answered, and never when it cannot."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from generator.machine import ready
from generator.machine.known import Known
from generator.machine.ready import wait
from tests.faulty_server import FaultyServer, serving
from tests.llama import MODEL, free_port
from tests.nix_program import ROOT
from tests.watched import settings

if TYPE_CHECKING:
    from pathlib import Path

    from generator.machine.known import Judgement
    from generator.machine.settings import Settings
    from tests.llama import LlamaServer


def waited(configured: Settings, key: str | None = None) -> Judgement:
    return asyncio.run(wait(configured, key))


def test_a_server_that_answers_is_ready() -> None:
    with serving(FaultyServer()) as url:
        assert waited(settings(url=url)).outcome == "passed"


def test_a_real_server_is_ready_at_its_least_rate(llama_server: LlamaServer) -> None:
    judgement = waited(settings(url=llama_server.url, model=MODEL, hang_limit=30.0, start_limit=30.0))
    assert judgement.outcome == "passed", judgement


def test_a_real_server_below_its_least_rate_is_not(llama_server: LlamaServer) -> None:
    known = Known(minimum_rate=1e6)
    judgement = waited(settings(url=llama_server.url, model=MODEL, known=known, hang_limit=30.0, start_limit=30.0))
    assert judgement.outcome == "slow"


def test_a_server_that_comes_up_late_is_waited_for() -> None:
    port = free_port()
    results: list[Judgement] = []
    waiting = threading.Thread(target=lambda: results.append(waited(settings(url=f"http://127.0.0.1:{port}"))))
    waiting.start()
    time.sleep(1.0)
    with serving(FaultyServer(), port):
        waiting.join(10)
    assert [judgement.outcome for judgement in results] == ["passed"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("garbage", "wrong"), ("wrong answer", "wrong"), ("wrong model", "wrong"), ("empty", "wrong"), ("hang", "late")],
)
def test_a_server_whose_answers_are_no_good_is_not_ready(fault: str, outcome: str) -> None:
    with serving(FaultyServer(fault=fault)) as url:
        assert waited(settings(url=url, start_limit=6.0, hang_limit=0.5)).outcome == outcome


def test_nobody_is_waited_for_beyond_the_start_limit() -> None:
    began = time.monotonic()
    assert waited(settings(url=f"http://127.0.0.1:{free_port()}", start_limit=1.0)).outcome == "dead"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("folder", "code"), [("here", 0), ("nowhere", 1)])
def test_the_key_is_the_one_that_systemd_hands_over_and_the_exit_code_tells(
    folder: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "llm-key").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / folder))
    monkeypatch.setattr(ready, "drop_privileges", lambda: None)  # of the tests' own process
    monkeypatch.setattr(sys, "argv", ["llmflake-ready", str(tmp_path / "settings.json")])
    caplog.set_level(logging.INFO)
    with serving(FaultyServer(key="s3cret")) as url:
        (tmp_path / "settings.json").write_text(settings_json(url=url, start_limit=5.0))
        with pytest.raises(SystemExit) as exit_info:
            ready.main()
    assert int(exit_info.value.code or 0) == code
    assert "s3cret" not in caplog.text


def test_a_root_process_becomes_nobody() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can drop root's privileges; run the tests as root")
    program = "import os; from generator.machine.ready import drop_privileges as drop; drop(); "
    program += "print(os.getresuid(), os.getresgid(), os.getgroups())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "(65534, 65534, 65534) (65534, 65534, 65534) []\n"


def settings_json(**changes: object) -> str:
    """Return settings as the file that Nix writes has them."""
    data = {
        "name": "llm",
        "unit": "vllm",
        "url": "http://127.0.0.1:1",
        "model": "tiny",
        "counters": None,
        "question": "What is 2+2? Answer with the number alone.",
        "answer": "4",
        "max_tokens": 64,
        "minimum_rate": 1.0,
        "start_limit": 10,
        "probe_interval": 1,
        "hang_limit": 1,
        "restarts": 2,
        "fallback_unit": None,
        "reboot": False,
        "reboot_interval_hours": 24,
        "restart_after_requests": None,
        "restart_after_hours": None,
        **changes,
    }
    return json.dumps(data)
