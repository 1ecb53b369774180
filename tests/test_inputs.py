"""The inputs of a generated flake: flake.nix and flake.lock from one table, and a lock that belongs to its owner."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from generator.emit import inputs
from generator.errors import OutputError

NAMES = inputs.input_names(strix_halo=False)
WITH_STRIX_HALO = inputs.input_names(strix_halo=True)
REV = "1" * 40


def lock(strix_halo: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
    return copy.deepcopy(inputs.lock(WITH_STRIX_HALO if strix_halo else NAMES))  # tests change it


def assert_whole(data: dict[str, Any]) -> None:
    """Follow every reference from the root, and see that no node is left over."""
    nodes = data["nodes"]

    def node_of(to: str | list[str]) -> str:
        if isinstance(to, str):
            return to
        node = "root"
        for step in to:
            node = node_of(nodes[node]["inputs"][step])
        return node

    reached: set[str] = set()
    todo = ["root"]
    while todo:
        node = todo.pop()
        if node not in reached:
            reached.add(node)
            todo += [node_of(to) for to in nodes[node].get("inputs", {}).values()]
    assert reached == set(nodes)


def merged(wanted: dict[str, Any], existing: str | None) -> dict[str, Any]:
    text = inputs.lock_text(wanted, existing, "flake.lock")
    assert text.endswith("}\n")
    data: dict[str, Any] = json.loads(text)
    assert_whole(data)
    return data


def text_of(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2)


def test_nix_strix_halo_is_an_input_only_where_it_is_asked_for() -> None:
    assert set(WITH_STRIX_HALO) - set(NAMES) == {"nix-strix-halo"}
    assert {"nixpkgs", "clan-core", "disko", "sops-nix", "flake-parts"} <= set(NAMES)


@pytest.mark.parametrize("names", [NAMES, WITH_STRIX_HALO], ids=["plain", "strix-halo"])
def test_what_is_declared_is_what_is_locked(names: list[str]) -> None:
    root = inputs.lock(names)["nodes"]["root"]["inputs"]
    assert root == {name: name for name in names}
    assert list(inputs.declarations(names)) == names


@pytest.mark.parametrize("names", [NAMES, WITH_STRIX_HALO], ids=["plain", "strix-halo"])
def test_every_reference_in_a_lock_leads_to_a_node_and_every_node_is_reached(names: list[str]) -> None:
    assert_whole(inputs.lock(names))


def test_there_is_one_nixpkgs_for_all_but_nix_strix_halo() -> None:
    for name, entry in inputs.declarations(WITH_STRIX_HALO).items():
        for inner, to in entry.get("inputs", {}).items():
            assert to == {"follows": "nixpkgs" if inner == "nixpkgs-lib" else inner}, name
    assert [name for name in lock()["nodes"] if name.endswith("nixpkgs")] == ["nixpkgs"]
    assert "nix-strix-halo/nixpkgs" in lock(strix_halo=True)["nodes"]


def test_every_input_is_pinned_by_hash() -> None:
    for name, node in lock(strix_halo=True)["nodes"].items():
        if name != "root":
            assert node["locked"]["narHash"].startswith("sha256-"), name
            assert "rev" in node["locked"] or node["locked"]["type"] in {"tarball", "file"}, name


@pytest.mark.parametrize(
    ("original", "url"),
    [
        ({"type": "github", "owner": "a", "repo": "b"}, "github:a/b"),
        ({"type": "github", "owner": "a", "repo": "b", "ref": "c"}, "github:a/b/c"),
        ({"type": "git", "url": "https://a/b", "ref": "main"}, "git+https://a/b?ref=main"),
        ({"type": "git", "url": "https://a/b", "ref": "main", "shallow": True}, "git+https://a/b?ref=main&shallow=1"),
        ({"type": "tarball", "url": "https://a/b.tar.gz"}, "https://a/b.tar.gz"),
    ],
)
def test_an_input_is_declared_by_its_url(monkeypatch: pytest.MonkeyPatch, original: dict[str, Any], url: str) -> None:
    monkeypatch.setattr(inputs, "_pins", lambda: {"x": {"original": original, "follows": []}})
    assert inputs.declarations(["x"]) == {"x": {"url": url}}


def test_a_pin_without_a_url_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_pins", lambda: {"x": {"original": {"type": "hg"}, "follows": []}})
    with pytest.raises(ValueError, match=r"pins\.json: no URL"):
        inputs.declarations(["x"])


def test_a_cache_is_offered_with_its_key_where_an_input_has_one() -> None:
    assert inputs.caches(NAMES) == {}
    found = inputs.caches(WITH_STRIX_HALO)
    assert found["extra-substituters"] == ["https://cache.hellas.ai"]
    (key,) = found["extra-trusted-public-keys"]
    assert key.startswith("cache.hellas.ai")


# A lock that is there already


def test_without_a_lock_the_pins_are_ours() -> None:
    assert merged(lock(), None) == lock()


def test_a_lock_with_the_same_inputs_stays_byte_for_byte() -> None:
    owners = lock()
    owners["nodes"]["nixpkgs"]["locked"]["rev"] = REV
    text = json.dumps(owners)  # not even its layout changes
    assert inputs.lock_text(lock(), text, "flake.lock") == text


def test_a_new_input_is_added_and_the_others_stay_the_owners() -> None:
    owners = lock()
    owners["nodes"]["nixpkgs"]["locked"]["rev"] = REV
    found = merged(lock(strix_halo=True), text_of(owners))
    assert found["nodes"]["nixpkgs"]["locked"]["rev"] == REV
    assert found["nodes"]["nix-strix-halo"] == lock(strix_halo=True)["nodes"]["nix-strix-halo"]
    assert found["nodes"]["root"] == lock(strix_halo=True)["nodes"]["root"]


def test_an_input_that_is_not_needed_any_more_goes_with_its_own_inputs() -> None:
    owners = lock(strix_halo=True)
    owners["nodes"]["nixpkgs"]["locked"]["rev"] = REV
    found = merged(lock(), text_of(owners))
    assert [name for name in found["nodes"] if name.startswith("nix-strix-halo")] == []
    assert found["nodes"]["nixpkgs"]["locked"]["rev"] == REV


def numbered() -> dict[str, Any]:
    """Return a lock as Nix itself writes it: nodes are named by their inputs, with numbers where two have one name."""
    data = lock(strix_halo=True)
    data["nodes"]["nixpkgs"]["locked"]["rev"] = REV
    below = {node.partition("/")[2] for node in data["nodes"]}

    def renamed(node: Any) -> Any:  # noqa: ANN401 - a path stays as it is
        return node if not isinstance(node, str) else node.partition("/")[2] or f"{node}{'_2' * (node in below)}"

    return {
        **data,
        "nodes": {
            renamed(node): entry
            if "inputs" not in entry
            else {**entry, "inputs": {name: renamed(to) for name, to in entry["inputs"].items()}}
            for node, entry in data["nodes"].items()
        },
    }


def test_a_lock_that_nix_wrote_with_names_of_its_own_stays_the_owners() -> None:
    assert_whole(numbered())
    assert inputs.lock_text(lock(strix_halo=True), text_of(numbered()), "l") == text_of(numbered())
    found = merged(lock(), text_of(numbered()))
    assert found["nodes"]["nixpkgs"]["locked"]["rev"] == REV
    assert set(found["nodes"]) == set(lock()["nodes"])


def test_what_the_owners_newer_inputs_bring_along_stays_with_them() -> None:
    owners = lock()
    owners["nodes"]["disko"]["inputs"]["utils"] = "flake-utils"
    owners["nodes"]["flake-utils"] = {"inputs": {"systems": ["systems"], "more": "more_2"}}
    owners["nodes"]["more_2"] = {"inputs": {"back": "flake-utils"}}
    found = merged(lock(strix_halo=True), text_of(owners))["nodes"]
    assert found["disko"]["inputs"]["utils"] == "disko/flake-utils"
    assert found["disko/flake-utils"]["inputs"] == {"systems": ["systems"], "more": "disko/more_2"}
    assert found["disko/more_2"]["inputs"] == {"back": "disko/flake-utils"}


@pytest.mark.parametrize(
    "text",
    [
        *("", "no json", "[]", "{}", '{"nodes": {}}', '{"nodes": []}', '{"nodes": {"root": {}}}'),
        '{"nodes": {"root": {"inputs": []}}}',
        '{"nodes": {"root": {"inputs": {"nixpkgs": "nixpkgs"}}}}',
        '{"nodes": {"root": {"inputs": {"nixpkgs": 3}}}}',
    ],
)
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(OutputError) as caught:
        inputs.lock_text(lock(), text, "out/flake.lock")
    assert str(caught.value) == "out/flake.lock: this is not a lock file of Nix; delete it, and generate again"
