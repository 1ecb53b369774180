"""HTML as a tree: text is never markup."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from generator.show.dom import add, el, html, percent


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.titles: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag."""
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        """Remember a text."""
        self.texts.append(data)


printable = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(printable, printable)
def test_any_text_comes_back_as_it_was(content: str, title: str) -> None:
    reader = Reader()
    reader.feed(html(el("p", content, title=title)))
    reader.close()
    assert (reader.tags, "".join(reader.texts), reader.titles) == (["p"], content, [title])


def test_children_keep_their_order() -> None:
    element = el("p", "a", el("b", "b"), None, "c")
    add(element, "d", el("i"), "e")
    assert html(element) == "<p>a<b>b</b>cd<i></i>e</p>"


def test_names_of_attributes_are_written_as_html_has_them() -> None:
    assert html(el("th", class_="x", aria_label="y")) == '<th class="x" aria-label="y"></th>'


def test_a_share_is_a_percentage() -> None:
    assert [percent(1, 8), percent(1, 3), percent(0, 5), percent(5, 5), percent(1, 0)] == [
        "12.5%",
        "33.3333%",
        "0%",
        "100%",
        "0%",
    ]
