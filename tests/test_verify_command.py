"""``llmflake verify`` as it is typed: on the machine itself, and by real ssh to a real sshd with a machine's files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from junitparser import JUnitXml

from generator.cli import main
from generator.console import Examples
from generator.verify.verdict import PHASES
from tests.faulty_server import FaultyServer, serving
from tests.llama import free_port
from tests.nix_program import ROOT
from tests.verified import SEEN, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.llama import LlamaServer

NAME = "ArliAI/gpt-oss-120b-Derestricted"
RECORDED = (ROOT / "tests" / "data" / "vllm-0.32.0-metrics.txt").read_text(encoding="utf-8")
NEED_SSHD = "no sshd, ssh or unshare for root; run as root and install openssh-server, openssh-client and util-linux"


def test_a_real_server_on_this_machine_is_accepted(llama_server: LlamaServer, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, llama_server.port)
    reports = [tmp_path / f"report.{ending}" for ending in ("md", "json", "xml")]
    options = [word for path in reports for word in ("--report", str(path))]
    phases = ["--phase", "api", "--phase", "metrics", "--soak", "4s"]
    done = CliRunner().invoke(main, ["verify", str(spec), "here", "--local", *phases, *options])
    assert done.exit_code == 0, done.output
    assert "passed      api.llm.answer: " in done.output
    assert "here: accepted: " in done.output
    assert "# Acceptance of here: accepted" in reports[0].read_text()
    assert sum(suite.tests for suite in JUnitXml.fromfile(str(reports[2]))) == done.output.count("passed      ")
    again = CliRunner().invoke(
        main, ["verify", str(spec), "here", "--local", "--phase", "metrics", "--baseline", str(reports[1]), "--json"]
    )
    assert again.exit_code == 0, again.output
    assert json.loads(again.output)["criteria"][-1]["id"] == "baseline.report.baseline"


def test_a_broken_server_is_not_accepted(tmp_path: Path) -> None:
    with serving(FaultyServer(fault="garbage", model="smollm2")) as url:
        spec = spec_of(tmp_path, int(url.rpartition(":")[2]))
        done = CliRunner().invoke(main, ["verify", str(spec), "here", "--local", "--phase", "api"])
    assert done.exit_code == 1
    assert "failed      api.llm.answer: the character '/' repeated 64 times" in done.output


def test_a_spec_whose_name_is_no_utf8_is_verified_and_reported(tmp_path: Path) -> None:
    with serving(FaultyServer(model="smollm2", fault="error", said="\x1b[31m")) as url:
        spec = spec_of(tmp_path, int(url.rpartition(":")[2])).rename(tmp_path / os.fsdecode(b"sp\xffec.toml"))
        reports = [tmp_path / f"r.{ending}" for ending in ("md", "json", "xml")]
        command = [sys.executable, "-m", "generator", "verify", str(spec), "here", "--local", "--phase", "api"]
        command += [word for path in reports for word in ("--report", str(path))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert b"Traceback" not in done.stderr
    assert "sp\\\\udcffec.toml, " in reports[0].read_text(encoding="utf-8")
    assert json.loads(reports[1].read_text(encoding="utf-8"))["spec"] == str(spec)
    assert sum(suite.failures for suite in JUnitXml.fromfile(str(reports[2]))) > 0
    assert b"\x1b" not in done.stdout
    assert rb"\x1b[31m" in done.stdout


@pytest.mark.parametrize(("asked", "judged"), [("api_key = true", True), ("", False)])
def test_a_key_is_for_the_services_that_ask_for_one(asked: str, judged: bool, tmp_path: Path) -> None:  # noqa: FBT001
    (tmp_path / "key").write_text("not-a-real-key\n")
    server = FaultyServer(rate=200, model="smollm2", key="not-a-real-key" if asked else None)
    with serving(server) as url:
        spec = spec_of(tmp_path, int(url.rpartition(":")[2]), runtime=asked)
        arguments = ["verify", str(spec), "here", "--local", "--phase", "api", "--key-file", str(tmp_path / "key")]
        done = CliRunner().invoke(main, arguments)
    assert ("passed      api.llm.key: " in done.output) is judged, done.output
    assert ("api.llm.key" in done.output) is judged
    assert "passed      api.llm.answer: " in done.output


def test_ctrl_c_ends_a_load_with_a_report_of_what_was_seen(tmp_path: Path) -> None:
    with serving(FaultyServer(rate=50, model="smollm2")) as url:
        spec = spec_of(tmp_path, int(url.rpartition(":")[2]))
        command = [sys.executable, "-m", "generator", "verify", str(spec), "here", "--local", "--phase", "metrics"]
        command += ["--soak", "1h", "--report", str(tmp_path / "r.json")]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert "not checked soak.llm.duration: stopped after" in output
    assert "passed      soak.llm.errors: no error" in output
    criteria = {entry["id"]: entry["outcome"] for entry in json.loads((tmp_path / "r.json").read_text())["criteria"]}
    assert criteria["soak.llm.duration"] == "not checked"
    assert process.returncode == 1  # its metrics are not all there


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--local"], "has no machine nowhere; it has here"),
        (["here", "--soak", "1 hour"], "'1 hour' is no duration; write 90s, 10m or 1h"),
        (["here", "--report", "x.pdf"], "which say what to write"),
        (["here", "--baseline", "spec.toml"], "is no report"),
    ],
)
def test_wrong_usage_says_what_to_do(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec_of(tmp_path, 8000)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["verify", "spec.toml", *arguments])
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())


def script(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def printing(folder: Path, program: str, text: str) -> str:
    (folder / f"{program}.txt").write_text(text)
    return f"cat {folder}/{program}.txt"


@pytest.fixture
def aspen1(tmp_path: Path) -> Iterator[Path]:
    """Start an sshd whose machine has aspen1's files; give the ssh configuration that reaches it as ``aspen1``."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    if sshd is None or os.geteuid() != 0 or not shutil.which("ssh") or not shutil.which("unshare"):
        pytest.skip(NEED_SSHD)
    sys_folder, programs = tmp_path / "sys", tmp_path / "programs"
    programs.mkdir()
    files = {
        "class/drm/card1/device/mem_info_gtt_total": SEEN["gtt_total"],
        "class/drm/card1/device/mem_info_gtt_used": SEEN["gtt_used"],
        "module/ttm/parameters/pages_limit": SEEN["pages_limit"],
        "kernel/debug/dri/128/amdgpu_firmware_info": SEEN["firmware"],
    }
    for path, text in files.items():
        (sys_folder / path).parent.mkdir(parents=True, exist_ok=True)
        (sys_folder / path).write_text(text)
    (tmp_path / "cmdline").write_text(SEEN["cmdline"])
    (tmp_path / "meminfo").write_text(SEEN["meminfo"])
    script(programs, "uname", printing(programs, "uname", SEEN["kernel"]))
    script(programs, "stat", printing(programs, "stat", SEEN["nodes"]))
    script(programs, "rocminfo", printing(programs, "rocminfo", SEEN["rocminfo"]))
    script(programs, "rocm-smi", printing(programs, "rocm-smi", SEEN["rocm_smi"]))
    script(programs, "hipconfig", "exit 0")
    script(programs, "podman", printing(programs, "podman", SEEN["image:vllm"]))
    unit, model = printing(programs, "unit", SEEN["unit:vllm"]), printing(programs, "model", SEEN["model:vllm"])
    script(programs, "systemctl", f'case "$2" in vllm.service) {unit} ;; *) {model} ;; esac')
    kernel, log = printing(programs, "kernel", SEEN["kernel_log"]), printing(programs, "log", SEEN["log:vllm"])
    script(programs, "journalctl", f'case "$1" in -k) {kernel} ;; *) {log} ;; esac')
    kept = f"sys.exit(kept.main(sys.argv[1:], Path('{tmp_path}/root')))"
    script(
        programs,
        "llmflake-kept",
        f'PYTHONPATH={ROOT} exec {sys.executable} -P -c "import sys; from pathlib import Path; '
        f'from generator.machine import kept; {kept}" "$@"',
    )
    system = tmp_path / "system"
    (system / "etc/llmflake").mkdir(parents=True)
    here = {"directory": str(tmp_path / "model"), "hashes": ["sha256:00"]}
    chosen = {"repository": "a/b", "revision": "1", "include": [], "exclude": []}
    uses: dict[str, Any] = {"models": [{**here, **chosen}], "images": {}, "runtime": None}
    (system / "etc/llmflake/uses.json").write_text(json.dumps(uses))
    (tmp_path / "root/run").mkdir(parents=True)
    (tmp_path / "root/run/current-system").symlink_to(system)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    port = free_port()
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\n"
        f"SetEnv PATH={programs}:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    host_key = (tmp_path / "host.pub").read_text()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (tmp_path / "ssh_config").write_text(
        f"Host aspen1\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {tmp_path}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {tmp_path}/known_hosts\n"
    )
    enter = (
        f"mount --bind {sys_folder} /sys && mount --bind {tmp_path}/cmdline /proc/cmdline && "
        f"mount --bind {tmp_path}/meminfo /proc/meminfo && mount -t tmpfs none /run && "
        f"mkdir -p /run/sshd && ln -s {system} /run/current-system && "
        f"exec {sshd} -D -e -f {tmp_path}/sshd_config"
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", enter], stderr=(tmp_path / "sshd.log").open("w"), stdin=subprocess.DEVNULL
    )
    until = time.monotonic() + 10
    while "Server listening" not in (tmp_path / "sshd.log").read_text() and time.monotonic() < until:
        time.sleep(0.05)
    yield tmp_path / "ssh_config"
    process.terminate()
    process.wait(10)


def aspen1_spec(folder: Path, port: int) -> Path:
    text = (ROOT / "examples" / "aspen1.toml").read_text(encoding="utf-8").replace("port = 8000", f"port = {port}")
    (folder / "aspen1.toml").write_text(text)
    return folder / "aspen1.toml"


def test_the_plans_machine_is_accepted_over_ssh(aspen1: Path, tmp_path: Path) -> None:
    with serving(FaultyServer(model=NAME, more_metrics=RECORDED)) as url:
        spec = aspen1_spec(tmp_path, int(url.rpartition(":")[2]))
        done = CliRunner().invoke(main, ["verify", str(spec), "aspen1", "--ssh-config", str(aspen1)])
    assert done.exit_code == 0, done.output
    for line in (
        "passed      system.aspen1.kernel: 6.18.9",
        "passed      system.aspen1.gtt: 117760 MiB",
        "passed      system.aspen1.firmware-MES: 0x00000080",
        "passed      rocm.aspen1.agent: gfx1151",
        "passed      rocm.llm.engine-memory: at least 114616 MiB: Model loading took 61.33 GiB",
        "passed      service.llm.image: ",
        "passed      service.llm.fast-path: INFO Using 'TRITON' Mxfp4 MoE backend.",
        "passed      api.llm.answer: ",
        "passed      speed.llm.first-token: ",
        "passed      metrics.llm.endpoint: ",
    ):
        assert line in done.output
    assert done.output.rstrip().splitlines()[-1].startswith("aspen1: accepted: ")
    record = json.loads((tmp_path / "root/var/lib/llmflake/accepted.json").read_text())
    assert record["system"] == str(tmp_path / "system")
    (model,) = record["models"]
    assert (model["directory"], model["hashes"]) == (str(tmp_path / "model"), ["sha256:00"])


def test_what_was_deployed_meanwhile_is_not_recorded_as_accepted(aspen1: Path, tmp_path: Path) -> None:
    running = tmp_path / "root/run/current-system"
    running.unlink()
    running.symlink_to(tmp_path)
    with serving(FaultyServer(model=NAME, more_metrics=RECORDED)) as url:
        spec = aspen1_spec(tmp_path, int(url.rpartition(":")[2]))
        done = CliRunner().invoke(main, ["verify", str(spec), "aspen1", "--ssh-config", str(aspen1)])
    assert done.exit_code == 0, done.output
    assert (
        f"aspen1: what it uses is not kept as the accepted state: {tmp_path} runs by now, and not {tmp_path}/system; "
        "nothing was recorded; run 'llmflake-kept --accept' as root on the machine\n"
    ) in done.output
    assert not (tmp_path / "root/var/lib/llmflake/accepted.json").exists()


def test_half_the_memory_is_not_accepted_over_ssh(aspen1: Path, tmp_path: Path) -> None:
    (tmp_path / "sys/class/drm/card1/device/mem_info_gtt_total").write_text(f"{62 * 1024**3}\n")
    with serving(FaultyServer(model=NAME)) as url:
        spec = aspen1_spec(tmp_path, int(url.rpartition(":")[2]))
        done = CliRunner().invoke(
            main, ["verify", str(spec), "aspen1", "--ssh-config", str(aspen1), "--phase", "system"]
        )
    assert done.exit_code == 1
    assert "failed      system.aspen1.gtt: 63488 MiB" in done.output
    assert not (tmp_path / "root/var/lib/llmflake/accepted.json").exists()


def test_an_engine_that_sees_half_the_memory_is_not_accepted_over_ssh(aspen1: Path, tmp_path: Path) -> None:
    (tmp_path / "programs" / "log.txt").write_text(
        "a prompt that nobody else shall read\n"
        "torch.OutOfMemoryError: HIP out of memory. GPU 0 has a total capacity of 62.47 GiB of which\n"
    )
    spec = aspen1_spec(tmp_path, 8000)
    done = CliRunner().invoke(main, ["verify", str(spec), "aspen1", "--ssh-config", str(aspen1), "--phase", "rocm"])
    assert done.exit_code == 1
    assert "failed      rocm.llm.engine-memory: 63969 MiB" in done.output
    assert "set gttsize_parameter = false" in done.output


def test_a_port_where_nothing_listens_is_named_over_ssh_as_the_machine_has_it(aspen1: Path, tmp_path: Path) -> None:
    port = free_port()
    phases = ["--phase", "api", "--phase", "speed", "--phase", "metrics", "--soak", "1h"]
    spec = aspen1_spec(tmp_path, port)
    done = CliRunner().invoke(main, ["verify", str(spec), "aspen1", "--ssh-config", str(aspen1), *phases])
    assert done.exit_code == 1
    assert f"failed      api.llm.models: nothing listens on 127.0.0.1:{port} (expected: " in done.output
    assert f"failed      metrics.llm.endpoint: nothing listens on 127.0.0.1:{port} (expected: " in done.output
    assert done.output.count("it did not answer api.llm.models") == 5 + 4 + 7
    assert done.output.endswith("aspen1: not accepted: 2 failed, 16 not checked\n")


def test_a_machine_that_cannot_be_reached_could_not_be_checked(tmp_path: Path) -> None:
    if not shutil.which("ssh"):
        pytest.skip(NEED_SSHD)
    config = tmp_path / "ssh_config"
    config.write_text(f"Host aspen1\n  HostName 127.0.0.1\n  Port {free_port()}\n")
    spec = aspen1_spec(tmp_path, 8000)
    options = ["--ssh-config", str(config), "--report", str(tmp_path / "r.json")]
    done = CliRunner().invoke(main, ["verify", str(spec), "aspen1", *options])
    assert done.exit_code == 2, done.output
    assert done.output.count("Connection refused") == 1  # as every phase would say
    assert "passed" not in done.output
    assert done.output.endswith("aspen1: could not check everything: 6 not checked\n")
    reported = json.loads((tmp_path / "r.json").read_text())["criteria"]
    assert [entry["id"] for entry in reported] == [f"{phase}.aspen1.reachable" for phase in PHASES]
    assert all("Connection refused" in entry["measured"] for entry in reported)


def test_a_model_without_its_safety_training_is_flagged_wherever_a_report_goes(tmp_path: Path) -> None:
    note = "llm serves justinjja/gpt-oss-120b-Derestricted-MXFP4: the model's safety training was removed: "
    reports = [tmp_path / f"r.{ending}" for ending in ("md", "json", "xml")]
    options = [word for path in reports for word in ("--report", str(path))]
    spec = aspen1_spec(tmp_path, free_port())
    done = CliRunner().invoke(main, ["verify", str(spec), "aspen1", "--local", "--phase", "metrics", *options])
    assert f"note        {note}" in done.output
    assert f"**Note:** {note}" in reports[0].read_text()
    assert [text.startswith(note) for text in json.loads(reports[1].read_text())["notes"]] == [True]
    (suite,) = JUnitXml.fromfile(str(reports[2]))
    properties = suite.properties()  # type: ignore[no-untyped-call]
    assert [one.name for one in properties] == ["note"]
    assert not [name for name in suite if "note" in name.name]


def test_the_examples_of_the_help_are_whole_commands_on_a_line_each() -> None:
    done = CliRunner().invoke(main, ["verify", "--help"])
    command = main.get_command(click.Context(main), "verify")
    assert isinstance(command, Examples)
    shown = [line.removeprefix("  ") for line in done.output.partition("Examples:\n")[2].splitlines()]
    assert shown == list(command.examples)
    assert max(map(len, shown)) > 80
