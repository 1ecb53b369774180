"""HTML and SVG as a tree, so that text can never become markup."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

Child = Element | str | None


def el(tag: str, *children: Child, **attributes: str | float) -> Element:
    """Return an element; children that are None are left out. ``class_`` is the attribute class, ``a_b`` is a-b.

    >>> html(el("p", "a < b", class_="note"))
    '<p class="note">a &lt; b</p>'
    """
    element = Element(tag, {_name(name): str(value) for name, value in attributes.items()})
    for child in children:
        add(element, child)
    return element


def add(element: Element, *children: Child) -> None:
    """Append children to an element."""
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + child
        else:
            element.text = (element.text or "") + child


def html(element: Element) -> str:
    """Return the element as HTML."""
    return tostring(element, encoding="unicode", method="html")


def percent(part: float, whole: float) -> str:
    """Return a share as SVG and CSS write it: "12.5%"."""
    return f"{100 * part / whole:.4f}".rstrip("0").rstrip(".") + "%" if whole else "0%"


def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
