"""The generated flake as {path: text}: pure, whole, and the same bytes for the same spec."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from generator import resources
from generator.emit import tree
from generator.emit.present import is_ours, is_plain
from generator.errors import OutputError
from generator.spec.load import load_spec
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.nix_program import Nix

EXAMPLE = ROOT / "examples" / "aspen1.toml"
SPEC: dict[str, Any] = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))


def rendered(spec_file: Callable[..., Path], **machine: object) -> dict[str, str]:
    """Render the example with more fields of its machine."""
    data = {**SPEC, "machines": {"aspen1": {**SPEC["machines"]["aspen1"], **machine}}}
    return tree.render(load_spec(spec_file(json.dumps(data), "spec.json")), None)


def test_a_flake_is_these_files_and_the_static_tier() -> None:
    files = tree.render(load_spec(EXAMPLE), None)
    own = [path for path in files if path not in resources.static_files()]
    assert own == [*("RUNBOOK.md", "deployment.json", "flake.lock", "flake.nix", "machines/aspen1/configuration.nix")]
    assert list(files) == sorted(files)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_file_is_marked_as_ours_but_the_lock(example: Path) -> None:
    files = tree.render(load_spec(example), None)
    assert [path for path, text in files.items() if not is_ours(text.encode())] == [tree.LOCK]
    assert all(is_plain(path) for path in files)


def test_a_spec_with_its_keys_in_another_order_is_the_same_flake(spec_file: Callable[..., Path]) -> None:
    def turned(value: object) -> object:
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    path = spec_file(json.dumps(turned(SPEC)), "spec.json")
    assert tree.render(load_spec(path), None) == tree.render(load_spec(EXAMPLE), None)


def test_nothing_in_it_refers_to_where_it_was_made(spec_file: Callable[..., Path]) -> None:
    for text in rendered(spec_file).values():
        assert str(ROOT) not in text
        assert "spec.json" not in text


def test_an_option_a_flake_and_an_option_b_flake_differ_in_the_service_alone(spec_file: Callable[..., Path]) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    option_b = re.sub(r'tags = \["llm"\] .*', 'machines = ["aspen1"]', text)
    assert sum(a != b for a, b in zip(text.splitlines(), option_b.splitlines(), strict=True)) == 1
    first, second = (tree.render(load_spec(spec_file(spec)), None) for spec in (text, option_b))
    assert [path for path in first if first[path] != second[path]] == ["deployment.json"]


def test_the_description_is_the_clans_or_its_name(nix: Nix, spec_file: Callable[..., Path], tmp_path: Path) -> None:
    for description, expected in (("${x} \"q\" ''", "${x} \"q\" ''"), ("", "Language models of the clan aspen")):
        data = {**SPEC, "clan": {"name": "aspen", "description": description}}
        files = tree.render(load_spec(spec_file(json.dumps(data), "spec.json")), None)
        (tmp_path / "flake.nix").write_text(files["flake.nix"], encoding="utf-8")
        assert nix.evaluate(f"(import {tmp_path}/flake.nix).description") == expected


def test_a_machines_file_says_what_is_particular_to_it(spec_file: Callable[..., Path]) -> None:
    text = rendered(spec_file, ssh_keys=["ssh-ed25519 AAAA me"])["machines/aspen1/configuration.nix"]
    assert "# What is yours goes into machines/aspen1/local.nix, which llmflake never writes." in text
    assert "# ttm.pages_limit = 30146560 pages of 4 KiB" in text
    assert 'system.stateVersion = "26.05";' in text
    assert 'users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA me" ];' in text


def test_the_cache_of_nix_strix_halo_is_offered_only_where_it_is_used() -> None:
    assert "cache.hellas.ai" not in tree.render(load_spec(EXAMPLE), None)["flake.nix"]
    native = tree.render(load_spec(ROOT / "examples" / "vllm-native.toml"), None)
    assert "https://cache.hellas.ai" in native["flake.nix"]
    assert "nix-strix-halo" in json.loads(native["flake.lock"])["nodes"]["root"]["inputs"]


def test_a_lock_that_is_there_stays_and_one_that_is_none_is_refused() -> None:
    spec = load_spec(EXAMPLE)
    lock = tree.render(spec, None)[tree.LOCK].replace("104240a772428cc2e20d8fd86c9ddbb886bbaff2", "1" * 40)
    assert tree.render(spec, lock)[tree.LOCK] == lock
    with pytest.raises(OutputError, match=r"flake\.lock: this is not a lock file of Nix; delete it"):
        tree.render(spec, "no lock")
