"""The page in a real browser: it is whole at any width, in light and dark, and asks nobody for anything."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from generator.emit.present import is_ours
from generator.show import units
from generator.show.page import page
from tests import browser
from tests.conftest import EXAMPLES
from tests.shown import CROWDED, example, machine, plan_of, service

if TYPE_CHECKING:
    from tests.browser import Browser

PLANS = {**{path.stem: plan_of(path) for path in EXAMPLES}, "crowded": plan_of(CROWDED)}
PAGES = {f"/{name}": page(plan, name) for name, plan in PLANS.items()}
WIDTHS = (400, 1200)
# Looks at a page, unchanged, in frames of both widths, and puts what it finds into the document around them.
HARNESS = """<!doctype html><link rel="icon" href="data:,"><pre id="result"></pre>
FRAMES
<script>
const name = element => element.getAttribute("class") || element.tagName;
const box = element => { const {left, right, width, height} = element.getBoundingClientRect();
  return {name: name(element), left, right, width, height}; };
const colour = text => { const numbers = text.match(/[\\d.]+/g).map(Number);
  return {rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1}; };
const light = ({rgb}) => rgb.map(value => value / 255)
  .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const contrast = (one, other) => { const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05); };
const look = frame => {
  const page = frame.contentDocument, style = element => frame.contentWindow.getComputedStyle(element);
  const ground = element => { for (; element; element = element.parentElement) {
    const found = colour(style(element).backgroundColor); if (found.alpha > 0) return found; } };
  const shown = [...page.querySelectorAll("body *")].filter(element => style(element).display !== "none");
  const own = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const texts = shown.filter(element => own(element) && !element.closest("svg"));
  const names = [...page.querySelectorAll("svg.memory text")].filter(element => style(element).display !== "none");
  return {
    width: frame.contentWindow.innerWidth, scroll: page.documentElement.scrollWidth,
    boxes: shown.filter(element => !element.closest("svg svg")).map(box),
    parts: [...page.querySelectorAll("svg.memory")].map(svg => [...svg.querySelectorAll(":scope > rect")].map(box)),
    bars: [...page.querySelectorAll(".chart")].map(chart => [...chart.querySelectorAll("rect.value")].map(box)),
    dots: [...page.querySelectorAll(".chart")].map(chart => [...chart.querySelectorAll(".dot")].map(dot =>
      box(dot).left + box(dot).width / 2 - box(dot.parentElement).left)),
    plots: [...page.querySelectorAll(".chart")].map(chart => box(chart.querySelector("td.plot svg")).width),
    ground: style(page.body).backgroundColor,
    contrasts: texts.map(element =>
      [element.textContent.slice(0, 40), contrast(colour(style(element).color), ground(element))]),
    names: names.map(element => [element.textContent,
      contrast(colour(style(element).fill), colour(style(element.parentElement.previousElementSibling).fill))]),
    unlabelled: [...page.querySelectorAll("svg")].filter(svg => !svg.closest("[aria-hidden]")
      && !(svg.getAttribute("role") === "img" && svg.getAttribute("aria-label"))
      && !svg.parentElement.closest("svg")).length,
    headless: [...page.querySelectorAll("tbody th")].filter(th => th.getAttribute("scope") !== "row").length,
    headings: [...page.querySelectorAll("h1, h2, h3, h4")].map(heading => Number(heading.tagName[1])),
    ids: [...page.querySelectorAll("[id]")].map(element => element.id),
    broken: [...page.querySelectorAll("a")].filter(link =>
      !page.getElementById(decodeURIComponent(link.hash.slice(1)))).length,
    language: page.documentElement.lang, title: page.title,
  };
};
onload = () => { document.getElementById("result").textContent =
  JSON.stringify([...document.querySelectorAll("iframe")].map(look)); };
</script>"""


def harness() -> str:
    frames = (
        f'<iframe src="{path}" width="{width}" height="900" style="border: 0"></iframe>'
        for path in PAGES
        for width in WIDTHS
    )
    return HARNESS.replace("FRAMES", "\n".join(frames))


@pytest.fixture(scope="module")
def chromium() -> Browser:
    found = browser.find_browser()
    if found is None:
        pytest.skip(browser.NEED_CHROMIUM)
    return found


@cache
def looks(chromium: Browser, *, dark: bool) -> dict[str, list[dict[str, Any]]]:
    """Return what the harness finds in each page, a frame for each width; all in one start of the browser."""
    seen = chromium.open({**PAGES, "/": harness()}, "/", dark=dark)
    assert seen.console == ()
    assert set(seen.requests) == {"/", *PAGES}
    frames = seen.result()
    assert [frame["width"] for frame in frames] == list(WIDTHS) * len(PAGES)
    return {path.removeprefix("/"): frames[2 * index : 2 * index + 2] for index, path in enumerate(PAGES)}


def look(chromium: Browser, name: str, *, dark: bool = False) -> list[dict[str, Any]]:
    return looks(chromium, dark=dark)[name]


def test_the_harness_sees_errors_and_requests(chromium: Browser) -> None:
    bad = "<script>console.error('oh')</script><img src=/gone.png><script src=/gone.js></script>"
    seen = chromium.open({"/bad": bad}, "/bad")
    assert any("oh" in line for line in seen.console)
    assert {"/gone.png", "/gone.js"} <= set(seen.requests)


def test_the_page_alone_asks_for_nothing_and_complains_of_nothing(chromium: Browser) -> None:
    seen = chromium.open(PAGES, "/aspen1")
    assert seen.requests == ("/aspen1",)
    assert seen.console == ()
    assert "FEASIBLE WITH CAVEATS" in seen.document


@pytest.mark.parametrize("name", sorted(PLANS))
def test_nothing_overflows(chromium: Browser, name: str) -> None:
    for frame in look(chromium, name):
        assert frame["scroll"] <= frame["width"]
        outside = [box for box in frame["boxes"] if box["right"] > frame["width"] + 0.5 or box["left"] < -0.5]
        assert outside == []


def test_the_parts_of_memory_have_widths_in_proportion(chromium: Browser) -> None:
    plan = PLANS["aspen1"]
    one, llm = plan.machines[0], service(plan, "llm")
    sizes = [part.bytes for part in llm.memory.parts] + [llm.memory.headroom or 0.0, one.system or 0.0]
    for frame in look(chromium, "aspen1"):
        (boxes,) = frame["parts"]
        whole = sum(box["width"] for box in boxes)
        assert [box["width"] / whole for box in boxes] == pytest.approx([size / sum(sizes) for size in sizes], abs=2e-3)
        assert all(left["right"] == pytest.approx(right["left"], abs=0.1) for left, right in pairwise(boxes))


def test_speed_is_drawn_in_proportion_estimates_and_measurements_alike(chromium: Browser) -> None:
    llm = service(PLANS["aspen1"], "llm")
    assert llm.speed is not None
    assert llm.speed.decode is not None
    assert llm.speed.batch is not None
    shown = [entry for kind in ("decode", "deep", "batch") for entry in llm.measured if entry.kind == kind]
    for frame in look(chromium, "aspen1"):
        bars, dots, plot = frame["bars"][0], frame["dots"][0], frame["plots"][0]
        one, batch = bars
        assert batch["width"] / one["width"] == pytest.approx(llm.speed.batch.value / llm.speed.decode.value, rel=0.01)
        scale = one["width"] / llm.speed.decode.value
        assert dots == pytest.approx([entry.value * scale for entry in shown], abs=1.0)
        assert max(dots) <= plot


def test_what_is_drawn_can_be_seen(chromium: Browser) -> None:
    for frame in look(chromium, "aspen1"):
        assert all(box["height"] >= 12 for chart in frame["bars"] for box in chart)
        assert all(box["height"] >= 40 for box in frame["parts"][0])
        assert min(frame["plots"]) >= 300


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["aspen1", "crowded", "ollama"])
def test_text_stands_out_from_its_ground(chromium: Browser, name: str, *, dark: bool) -> None:
    for frame in look(chromium, name, dark=dark):
        assert frame["ground"] == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
        assert len(frame["contrasts"]) > 20
        assert [entry for entry in frame["contrasts"] + frame["names"] if entry[1] < 4.5] == []


@pytest.mark.parametrize("name", sorted(PLANS))
def test_the_page_can_be_read_without_seeing_it(chromium: Browser, name: str) -> None:
    frame = look(chromium, name)[1]
    assert (frame["unlabelled"], frame["headless"], frame["broken"]) == (0, 0, 0)
    assert (frame["language"], frame["title"]) == ("en", f"Plan of {name}")
    assert frame["headings"][0] == 1
    assert all(after - before <= 1 for before, after in pairwise(frame["headings"]))
    assert len(set(frame["ids"])) == len(frame["ids"])


class Words(HTMLParser):
    """Collects the text of a page, without its style."""

    def __init__(self) -> None:
        """Start with no text."""
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        """Remember a text."""
        if self.lasttag != "style":
            self.text += f" {data}"


@pytest.mark.parametrize("name", sorted(PLANS))
def test_the_facts_stand_in_tables_too(name: str) -> None:
    words = Words()
    words.feed(PAGES[f"/{name}"])
    shown = " ".join(words.text.split())
    for one in PLANS[name].machines:
        for entry in one.services:
            assert entry.verdict.upper() in shown
            for part in entry.memory.parts:
                assert f"{part.name} {units.gib(part.bytes)}" in shown
            for measured in entry.measured:
                assert measured.source in shown
                assert f"{measured.date} [" in shown
            for caveat in entry.caveats:
                assert f"{caveat.text} {caveat.source}" in shown
            assert all(text in shown for text in entry.unknown)


def test_the_page_is_ours_and_always_the_same() -> None:
    again = page(example("aspen1.toml"), "aspen1")
    assert again == PAGES["/aspen1"]
    assert is_ours(again.encode())


def test_the_page_names_no_other_place() -> None:
    for text in PAGES.values():
        places = re.findall(r'(?:src|href|action|data|url)\s*[=(]\s*["\']?([^"\')\s>]*)', text)
        assert {place for place in places if not place.startswith("#")} == {"data:,"}
        assert "<script" not in text


def test_names_that_look_like_markup_stay_text() -> None:
    text = page(PLANS["aspen1"], "</title><script>alert(1)</script>")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_service_that_takes_turns_has_a_bar_of_its_own() -> None:
    text = PAGES["/crowded"]
    assert machine(PLANS["crowded"], "one").machine in text
    assert "seed, which takes turns with the others: 105.8 GiB" in text
    assert "too much" in text
