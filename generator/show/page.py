"""A plan as one page: no script, nothing loaded from anywhere, the same bytes for the same plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from generator.show import bar, chart, facts, units
from generator.show.dom import add, el, html
from generator.show.facts import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

    from generator.plan.result import MachinePlan, Plan, ServicePlan
    from generator.show.bar import Bar
    from generator.show.facts import Pace

_CSS = Path(__file__).resolve().parent / "page.css"
_MARKER = "<!-- Managed by llmflake: the page of a plan; llmflake plan --html writes it again. -->"
# Belt and braces: the page asks for nothing, and may not.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_BADGES = {"feasible": "good", "feasible with caveats": "warn", "not feasible": "bad", "unknown": "warn"}
_KEY = "bar: the estimate; line: 80 % of what was measured lies there; dot: published, hollow for another engine"


def page(plan: Plan, name: str) -> str:
    """Return the page of a plan; ``name`` is what it is a plan of."""
    title = f"Plan of {name}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", href="data:,"),
        el("title", title),
        el("style", _CSS.read_text(encoding="utf-8")),
    )
    main = el("main", el("header", el("h1", title), _overview(plan)))
    for machine in plan.machines:
        add(main, _machine(machine))
    return f"<!doctype html>\n{_MARKER}\n{html(el('html', head, el('body', main), lang='en'))}\n"


def _overview(plan: Plan) -> Element:
    table = el(
        "table", _header("machine", "service", "verdict", "memory, GiB", "one user, tokens/s"), class_="overview"
    )
    body = el("tbody")
    for machine in plan.machines:
        for service in machine.services:
            speed = service.speed.decode if service.speed is not None else None
            link = el("a", service.service, href=f"#{_anchor(machine, service)}")
            claim, pace = units.gib(service.memory.claim), units.rate(speed.value if speed is not None else None)
            cells = (_cell(claim, number=True), _cell(pace, number=True))
            add(body, el("tr", _cell(machine.machine), el("td", link), el("td", _badge(service)), *cells))
    add(table, body)
    return table


def _machine(machine: MachinePlan) -> Element:
    told = el("p", facts.hardware(machine), el("br"), facts.machine_memory(machine))
    section = el("section", el("h2", machine.machine), told)
    drawn = bar.memory_bar(machine)
    indices = {service.service: index for index, service in enumerate(machine.services)}
    if drawn is not None:
        label = f"memory of {machine.machine}: " + ", ".join(
            f"{row.label} {units.with_gib(row.bytes)}" for row in drawn.rows
        )
        add(
            section,
            el("figure", *chart.memory(drawn, label, indices), _legend(drawn, indices), class_="memory"),
        )
    for service in machine.services:
        add(section, _service(machine, service))
    return section


def _legend(drawn: Bar, indices: dict[str, int]) -> Element:
    entries = el("ul")
    for row in drawn.rows:
        index = indices.get(row.label)
        hue = f" s{index % chart.HUES}" if index is not None else ""
        turns = " (takes turns)" if row.turns else ""
        entry = el("li", el("b", row.label), f"{turns} {units.with_gib(row.bytes)}")
        for segment in row.segments:
            swatch = el(
                "svg",
                el("rect", width=12, height=12, class_=f"part {chart.part_class(segment.name)}{hue}"),
                width=12,
                height=12,
                aria_hidden="true",
            )
            told = f"{segment.name} {units.gib(segment.bytes)}" if index is not None else ""
            add(entry, " ", el("span", swatch, told, class_="key"))
        add(entries, entry)
    return el("figcaption", entries)


def _service(machine: MachinePlan, service: ServicePlan) -> Element:
    article = el("article", id=_anchor(machine, service))
    add(article, el("h3", service.service, " ", _badge(service)), el("p", facts.serves(service)))
    needs = el("ul", class_="needs")
    for need, accepted, meaning in facts.needs(service):
        told = el("b", "accepted" if accepted else "not accepted", class_="good" if accepted else "bad")
        add(needs, el("li", f"{need}, ", told, f": {meaning}"))
    add(article, needs if len(needs) else None)
    add(article, *_speed(service))
    add(article, el("h4", "Memory"), _memory(service))
    add(article, el("h4", "Context and concurrency"), _list(facts.sizes(service)))
    add(article, el("h4", "Start"), _list(facts.start(service)))
    if service.unknown:
        add(article, el("h4", "Unknown"), el("ul", *(el("li", text) for text in service.unknown)))
    if service.caveats:
        entries = (el("li", caveat.text, el("small", caveat.source)) for caveat in service.caveats)
        add(article, el("h4", "Caveats"), el("ol", *entries, class_="caveats"))
    return article


def _speed(service: ServicePlan) -> Iterator[Element]:
    """Yield a chart of decoding and one of prompts, for their scales differ; each is a table too."""
    paces = list(facts.paces(service))
    yield el("h4", "Speed")
    sources = facts.sources(service)
    rest = []
    for kinds in (("decode", "deep", "batch"), ("prompt",), ("first",)):
        chosen = [pace for pace in paces if pace.kind in kinds]
        if kinds != ("first",) and any(pace.known for pace in chosen):
            yield _chart(chosen, sources)
        else:
            rest += [Fact(pace.label, f"{pace.value}{f' ({pace.band})' if pace.band else ''}") for pace in chosen]
    if rest:
        yield _list(rest)
    if any(pace.known for pace in paces):
        yield el("p", _KEY, el("br"), facts.bearing(service), class_="faint")
    if sources:
        yield el(
            "ol", *(el("li", source) for source in sources), class_="sources", aria_label="sources of measurements"
        )


def _chart(paces: list[Pace], sources: list[str]) -> Element:
    most = chart.scale((pace.estimate for pace in paces), (entry for pace in paces for entry in pace.measured))
    body = el("tbody")
    for pace in paces:
        drawn = None if pace.estimate is None else chart.estimate(pace.estimate, most)
        between = el("small", pace.band) if pace.band else None
        number = el("td", pace.value, between, class_="number")
        add(
            body, el("tr", el("th", pace.label, scope="row"), number, el("td", drawn, class_="plot"), class_="estimate")
        )
        for entry in pace.measured:
            where = f"{entry.date} [{sources.index(entry.source) + 1}]"
            label = el("th", facts.published(entry), " ", el("span", where, class_="faint"), scope="row")
            number = el("td", units.rate(entry.value), class_="number")
            drawn = chart.measurement(entry, most)
            add(body, el("tr", label, number, el("td", drawn, class_="plot"), class_="measured"))
    foot = el("tr", el("td"), el("td"), el("td", chart.axis(most), class_="plot"), class_="axis", aria_hidden="true")
    head = _header("estimate, or what was published", "tokens/s", "")
    return el("table", head, body, el("tfoot", foot), class_="chart")


def _memory(service: ServicePlan) -> Element:
    body = el("tbody")
    for fact in facts.memory(service):
        kind = "sum" if fact.label in {"claim", "headroom"} else "part"
        cells = (_cell(fact.value, number=True), _cell(fact.band or "exact" if kind == "part" else "", number=True))
        add(body, el("tr", el("th", fact.label, scope="row"), *cells, class_=kind))
    return el("table", _header("part", "GiB", "between"), body, class_="memory")


def _header(*names: str) -> Element:
    return el("thead", el("tr", *(el("th", name, scope="col") for name in names)))


def _list(entries: Iterable[Fact]) -> Element:
    listing = el("dl")
    for fact in entries:
        add(listing, el("div", el("dt", fact.label), el("dd", fact.value)))
    return listing


def _cell(text: str, *, number: bool = False) -> Element:
    return el("td", text, class_="number") if number else el("td", text)


def _badge(service: ServicePlan) -> Element:
    return el("span", facts.verdict(service), class_=f"badge {_BADGES.get(service.verdict, 'warn')}")


def _anchor(machine: MachinePlan, service: ServicePlan) -> str:
    return f"{machine.machine}.{service.service}"
