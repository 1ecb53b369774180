"""Fixtures: Nix, the offline inputs, the examples, and the flag that writes goldens anew."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from generator.emit import tree
from generator.spec.load import load_spec
from generator.spec.lockfile import lock_path, read_pins
from tests import llama, nix_program
from tests.directories import BEFORE, FOREIGN, put, put_foreign
from tests.nix_program import ROOT, Flakes, Nix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from generator.spec.load import Spec

# A busy machine is slow, and not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

EXAMPLES = sorted(
    path
    for path in (ROOT / "examples").iterdir()
    if path.suffix in {".toml", ".json"} and not path.name.endswith(".lock.toml")
)


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
def flakes(nix: Nix, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Flakes:
    """Nix with the flake's inputs in its store: from the folder of offline inputs, else from where the lock says."""
    if not nix_program.reads_nixpkgs(nix):
        pytest.skip(nix_program.NEED_FLAKES)
    folder = nix_program.inputs_folder()
    if not (folder / "nixpkgs").is_dir() or not (folder / "clan-core").is_dir():
        flake = write_flake(ROOT / "examples" / "aspen1.toml", tmp_path_factory.mktemp("inputs"))
        fetched = nix_program.fetch_inputs(nix, flake)
        if fetched is None:
            pytest.skip(nix_program.NEED_INPUTS.format(folder))
        return Flakes(nix, fetched)
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
    found = llama.required()
    server = llama.LlamaServer(*found)
    server.start()
    yield server
    server.stop()


def _exists(store: str) -> bool:
    from pathlib import Path

    return Path(store).is_dir()


def load(spec: Path | str) -> Spec:
    """Load a spec as ``generate`` does, where a lock is beside it; without one it may name branches and tags."""
    lock = lock_path(str(spec))
    return load_spec(spec, locked=read_pins(lock) if lock and lock.exists() else None)


def write_flake(spec: Path | str, output: Path, **local: str) -> Path:
    """Write the flake of a spec into a directory, as ``generate`` does; ``local`` are local.nix files by machine."""
    for path, text in tree.render(load(spec), None).items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).write_text(text, encoding="utf-8")
    for machine, text in local.items():
        (output / "machines" / machine / "local.nix").write_text(text, encoding="utf-8")
    return output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a directory with the files of BEFORE and of other people."""
    root = tmp_path / "out"
    put(root, BEFORE)
    put_foreign(root, FOREIGN)
    return root


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a spec's text to a file."""

    def write(text: str, name: str = "spec.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
