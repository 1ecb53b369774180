"""The page that draws a dashboard: bundled of Grafana's components, served on the loopback, opened in a Chromium."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import serving
from tests.drawn.load import END
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.browser import Browser

LAID = ROOT / ".grafana"
NEED = "no Grafana components; run `make dashboard`, which fetches them with npm"
_HTML = """<!doctype html>
<link rel="stylesheet" href="page.css">
<style>body { margin: 0 } #result { display: none }</style>
<div id="dashboard"></div>
<script src="page.js"></script>
"""
_WIDTH = 1600
_SHOWN = 6 * 3600


@dataclass(frozen=True, slots=True)
class Drawn:
    """What became of a dashboard.

    - panels: by id, the names of its ``series``; its ``text`` by lines, the ``colours`` of its words, and what of it is
      ``cut`` off or has to be scrolled to; for each canvas of its ``curves`` how many pixels are coloured
    - console: what the browser complained of
    """

    panels: dict[int, dict[str, Any]]
    console: list[str]


def bundle(folder: Path) -> dict[str, str]:
    """Return the files of the page by path; skip the test where the components are not."""
    modules = LAID / "node_modules"
    if not (LAID / "ready").exists():
        pytest.skip(NEED)
    command = [
        str(modules / ".bin" / "esbuild"),
        str(ROOT / "tests" / "drawn" / "dashboard.jsx"),
        "--bundle",
        "--minify",
        "--jsx=automatic",
        "--loader:.ttf=empty",
        "--loader:.woff=empty",
        "--loader:.woff2=dataurl",
        '--define:process.env.NODE_ENV="production"',
        f"--outfile={folder / 'page.js'}",
        "--log-level=error",
    ]
    subprocess.run(command, check=True, env={**os.environ, "NODE_PATH": str(modules)})
    icons = modules / "@grafana" / "ui" / "dist" / "public"
    files = {f"/public/build/{path.relative_to(icons)}": path for path in icons.rglob("*.svg")}
    files |= {"/page.js": folder / "page.js", "/page.css": folder / "page.css"}
    pages = {path: file.read_text(encoding="utf-8") for path, file in files.items()}
    return pages | {"/": _HTML}


def draw(
    browser: Browser,
    pages: Mapping[str, str],
    dashboard: Mapping[str, Any],
    prometheus: str,
    target: Path | None = None,
) -> Drawn:
    """Draw a dashboard over a Prometheus; return what is on it, and write its picture where that is asked for."""
    given = {
        "dashboard": dashboard,
        "prometheus": prometheus,
        "from": END - _SHOWN,
        "to": END,
        "width": _WIDTH,
    }
    with serving({**pages, "/given.json": json.dumps(given)}) as (address, _):
        seen = browser.see(f"{address}/", _WIDTH, 1000)
        found = seen.result()
        if target is not None:
            browser.see(f"{address}/", _WIDTH, found["height"], target)
    return Drawn({panel["id"]: panel for panel in found["panels"]}, list(seen.console))
