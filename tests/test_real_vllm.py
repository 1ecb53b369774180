"""A real vLLM on the CPU: its argument parser, its endpoints, its metrics, and the watchdog beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner

from generator.cli import main
from generator.machine.chat import Request, ask
from tests.conftest import EXAMPLES, write_flake
from tests.llama import free_port
from tests.nix_program import ROOT
from tests.test_examples import STRIX_HALO
from tests.test_watchdog import TICK, FakeUnits, watch
from tests.verified import spec_of
from tests.watched import VLLM, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from generator.machine.chat import Reply
    from tests.nix_program import Flakes

FOLDER = ROOT / ".vllm"
PYTHON = FOLDER / "venv" / "bin" / "python"
NEED_VLLM = "no vLLM for the CPU; run `make test-vllm`, which installs it (3.4 GB)"
KEY = "s3cret"
CONTEXT = 1024
ENVIRONMENT = {"VLLM_TARGET_DEVICE": "cpu", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
pytestmark = pytest.mark.skipif(not (FOLDER / "ready").exists(), reason=NEED_VLLM)


def complaints(lists: list[list[str]]) -> list[str]:
    """Return what vLLM's own parser says of argument lists."""
    done = subprocess.run(
        [str(PYTHON), str(ROOT / "tests" / "vllm_arguments.py")],
        input=json.dumps(lists),
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_vllm_takes_every_argument_list_that_an_example_generates(flakes: Flakes, tmp_path: Path) -> None:
    (tmp_path / "strix-halo").mkdir()
    (tmp_path / "strix-halo" / "flake.nix").write_text(STRIX_HALO)
    apply = """machine: builtins.concatMap (name: let server = machine.config.llmflake.resolved.${name}; in
      if machine.config.llmflake.servers.${name}.serviceType == "vllm" then [ server.arguments ] else [ ])
      (builtins.attrNames machine.config.llmflake.resolved)"""
    lists = []
    for example in EXAMPLES:
        flake = write_flake(example, tmp_path / example.stem)
        inputs: dict[str, Path | str] = {}
        if "nix-strix-halo" in (flake / "flake.lock").read_text():
            inputs["nix_strix_halo"] = tmp_path / "strix-halo"
        for machine in sorted(path.name for path in (flake / "machines").iterdir()):
            lists += flakes.eval(flake, f"nixosConfigurations.{machine}", apply, **inputs)
    assert len(lists) >= 3
    assert complaints(lists) == [""] * len(lists)


def test_the_parser_can_complain() -> None:
    wrong = [["m", "--max-model-length", "4"], ["m", "--swap-space", "4"], ["m", "--reasoning-parser", "openai_gpt"]]
    found = complaints([["m", "--reasoning-parser", "openai_gptoss", "--tool-call-parser", "openai"], *wrong])
    assert found[0] == ""
    assert all(found[1:]), found


@dataclass
class Vllm:
    """A vLLM that serves the tiny model as ``tiny``."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def engine(self) -> list[int]:
        """Return the processes that compute: all of the session but the API server."""
        found = subprocess.run(["pgrep", "-s", str(self.process.pid)], capture_output=True, text=True, check=True)
        return [int(line) for line in found.stdout.split() if int(line) != self.process.pid]


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    """Start a vLLM, and wait until it listens."""
    port = free_port()
    command = [str(PYTHON.parent / "vllm"), "serve", str(FOLDER / "model"), "--served-model-name", "tiny"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(CONTEXT), "--max-num-seqs", "4"]
    command += ["--enforce-eager", "--dtype", "float32", "--max-num-queued-reqs", "4"]
    log = tmp_path_factory.mktemp("vllm") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **ENVIRONMENT, "VLLM_API_KEY": KEY},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Vllm(port, process)
    try:
        until = time.monotonic() + 300
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until, log.read_text()[-3000:]
            try:
                if httpx.get(f"{server.url}/health", trust_env=False).status_code == httpx.codes.OK:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def test_verify_accepts_all_but_the_answers_of_random_weights(vllm: Vllm, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    spec = spec_of(
        tmp_path,
        vllm.port,
        engine="vllm",
        name="tiny",
        format="safetensors",
        file="",
        runtime='runtime = "native"',
        flags=f"vllm = {{ max_model_len = {CONTEXT}, max_num_seqs = 4 }}",
    )
    report = tmp_path / "report.json"
    phases = ["--phase", "api", "--phase", "speed", "--phase", "metrics", "--key-file", str(tmp_path / "key")]
    done = CliRunner().invoke(main, ["verify", str(spec), "here", "--local", *phases, "--report", str(report)])
    outcomes = {entry["id"]: entry["outcome"] for entry in json.loads(report.read_text())["criteria"]}
    wrong = {name for name, outcome in outcomes.items() if outcome != "passed"}
    assert wrong <= {"api.llm.answer", "api.llm.output"}, done.output
    assert "api.llm.answer" in wrong  # random weights know nothing
    for name in ("api.llm.models", "api.llm.budget", "api.llm.stream", "api.llm.too-long", "api.llm.key"):
        assert outcomes[name] == "passed"
    assert outcomes["metrics.llm.endpoint"] == "passed"
    assert KEY not in done.output
    assert KEY not in report.read_text()


def real(vllm: Vllm, **changes: Any) -> Any:  # noqa: ANN401 - settings
    return settings(url=vllm.url, model="tiny", names=VLLM, **changes)


def load(vllm: Vllm, replies: list[Reply]) -> Any:  # noqa: ANN401 - a function
    async def one(client: httpx.AsyncClient, number: int) -> None:
        while True:
            prompt = f"{number} " + "words " * (60 if number % 2 else 2)
            request = Request("tiny", ({"role": "user", "content": prompt},), 120, exact=True)
            replies.append(await ask(client, vllm.url, request, key=KEY))
            await asyncio.sleep(0.02)

    async def beside(client: httpx.AsyncClient) -> None:
        await asyncio.gather(*(one(client, number) for number in range(12)))

    return beside


def test_a_real_vllm_under_load_is_never_restarted(vllm: Vllm, tmp_path: Path) -> None:
    """Twelve clients on four slots and a queue of four: some are turned away, and its questions would be as well."""
    units, replies = FakeUnits(), []  # type: ignore[var-annotated]
    watch(real(vllm, hang_limit=8.0, probe_interval=2.0), units, tmp_path, 25, load(vllm, replies), key=KEY)
    assert units.done == []
    assert sum(reply.fault is None for reply in replies) >= 12


def test_a_hung_engine_is_found_although_health_says_200(vllm: Vllm, tmp_path: Path) -> None:
    """The last test of this file: the engine does not come back."""
    units = FakeUnits()
    replies: list[Reply] = []

    async def beside(client: httpx.AsyncClient) -> None:
        for process in vllm.engine():
            os.kill(process, signal.SIGSTOP)
        await load(vllm, replies)(client)

    took = watch(real(vllm, hang_limit=5.0, probe_interval=2.0), units, tmp_path, 60, beside, until_done=1, key=KEY)
    assert httpx.get(f"{vllm.url}/health", trust_env=False, timeout=10).status_code == 200
    assert units.done == ["restart vllm"]
    assert took <= 2.0 + 5.0 + 3 * (1.25 + TICK) + 2.0
