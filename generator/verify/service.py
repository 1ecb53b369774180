"""The services of a machine: running since they started, as they were generated, with the locked engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generator.catalog.acceptance import facts
from generator.verify.observe import properties
from generator.verify.system import unseen
from generator.verify.turns import turn
from generator.verify.verdict import Criterion, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generator.process import Output
    from generator.spec.model import Model
    from generator.verify.expectation import MachineExpectation, ServiceExpectation


def judge(expected: MachineExpectation, seen: Mapping[str, Output]) -> Iterator[Verdict]:
    """Judge the services of a machine."""
    for service in expected.services:
        away = turn(expected, service, seen)
        if away is not None:
            yield away
            continue
        unit = service.service.unit
        shown, log = seen[f"unit:{unit}"], seen[f"log:{unit}"]
        told = properties(shown.out)
        yield _active(service, shown, told)
        if told.get("LoadState") == "loaded":
            yield _restarts(service, told)
            yield _files(service, told)
        if service.service.runtime == "container" and service.service.container.image is not None:
            yield _image(service, service.service.container.image, seen[f"image:{unit}"])
        if service.model is not None:
            yield _model(service, service.model, seen[f"model:{unit}"])
        yield from _fast_path(expected, service, log)
        if service.floors.memory is not None:
            yield _memory(service, seen["gtt_used"])


def _criterion(expected: ServiceExpectation, name: str, what: str, rule: str) -> Criterion:
    return Criterion("service", name, expected.service.name, what, rule)


def _active(expected: ServiceExpectation, shown: Output, told: dict[str, str]) -> Verdict:
    unit = expected.service.unit
    wanted = _criterion(expected, "active", f"{unit}.service is active", "docs/plan.md section 5, phase 3")
    if shown.code != 0 or not told:
        return wanted.not_checked(unseen(shown))
    state = told.get("ActiveState", "unknown")
    said = f"{state}, {told.get('Result', '')}" if state == "failed" else state
    advice = f"see 'journalctl -u {unit}' on the machine"
    if not expected.service.start_on_boot and state == "inactive":
        advice = f"start_on_boot is false: 'systemctl start {unit}' on the machine, then verify again"
    return wanted.decide(state == "active", said, advice)


def _restarts(expected: ServiceExpectation, told: dict[str, str]) -> Verdict:
    wanted = _criterion(expected, "restarts", "it did not restart by itself", "load success is not health")
    count = int(told["NRestarts"]) if told.get("NRestarts", "").isdigit() else 0
    advice = f"see why in 'journalctl -u {expected.service.unit}', then 'systemctl reset-failed'"
    return wanted.decide(count == 0, f"{count} restarts", advice, float(count), "restarts")


def _files(expected: ServiceExpectation, told: dict[str, str]) -> Verdict:
    """NixOS links every unit file from the store: one that is elsewhere was edited by hand."""
    wanted = _criterion(
        expected, "unit-files", "unit files as generated, and as systemd read them", "one source of truth"
    )
    places = [told.get("FragmentPath", ""), *told.get("DropInPaths", "").split()]
    strange = [path for path in places if path and not path.startswith(("/etc/systemd/system/", "/nix/store/"))]
    if told.get("NeedDaemonReload") == "yes":
        return wanted.failed(
            "changed on disk since systemd read them", "run 'systemctl daemon-reload', or deploy again"
        )
    return wanted.decide(not strange, ", ".join(strange or places), "remove it, and deploy the spec again")


def _image(expected: ServiceExpectation, image: str, output: Output) -> Verdict:
    digest = image.partition("@")[2]
    wanted = _criterion(expected, "image", f"the container runs {digest[:19]}…", "spec: services.*.container.image")
    if output.code != 0:
        return wanted.not_checked(unseen(output))
    advice = f"'systemctl restart {expected.service.unit}' on the machine"
    return wanted.decide(digest in output.out, output.out.strip()[:120], advice)


def _model(expected: ServiceExpectation, model: Model, shown: Output) -> Verdict:
    wanted = _criterion(expected, "model", f"{model.repository} at {model.revision[:12]}", "spec: models.*.revision")
    told = properties(shown.out)
    if shown.code != 0 or told.get("LoadState") != "loaded":
        return wanted.not_checked(unseen(shown) if shown.code else "no unit downloads it")
    described = told.get("Description", "")
    holds = model.revision in described and told.get("Result") == "success"
    advice = f"deploy the spec again; see 'journalctl -u llm-model-{model.name}'"
    return wanted.decide(holds, f"{described}: {told.get('Result')}", advice)


def _fast_path(machine: MachineExpectation, expected: ServiceExpectation, log: Output) -> Iterator[Verdict]:
    hardware = machine.machine.hardware
    model = expected.model
    for record in facts()["log_line"]:
        same = (
            hardware is not None
            and record["accelerator"] == hardware.accelerator
            and record["engine"] == expected.service.engine
            and model is not None
            and record["quantisation"] == model.quantisation
        )
        if not same:
            continue
        wanted = _criterion(expected, "fast-path", f"its log says: {record['pattern']}", record["source"])
        if log.code != 0 or (log.err.strip() and not log.out.strip()):
            yield wanted.not_checked(unseen(log))
            continue
        found = re.findall(rf".*(?:{record['pattern']}|{record['slow']}).*", log.out)
        if not found:
            yield wanted.not_checked("its log names no such backend; it may be older than this boot's log")
        else:
            yield wanted.decide(re.search(record["pattern"], found[-1]) is not None, found[-1][:120], record["advice"])


def _memory(expected: ServiceExpectation, output: Output) -> Verdict:
    limit = expected.floors.memory
    if limit is None:  # judge asks only where there is one
        raise ValueError("no limit of memory")
    wanted = _criterion(expected, "memory", f"at most {limit.value:.0f} MiB of GPU memory in use", limit.rule)
    values = [int(line) for line in output.out.split() if line.isdigit()]
    if not values:
        return wanted.not_checked(unseen(output))
    mib = max(values) // (1024 * 1024)
    return wanted.decide(mib <= limit.value, f"{mib} MiB", "see who else has the GPU open", float(mib), "MiB")
