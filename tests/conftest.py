"""Fixtures: Nix, the offline inputs, the examples, and the flag that writes goldens anew."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from generator.emit import tree
from generator.spec.load import load_spec
from tests import llama, nix_program
from tests.nix_program import ROOT, Flakes, Nix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in {".toml", ".json"})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden and the generated docs anew")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once for each reason why tests were skipped, and how to un-skip them."""
    reasons: Counter[str] = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}", yellow=True)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def nix() -> Nix:
    found = nix_program.find_nix()
    if found is None:
        pytest.skip(nix_program.NEED_NIX)
    return found


@pytest.fixture(scope="session")
def flakes(nix: Nix, request: pytest.FixtureRequest) -> Flakes:
    """Nix with the offline inputs in its store; their store paths are remembered between runs."""
    folder = nix_program.inputs_folder()
    if not (folder / "nixpkgs").is_dir() or not (folder / "clan-core").is_dir():
        pytest.skip(nix_program.NEED_INPUTS.format(folder))
    if not nix_program.reads_nixpkgs(nix):
        pytest.skip(nix_program.NEED_FLAKES)
    remembered: dict[str, str] = request.config.cache.get("llmflake/stores", {})
    stores = {}
    for path in sorted(folder.iterdir()):
        key = f"{path}@{path.stat().st_mtime_ns}"
        store = remembered.get(key)
        if store is None or not _exists(store):
            store = nix_program.add_to_store(nix, path)
        remembered[key] = stores[path.name] = store
    request.config.cache.set("llmflake/stores", remembered)
    return Flakes(nix, stores)


@pytest.fixture(scope="session")
def llama_server() -> Iterator[llama.LlamaServer]:
    """Start a real llama-server that answers as ``smollm2``; tests that stop or hang it start one of their own."""
    found = llama.programs()
    if found is None:
        pytest.skip(llama.NEED_LLAMA)
    server = llama.LlamaServer(*found)
    server.start()
    yield server
    server.stop()


def _exists(store: str) -> bool:
    from pathlib import Path

    return Path(store).is_dir()


def write_flake(spec: Path | str, output: Path, **local: str) -> Path:
    """Write the flake of a spec into a directory, as ``generate`` does; ``local`` are local.nix files by machine."""
    for path, text in tree.render(load_spec(spec), None).items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).write_text(text, encoding="utf-8")
    for machine, text in local.items():
        (output / "machines" / machine / "local.nix").write_text(text, encoding="utf-8")
    return output


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a spec's text to a file."""

    def write(text: str, name: str = "spec.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
