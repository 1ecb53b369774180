"""The dashboards as people see them: drawn with Grafana's own components over a real Prometheus, in a Chromium."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from generator.emit.data import deployment_data
from tests.browser import NEED_CHROMIUM, find_browser
from tests.conftest import load
from tests.drawn.page import Drawn, bundle, draw
from tests.drawn.prometheus import remembering
from tests.nix_program import ROOT
from tests.prometheus import deployment, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser import Browser
    from tests.nix_program import Nix

PICTURE = ROOT / "docs" / "dashboard-vllm.png"
NONE = "No data"
GREEN, TEXT = "rgb(115, 191, 105)", "rgb(204, 204, 220)"  # of Grafana's dark theme


@dataclass(frozen=True, slots=True)
class Shown:
    """A dashboard, and what became of it; the rest is what another is drawn with."""

    dashboard: dict[str, Any]
    drawn: Drawn
    browser: Browser
    pages: dict[str, str]
    prometheus: str

    def panels(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return each panel, and what is to be seen of it."""
        return [(panel, self.drawn.panels[panel["id"]]) for panel in drawable(self.dashboard)]

    def panel(self, title: str) -> dict[str, Any]:
        """Return what is to be seen of a panel."""
        return next(seen for panel, seen in self.panels() if panel["title"] == title)


def drawable(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def browser() -> Browser:
    found = find_browser()
    if found is None:
        pytest.skip(NEED_CHROMIUM)
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return bundle(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module", params=["example", "two machines", "plain"])
def shown(
    request: pytest.FixtureRequest,
    nix: Nix,
    browser: Browser,
    pages: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shown]:
    """Draw the example, of which the picture is; every engine on two machines; and that with nothing to wait for."""
    example = request.param == "example"
    data = deployment_data(load(ROOT / "examples" / "aspen1.toml")) if example else deployment()
    dashboard = evaluate(nix, data, '(lib.dashboard.all d)."llm.json"')
    target = PICTURE if example and request.config.getoption("--update-golden") else None
    with remembering(nix, data, tmp_path_factory.mktemp("past"), plain=request.param == "plain") as url:
        yield Shown(dashboard, draw(browser, pages, dashboard, url, target), browser, pages, url)


def faults(panels: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    """Return what is wrong with what is to be seen."""
    found = []
    for panel, seen in panels:
        title = panel["title"]
        may_be_empty = "Empty until" in panel["description"]
        if NONE in seen["text"] or not seen["series"]:
            found += [] if may_be_empty else [f"{title} is empty"]
        elif panel["type"] == "timeseries" and not any(seen["curves"]):
            found.append(f"{title} has no curve")
        if len(set(seen["series"])) < len(seen["series"]):
            found.append(f"{title} has curves of one name")
        found += [f"{title} cuts off {text}" for text in seen["cut"]]
    return found


def test_every_panel_is_drawn_and_can_be_read(shown: Shown) -> None:
    assert faults(shown.panels()) == []


def test_every_panel_has_its_title(shown: Shown) -> None:
    assert [seen["text"][0] for _, seen in shown.panels()] == [panel["title"] for panel in drawable(shown.dashboard)]


def test_the_browser_complains_of_nothing(shown: Shown) -> None:
    assert shown.drawn.console == []


@pytest.mark.parametrize("shown", ["example"], indirect=True)
def test_a_panel_that_nobody_could_read_is_seen(shown: Shown) -> None:
    """The test above can fail: on an empty panel, on curves of one name, on a title that is too long."""
    wrong = copy.deepcopy(shown.dashboard)
    first, second, third = [panel for panel in drawable(wrong) if panel["type"] == "timeseries"][:3]
    first["targets"] = [{**first["targets"][0], "expr": "absent(vector(1))"}]
    second["targets"] *= 2
    third["title"] = third["title"] * 9
    drawn = draw(shown.browser, shown.pages, wrong, shown.prometheus)
    assert faults([(panel, drawn.panels[panel["id"]]) for panel in drawable(wrong)]) == [
        f"{first['title']} is empty",
        f"{second['title']} has curves of one name",
        f"{third['title']} cuts off {third['title']}",
    ]


@pytest.mark.parametrize("shown", ["example"], indirect=True)
def test_a_query_that_prometheus_refuses_is_seen(shown: Shown) -> None:
    wrong = copy.deepcopy(shown.dashboard)
    drawable(wrong)[0]["targets"][0]["expr"] = "rate(up)"
    with pytest.raises(AssertionError, match="expected type range vector"):
        draw(shown.browser, shown.pages, wrong, shown.prometheus)


@pytest.mark.parametrize("shown", ["two machines"], indirect=True)
def test_what_is_now_is_shown_and_not_what_was(shown: Shown) -> None:
    """In the hours before, the server had hung, had loaded its model again, and had fired other alerts."""
    assert sorted(shown.panel("Units")["text"][1:]) == [
        *("aspen1 ollama.service active", "aspen1 vllm.service active", "aspen2 llama-cpp.service active"),
    ]
    assert sorted(shown.panel("Alerts")["text"][1:]) == [
        "LlmKvCacheFull, warning: aspen1 batch",
        "LlmPreemptions, warning: aspen1 batch",
        "LlmQueueGrowing, warning: aspen1 batch",
    ]
    assert shown.panel("Answers")["text"][1:3] == ["aspen1 spare", "stopped"]


@pytest.mark.parametrize("shown", ["two machines"], indirect=True)
def test_what_is_well_is_green(shown: Shown) -> None:
    """Grafana's own thresholds make a certificate of 62 days red, and a server that does not answer green."""
    assert shown.panel("Certificates still hold")["colours"]["62"] == GREEN
    assert shown.panel("Age of keys")["colours"]["40"] == GREEN
    answers = shown.panel("Answers")["colours"]
    assert answers["yes"] == GREEN
    assert answers["stopped"] != GREEN


@pytest.mark.parametrize("shown", ["plain"], indirect=True)
def test_nothing_is_neither_well_nor_wrong(shown: Shown) -> None:
    for title in ("Certificates still hold", "Age of keys"):
        assert shown.panel(title)["colours"]["none is watched"] == TEXT


@pytest.mark.parametrize("shown", ["plain"], indirect=True)
def test_where_all_is_well_the_panels_say_that_there_is_nothing(shown: Shown) -> None:
    assert shown.panel("Alerts")["text"][1:] == ["none fires"]
    assert shown.panel("Units")["text"][1:] == ["nothing is known"]
    empty = {panel["title"]: seen["text"][1:] for panel, seen in shown.panels() if not seen["series"]}
    assert empty == {
        "Power by part": [NONE],
        "Memory bandwidth": [NONE],
        "Throttling, ticks a second": ["nothing is throttled"],
        "Time in which everything waits for memory": [NONE],
        "Restarts within an hour": [NONE],
        "Certificates still hold": ["none is watched"],
        "Age of keys": ["none is watched"],
    }


def test_the_picture_is_there_and_small_enough_for_a_page() -> None:
    assert PICTURE.read_bytes()[:4] == b"\x89PNG"
    assert PICTURE.stat().st_size < 500_000
