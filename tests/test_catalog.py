"""The catalog: facts as data, each with its source and date, read into records that the rules can trust."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator import catalog, resources
from generator.catalog import load, models
from generator.plan.defaults import ADDING, LOADING
from generator.spec.rules.flags import flag_of_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.nix_program import Nix

CATALOG = Path(catalog.__file__).parent
# Tables that hold what llmflake chose, and no facts; a file with nothing else is not among FILES.
CHOICES = {"alert", "panel", "revived", "thresholds"}
FILES = sorted(
    path
    for path in (*CATALOG.glob("*.toml"), *resources.release_data("").glob("*.toml"))
    if not tomllib.loads(path.read_text(encoding="utf-8")).keys() <= CHOICES
)
SCHEMA = json.loads(resources.schema_path().read_text(encoding="utf-8"))


def records(data: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any value of TOML
    """Yield the innermost tables: what stands in the catalog as one fact, or one list of them."""
    if isinstance(data, list):
        for entry in data:
            yield from records(entry)
    elif isinstance(data, dict):
        nested = any(
            isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict))
            for value in data.values()
        )
        if nested and not isinstance(data.get("source"), str):
            for value in data.values():
                yield from records(value)
        else:
            yield data


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_fact_says_where_it_comes_from_and_of_when_it_is(path: Path) -> None:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    found = list(records({name: table for name, table in data.items() if name not in CHOICES}))
    assert found
    for record in found:
        assert record["source"].strip()
        stamp = str(record.get("date") or re.findall(r"\d{4}-\d{2}-\d{2}", record["source"])[-1])
        day = stamp if stamp.count("-") > 1 else f"{stamp}-01"  # some are known to the month
        assert dt.date(2024, 1, 1) <= dt.date.fromisoformat(day) <= dt.date(2026, 12, 31)


def test_hardware_is_what_a_spec_could_describe_itself() -> None:
    inline = SCHEMA["properties"]["machines"]["additionalProperties"]["properties"]["hardware"]["properties"]
    for name, record in load.hardware().items():
        # An Apple GPU can be planned for; a spec that is to be deployed cannot describe one.
        assert record.accelerator in {*inline["accelerator"]["enum"], "metal"}, name
        if record.accelerator != "metal":
            assert record.target is None or re.search(inline["target"]["pattern"], record.target), name
        assert record.memory_mib % 1024 == 0, name
        assert (record.accelerator == "rocm") == (record.target or "").startswith("gfx"), name
    assert load.hardware().keys() == load.hardware_descriptions().keys()


def test_the_plans_machine_is_there_with_its_memory() -> None:
    record = load.hardware()["strix-halo-128"]
    assert (record.accelerator, record.target, record.memory_mib, record.unified) == ("rocm", "gfx1151", 131072, True)


def test_known_repositories_have_the_form_of_one() -> None:
    pattern = SCHEMA["properties"]["models"]["additionalProperties"]["properties"]["repository"]["pattern"]
    assert models.repositories()
    assert [name for name in models.repositories() if not re.search(pattern, name)] == []


def test_images_are_pinned_by_digest_and_one_is_the_default_of_a_target() -> None:
    defaults = [(image.engine, target) for image in load.images() if image.default for target in image.targets]
    assert len(defaults) == len(set(defaults))
    for image in load.images():
        assert re.fullmatch(r"[a-z0-9./_-]+@sha256:[0-9a-f]{64}", image.reference)


def test_an_image_that_is_the_default_is_not_of_a_broken_release() -> None:
    for image in load.images():
        for entry in load.vllm_releases():
            inside = load.version_key(entry.from_) <= load.version_key(image.release) and (
                not entry.before or load.version_key(image.release) < load.version_key(entry.before)
            )
            assert not (inside and entry.status == "broken" and entry.target in image.targets), image.reference


def test_ranges_of_releases_do_not_overlap_and_name_a_release_that_works() -> None:
    for first, second in pairwise(load.vllm_releases()):
        if (first.target, first.quantisation) == (second.target, second.quantisation):
            assert first.before
            assert load.version_key(first.before) <= load.version_key(second.from_)
    for entry in load.vllm_releases():
        assert entry.status in {"works", "broken"}
        good = [
            other
            for other in load.vllm_releases()
            if (other.target, other.quantisation, other.status) == (entry.target, entry.quantisation, "works")
            and load.version_key(other.from_) <= load.version_key(entry.good)
            and (not other.before or load.version_key(entry.good) < load.version_key(other.before))
        ]
        assert len(good) == 1


def test_the_recorded_flags_are_read_with_all_their_names() -> None:
    newest = load.vllm_flag_lists()[-1]
    assert newest.release == "0.32.0"
    assert newest.flags["--dtype"].choices == ("auto", "bfloat16", "float", "float16", "float32", "half")
    assert newest.flags["--enforce-eager"] is newest.flags["--no-enforce-eager"]
    assert not newest.flags["--enforce-eager"].takes_value
    assert newest.flags["--max-model-len"] == load.Flag(takes_value=True, choices=())
    assert all(name.startswith("--") for name in newest.flags)


def test_flag_lists_come_oldest_first() -> None:
    releases = [load.version_key(entry.release) for entry in load.vllm_flag_lists()]
    assert releases == sorted(releases)


def test_a_flag_that_came_later_is_in_the_list_of_the_release_with_which_it_came() -> None:
    lists = {entry.release: entry.flags for entry in load.vllm_flag_lists()}
    for change in load.vllm_flag_changes():
        assert load.version_key(change.absent) < load.version_key(change.since)
        assert change.flag in lists[change.since]


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_other_names_of_flags_lead_to_something_that_llmflake_knows(engine: str) -> None:
    fields = SCHEMA["properties"]["services"]["additionalProperties"]["properties"][engine]["properties"]
    known = {flag_of_field(name) for name in fields} | {"--model", "--alias", "--host", "--port"}
    known |= {
        flag_of_field(name) for name in ("kv_unified", *LOADING[engine], *ADDING[engine])
    }  # what the planner asks for
    assert set(load.aliases()[engine].values()) <= known


@pytest.mark.parametrize(
    "read",
    [
        *(load.hardware, load.hardware_descriptions, models.repositories, load.images, load.aliases),
        *(load.vllm_releases, load.vllm_flag_lists, load.vllm_flag_changes),
    ],
)
def test_a_file_is_read_once(read: Any) -> None:  # noqa: ANN401
    assert read() is read()


VERSIONS = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@given(st.lists(st.tuples(VERSIONS, VERSIONS), min_size=1, max_size=50))
@settings(max_examples=10)
def test_versions_are_ordered_as_nix_orders_them(nix: Nix, pairs: list[tuple[str, str]]) -> None:
    comparisons = " ".join(f'(builtins.compareVersions "{first}" "{second}")' for first, second in pairs)
    keys = [(load.version_key(first), load.version_key(second)) for first, second in pairs]
    assert nix.evaluate(f"[ {comparisons} ]") == [(first > second) - (first < second) for first, second in keys]


@pytest.mark.parametrize(
    ("older", "newer"), [("0.9", "0.10"), ("1.0rc1", "1.0.1"), ("0.16.1.dev10", "0.17"), ("", "0")]
)
def test_a_release_is_newer(older: str, newer: str) -> None:
    assert load.version_key(older) < load.version_key(newer)
