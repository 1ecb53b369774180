"""Ctrl-C at any time: what was decided is a report, and the rest of it was interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from generator.spec.load import load_spec
from generator.verify.expectation import expectations
from generator.verify.left import interrupted
from generator.verify.run import Plan
from generator.verify.verdict import PHASES, Criterion
from tests.nix_program import ROOT
from tests.test_verify_silence import silent_server
from tests.verified import aspen1, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@contextlib.contextmanager
def verifying(spec: Path, machine: str, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Run verify in a process of its own, as a person would, who presses Ctrl-C."""
    command = [sys.executable, "-m", "generator", "verify", str(spec), machine, *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(path: Path) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in json.loads(path.read_text())["criteria"]}


def wait_for(path: Path) -> None:
    until = time.monotonic() + 20
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert path.exists()


def test_ctrl_c_while_a_server_is_asked_writes_every_report(tmp_path: Path) -> None:
    reports = [tmp_path / f"r.{ending}" for ending in ("json", "md", "xml")]
    options = [word for path in reports for word in ("--report", str(path))]
    with silent_server() as port:
        spec = spec_of(tmp_path, port)
        with verifying(spec, "here", "--local", "--soak", "1h", *options) as process:
            while "api.llm" not in (line := process.stdout.readline()) and "service.llm.model" not in line:
                assert line
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=20)
    assert process.returncode in {1, 2}
    assert "Traceback" not in errors
    found = told(reports[0])
    assert found["service.llm.active"]["measured"] != "interrupted"
    cut = {name for name, entry in found.items() if entry["measured"] == "interrupted"}
    assert {name.split(".")[0] for name in cut} == {"api", "speed", "metrics", "soak"}
    assert len(cut) == 6 + 4 + 1 + 7
    assert {found[name]["outcome"] for name in cut} == {"not checked"}
    assert all(path.stat().st_size for path in reports)
    assert "not checked soak.llm.decode: interrupted" in output


def test_ctrl_c_while_the_machine_is_looked_at_is_a_report_too(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "uname").write_text(f"#!/bin/sh\n: >{tmp_path}/begun\nexec sleep 25\n")
    (programs / "uname").chmod(0o755)
    spec = ROOT / "examples" / "aspen1.toml"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    options = ("--local", "--report", str(tmp_path / "r.json"))
    with verifying(spec, "aspen1", *options, environment=environment) as process:
        wait_for(tmp_path / "begun")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2, errors
    found = told(tmp_path / "r.json")
    assert {(entry["outcome"], entry["measured"]) for entry in found.values()} == {("not checked", "interrupted")}
    assert {name.split(".")[0] for name in found} == set(PHASES)
    assert {"system.aspen1.kernel", "rocm.aspen1.agent", "service.llm.active", "api.llm.models"} <= found.keys()


def test_ctrl_c_while_ssh_connects_is_a_report_and_leaves_no_ssh(tmp_path: Path) -> None:
    if not shutil.which("ssh"):
        pytest.skip("no ssh; install openssh-client")
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = tmp_path / "ssh_config"
        config.write_text(f"Host aspen1\n  HostName 127.0.0.1\n  Port {server.getsockname()[1]}\n")
        options = ("--ssh-config", str(config), "--report", str(tmp_path / "r.json"))
        with verifying(ROOT / "examples" / "aspen1.toml", "aspen1", *options) as process:
            connection, _ = server.accept()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
            connection.settimeout(10)
            while connection.recv(1024):
                pass  # until ssh, which would wait for the server's first word, is gone
            connection.close()
    assert process.returncode == 2, errors
    assert {entry["measured"] for entry in told(tmp_path / "r.json").values()} == {"interrupted"}


def test_an_interrupted_comparison_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text('{"criteria": []}')
    with silent_server() as port:
        spec = spec_of(tmp_path, port)
        options = ("--local", "--phase", "api", "--baseline", str(tmp_path / "before.json"))
        with verifying(spec, "here", *options, "--report", str(tmp_path / "r.json")) as process:
            time.sleep(3.0)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
    found = told(tmp_path / "r.json")
    assert found["baseline.report.baseline"]["outcome"] == "not checked"
    assert process.returncode == 2


def test_what_was_decided_is_not_named_again() -> None:
    plan = Plan(("system", "api"))
    kernel = Criterion("system", "kernel", "aspen1", "", "").passed("6.18.9")
    models = Criterion("api", "models", "llm", "", "").passed("it is")
    left = [verdict.criterion.id for verdict in interrupted(aspen1(), plan, [kernel, models])]
    assert left == [f"api.llm.{name}" for name in ("answer", "budget", "output", "stream", "too-long")]


def test_a_service_that_gave_its_turn_away_has_nothing_left() -> None:
    expected = expectations(load_spec(ROOT / "examples" / "two-machines.json"), "aspen1")
    gone = Criterion("service", "turn", "small", "", "").passed("stopped")
    left = [verdict.criterion.id for verdict in interrupted(expected, Plan(("service", "api")), [gone])]
    assert {name.split(".")[1] for name in left} == {"batch"}
