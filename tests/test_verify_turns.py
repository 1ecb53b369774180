"""Services that take turns: the one that is stopped is as it should be while another has the turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from generator.process import Output
from generator.spec.load import load_spec
from generator.verify import engine_memory, run, service
from generator.verify.expectation import MachineExpectation, expectations
from generator.verify.observe import commands
from generator.verify.run import Plan
from generator.verify.turns import in_turns, turn
from generator.verify.verdict import PHASES, Phase, Verdict
from tests.nix_program import ROOT
from tests.verified import UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH, SMALL = "vllm", "llama-cpp"  # the units of batch, which names small in its conflicts, and of small


def aspen1() -> MachineExpectation:
    return expectations(load_spec(ROOT / "examples" / "two-machines.json"), "aspen1")


def shown(state: str) -> Output:
    return Output(0, UNIT.replace("ActiveState=active", f"ActiveState={state}"), "")


def seen(batch: Output, small: Output) -> dict[str, Output]:
    found = dict.fromkeys(commands(aspen1()), Output(1, "", "not seen"))
    return found | {f"unit:{BATCH}": batch, f"unit:{SMALL}": small}


class Machine:
    """A way to a machine whose units are in these states, and where nothing listens."""

    def __init__(self, found: dict[str, Output]) -> None:
        self._found = found

    def run(self, command: Sequence[str], timeout: float = 30.0) -> Output:  # noqa: ARG002 - a transport has it
        unit = command[2].removesuffix(".service") if command[0] == "systemctl" else ""
        return self._found.get(f"unit:{unit}", Output(1, "", "not seen"))

    def url(self, host: str, port: int) -> str:  # noqa: ARG002 - likewise
        return "http://127.0.0.1:1"

    def refused(self, host: str, port: int) -> bool:  # noqa: ARG002 - likewise
        return True


def checked(found: dict[str, Output], *phases: Phase) -> dict[str, Verdict]:
    plan = Plan(phases, soak_seconds=1.0)
    return {one.criterion.id: one for one in run.verify(aspen1(), Machine(found), plan, lambda _: None)}


@pytest.mark.parametrize(("away", "having"), [("batch", "small"), ("small", "batch")])
def test_a_stopped_service_has_given_its_turn_to_the_one_that_runs(away: str, having: str) -> None:
    states = {away: shown("inactive"), having: shown("active")}
    units = {"batch": BATCH, "small": SMALL}
    found = {verdict.criterion.id: verdict for verdict in service.judge(aspen1(), seen(**states))}
    assert {name for name in found if f".{away}." in name} == {f"service.{away}.turn"}
    verdict = found[f"service.{away}.turn"]
    assert (verdict.outcome, verdict.measured) == (
        "passed",
        f"stopped: {units[having]} has the turn; start it and verify again to check it",
    )
    assert verdict.criterion.expected == f"it runs, or {units[having]} has the turn"
    assert verdict.criterion.rule == "spec: services.batch.conflicts"
    assert found[f"service.{having}.active"].outcome == "passed"


def test_where_nobody_has_the_turn_both_fail() -> None:
    found = {one.criterion.id: one for one in service.judge(aspen1(), seen(shown("inactive"), shown("inactive")))}
    assert {found[f"service.{name}.active"].outcome for name in ("batch", "small")} == {"failed"}
    assert not [name for name in found if name.endswith(".turn")]


@pytest.mark.parametrize(
    "small",
    [
        Output(1, "", "no systemd"),
        Output(0, "LoadState=not-found\nActiveState=inactive\n", ""),
        shown("failed"),
        shown("activating"),
    ],
)
def test_what_is_not_seen_not_there_or_failed_is_no_turn_given_away(small: Output) -> None:
    expected = aspen1()
    one = next(one for one in expected.services if one.service.name == "small")
    assert turn(expected, one, seen(shown("active"), small)) is None


def test_a_service_that_gave_its_turn_away_is_asked_nothing_in_any_phase() -> None:
    found = checked(seen(shown("inactive"), shown("active")), *PHASES)
    assert [name for name in found if ".batch." in name] == ["service.batch.turn"]
    assert {name.split(".")[0] for name in found if ".small." in name} == {"service", "api", "speed", "metrics", "soak"}


def test_phases_that_only_ask_servers_look_whose_turn_it_is() -> None:
    found = checked(seen(shown("active"), shown("inactive")), "api")
    assert [name for name in found if ".small." in name] == ["service.small.turn"]


def test_where_no_unit_can_be_seen_every_service_is_asked() -> None:
    nothing = Output(1, "", "no systemd")
    found = checked(seen(nothing, nothing), "api")
    assert {"api.batch.models", "api.small.models"} <= found.keys()


def test_nobody_asks_what_the_engine_of_a_stopped_service_saw() -> None:
    found = [one.criterion.id for one in engine_memory.judge(aspen1(), seen(shown("inactive"), shown("active")))]
    assert found == []
    found = [one.criterion.id for one in engine_memory.judge(aspen1(), seen(shown("active"), shown("inactive")))]
    assert found == ["rocm.batch.engine-memory"]


def test_services_that_conflict_with_none_take_no_turns() -> None:
    assert in_turns(expectations(load_spec(ROOT / "examples" / "two-machines.json"), "aspen2")) == ()
    assert {one.service.name for one in in_turns(aspen1())} == {"batch", "small"}
