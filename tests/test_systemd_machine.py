"""The rendered units under a real systemd: a Debian booted by systemd-nspawn, with a server that fails on demand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from generator import resources
from tests.conftest import write_flake
from tests.machine_driver import PROMISED
from tests.nix_program import ROOT
from tests.test_health_units import FACTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nix_program import Flakes

MACHINE = ROOT / ".machine" / "debian"
NEED_MACHINE = "boots a machine, which takes minutes; run `make test-systemd` as root"
SPEC = """
[clan]
name = "pair"
[machines.here]
hardware = { accelerator = "cpu", memory_mib = 16384 }
[models.m]
repository = "a/b"
revision = "0123456789012345678901234567890123456789"
served_name = "tiny"
format = "safetensors"
[models.g]
repository = "a/g"
revision = "0123456789012345678901234567890123456789"
file = "m.gguf"
served_name = "tiny"
format = "gguf"
[services.llm]
engine = "vllm"
runtime = "native"
gpu = false
machines = ["here"]
model = "m"
conflicts = ["chat"]
[services.llm.health]
fallback = "chat"
probe_interval = 5
hang_limit = 5
start_limit = 20
restarts = 1
[services.chat]
engine = "llamacpp"
gpu = false
machines = ["here"]
model = "g"
start_on_boot = false
llamacpp = { metrics = true }
[services.chat.health]
probe_interval = 5
hang_limit = 5
start_limit = 20
"""
PORTS = {"vllm": 8000, "llama-cpp": 8080}
# What waits for minutes on a real machine, and needs not here.
FASTER = {
    "RestartSec=30": "RestartSec=1",
    "WatchdogSec=120": "WatchdogSec=12",
    "TimeoutStopSec=120": "TimeoutStopSec=5",
}


def run_here(unit: str, text: str) -> str:
    """Let a rendered unit run programs that are there: only its Exec lines and its PATH change."""
    base = unit.removesuffix("-watchdog")
    python = "/usr/bin/python3 -P -m generator.machine"
    server = f"/usr/bin/python3 /llmflake/faulty_server.py --port {PORTS.get(base, 0)} --fault-file /llmflake/fault"
    programs = {
        "ExecStart": "/bin/true"
        if unit.startswith("llm-model")
        else f"{python}.watchdog /llmflake/{base}.json"
        if unit.endswith("-watchdog")
        else server,
        "ExecStartPost": "/bin/true" if unit.startswith("llm-model") else f"{python}.ready /llmflake/{base}.json",
    }
    text = re.sub(r"(?m)^(Exec(?!StartPre)\w+)=.+$", lambda found: f"{found[1]}={programs[found[1]]}", text)
    text = re.sub(r'(?m)^(ExecStartPre=\+")/nix/store/[^"/]+', r"\1/usr", text)
    text = re.sub(r'(?m)^Environment="PATH=.+$', 'Environment="PATH=/usr/bin:/bin"', text)
    text = text.replace("[Service]\n", '[Service]\nEnvironment="PYTHONPATH=/llmflake/programs"\n', 1)
    for slow, fast in FASTER.items():
        text = text.replace(slow, fast)
    return text


@pytest.fixture(scope="session")
def seen(flakes: Flakes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Boot the machine once, let the driver do everything to it, and return what it wrote down."""
    if os.environ.get("LLMFLAKE_BOOT") != "1" or not MACHINE.with_suffix(".ready").exists():
        pytest.skip(NEED_MACHINE)
    folder = tmp_path_factory.mktemp("machine")
    shared = folder / "llmflake"
    (folder / "spec.toml").write_text(SPEC)
    # nixpkgs has marked its vLLM as insecure. Here it is only named: the server that runs is the tests' own.
    allow = "{ nixpkgs.config.allowInsecurePredicate = _: true; }"
    flake = write_flake(folder / "spec.toml", folder / "out", here=allow)
    facts = flakes.eval(flake, "nixosConfigurations.here", FACTS)
    prepare(shared, facts)
    boot(shared, folder)
    found: dict[str, Any] = json.loads((shared / "seen.json").read_text())
    return found


def prepare(shared: Path, facts: dict[str, Any]) -> None:
    """Lay units, settings, programs and the driver where the machine finds them."""
    (shared / "units").mkdir(parents=True)
    ours = [name for name in facts["units"] if re.match(r"(vllm|llama-cpp)(-watchdog)?\.service|llm-model-.*", name)]
    assert len(ours) == 6, ours
    for name in ours:
        (shared / "units" / name).write_text(run_here(name.removesuffix(".service"), facts["units"][name]))
    for settings in facts["health"].values():
        (shared / f"{settings['unit']}.json").write_text(json.dumps(settings))
    (shared / "llmflake.rules").write_text(facts["polkit"]["extraConfig"])
    for path, text in resources.static_files().items():
        if path.startswith("nix/programs/generator/"):
            target = shared / "programs" / path.removeprefix("nix/programs/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    for name in ("faulty_server.py", "machine_driver.py"):
        shutil.copy(ROOT / "tests" / name, shared / name)
    (shared / "driver.service").write_text(
        "[Unit]\nAfter=multi-user.target dbus.service\n[Service]\nType=exec\n"
        "ExecStart=/usr/bin/python3 /llmflake/machine_driver.py /llmflake/seen.json\n"
    )
    for entry in shared.rglob("*"):
        entry.chmod(0o755 if entry.is_dir() else 0o644)
    shared.chmod(0o755)


def boot(shared: Path, folder: Path) -> None:
    """Boot the folder with systemd-nspawn, on a cgroup tree of its own, until it powers itself off."""
    spawn = [
        "systemd-nspawn",
        *("--quiet", "--directory", str(MACHINE), "--volatile=overlay", "--register=no", "--keep-unit"),
        *("--private-network", "--console=pipe", "--machine=llmflake-test"),
        *("--bind", f"{shared}:/llmflake"),
        *("--bind-ro", f"{shared}/driver.service:/etc/systemd/system/driver.service"),
        *("--boot", "--", "systemd.wants=driver.service"),
    ]
    enter = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    with (folder / "boot.log").open("w") as log:
        subprocess.run(
            ["unshare", "--mount", "--cgroup", "sh", "-c", enter, "sh", *spawn],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=600,
            check=False,
        )
    assert (shared / "seen.json").exists(), (folder / "boot.log").read_text()


def test_a_server_counts_as_started_when_it_answered(seen: dict[str, Any]) -> None:
    start = seen["start"]
    assert start["code"] == 0, start
    assert start["server"]["ActiveState"] == "active"
    assert "ready: 'The answer is 4.'" in start["log"]


def test_the_watchdog_tells_systemd_that_it_is_there(seen: dict[str, Any]) -> None:
    (code, _), state, log = seen["start"]["watchdog"]
    assert code == 0, log
    assert state["ActiveState"] == "active"


def test_a_server_that_does_not_start_by_itself_stays_down(seen: dict[str, Any]) -> None:
    assert seen["start"]["fallback"]["ActiveState"] == "inactive"
    assert seen["stopped"]["fallback"]["ActiveState"] == "inactive"


def test_a_hung_server_is_restarted_in_the_promised_time_and_answers_again(seen: dict[str, Any]) -> None:
    hang = seen["hang"]
    assert hang["took"] is not None, hang
    assert hang["took"] <= PROMISED
    assert hang["ready"] is not None
    assert hang["actions"]["restart"] == 1


def test_a_stopped_server_stays_stopped(seen: dict[str, Any]) -> None:
    stopped = seen["stopped"]
    assert stopped["server"]["ActiveState"] in {"inactive", "failed"}
    assert stopped["after"] == stopped["before"]


def test_a_server_that_dies_is_brought_back_by_systemd_itself(seen: dict[str, Any]) -> None:
    crash = seen["crash"]
    assert crash["took"] is not None
    assert crash["ready"] is not None
    assert crash["actions"]["restart"] == 1  # the watchdog had no hand in it


def test_the_fallback_engine_takes_over_when_the_restarts_are_used_up(seen: dict[str, Any]) -> None:
    fell = seen["fall_back"]
    assert fell["took"] is not None, fell
    assert fell["fallback"]["ActiveState"] == "active"
    assert fell["server"]["ActiveState"] in {"inactive", "failed"}
    assert fell["actions"]["fallback"] == 1


def test_the_watchdog_may_touch_its_units_and_nothing_else(seen: dict[str, Any]) -> None:
    rights = seen["rights"]
    assert rights["own"][0] == 0, rights["own"]
    assert rights["other"][0] != 0
    assert rights["reboot"][0] != 0


def test_a_server_that_prints_garbage_never_counts_as_started_and_ends(seen: dict[str, Any]) -> None:
    garbage = seen["garbage"]
    assert garbage["code"] != 0
    assert "active" not in garbage["seen"]
    assert garbage["took"] is not None, garbage
    assert (garbage["server"]["ActiveState"], garbage["server"]["NRestarts"]) == ("failed", "5")


def test_a_watchdog_that_hangs_is_killed_and_comes_back(seen: dict[str, Any]) -> None:
    assert seen["watchdog_hangs"]["took"] is not None, seen["watchdog_hangs"]
    assert seen["watchdog_hangs"]["ready"] is not None


def test_what_no_system_uses_is_removed_as_the_user_that_brought_it(seen: dict[str, Any]) -> None:
    """As root, but never more than that user may: a file in a folder of root's stays, whatever the record says."""
    kept = seen["kept"]
    assert kept["before"][0] != 0
    assert "no state of this machine was accepted yet" in kept["before"][1]
    assert kept["accept"][0] == 0, kept
    assert "/var/lib/llm/models/old, 0.00 GiB" in kept["listed"][1]
    assert kept["there"] == [".llmflake-model.json", "below", "below/roots", "weights"]
    assert kept["removed"][0] == 0, kept
    assert kept["left"] == ["below", "below/roots"]
