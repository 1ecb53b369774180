"""A lock as a file: what is written is read again, and what somebody else wrote is refused with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import LockError
from generator.lock.store import lock_text
from generator.spec.lockfile import checksum, lock_path, read_pins
from generator.spec.pins import FilePin, ImagePin, ModelPin, Pins, SourcePin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")
HEX = "0123456789abcdef"
COMMITS = st.text(HEX, min_size=40, max_size=40)
SRI = st.just("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PATHS = TEXT.filter(lambda text: not {"", ".", ".."} & set(text.split("/")) and "\\" not in text)
FILES = st.builds(FilePin, PATHS, st.integers(0, 1 << 50), st.text(HEX, min_size=64, max_size=64))
PATTERNS = st.lists(TEXT, max_size=2).map(tuple)
MODELS = st.builds(
    ModelPin,
    TEXT.map("o/".__add__),
    TEXT,
    COMMITS,
    PATTERNS,
    PATTERNS,
    st.none() | st.lists(FILES, min_size=1, max_size=3).map(tuple),
)
IMAGES = st.builds(
    ImagePin,
    st.text(HEX, min_size=64, max_size=64).map("sha256:".__add__),
    st.dictionaries(st.sampled_from(["amd64", "arm64"]), SRI),
)
SOURCES = st.builds(lambda where, hashed: SourcePin("url", where, None, None, hashed), TEXT, SRI) | st.builds(
    lambda where, asked, commit, hashed: SourcePin("git", where, asked, commit, hashed), TEXT, TEXT, COMMITS, SRI
)
INPUTS = st.just({"locked": {"type": "github", "rev": "0", "lastModified": 1}, "original": {"type": "github"}})
PINS = st.builds(
    Pins,
    st.dictionaries(TEXT, MODELS, max_size=2),
    st.dictionaries(TEXT, IMAGES, max_size=2),
    st.dictionaries(TEXT, SOURCES, max_size=2),
    st.dictionaries(TEXT, INPUTS, max_size=1),
)
ONE = Pins(models={"m": ModelPin("o/m", "main", "a" * 40, (), ("original/*",), (FilePin("a", 12, "0" * 64),))})


@given(pins=PINS)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, pins: Pins) -> None:
    path = tmp_path_factory.mktemp("lock") / "a.lock.toml"
    text = lock_text(pins)
    path.write_text(text, encoding="utf-8", newline="")
    assert read_pins(path) == Pins(pins.models, pins.images, pins.sources, pins.inputs, text)


@given(pins=PINS)
def test_the_order_of_entries_does_not_matter(pins: Pins) -> None:
    turned = Pins(turn(pins.models), turn(pins.images), turn(pins.sources), turn(pins.inputs))
    assert lock_text(turned) == lock_text(pins)


def turn(table: Mapping[str, T]) -> dict[str, T]:
    return dict(reversed(list(table.items())))


def test_a_lock_is_beside_its_spec() -> None:
    assert str(lock_path("a/b.toml")) == "a/b.lock.toml"
    assert str(lock_path("a/b.json")) == "a/b.lock.toml"
    assert lock_path("-") is None


def test_no_lock_pins_nothing(tmp_path: Path) -> None:
    assert read_pins(tmp_path / "no.lock.toml") == Pins()
    assert read_pins(None) == Pins()


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "a.lock.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LockError) as caught:
        read_pins(path)
    return str(caught.value).replace(f"{path}", "a.lock.toml")


def test_a_hash_that_was_edited_by_hand_is_seen(tmp_path: Path) -> None:
    text = lock_text(ONE).replace("0" * 64, "1" * 64)
    said = refused(tmp_path, text)
    assert said.startswith("a.lock.toml:5:12: checksum: this lock was edited by hand: its checksum is sha256-")
    assert said.endswith("; restore it, or delete it and run llmflake lock")


def test_an_entry_that_is_missing_after_a_merge_is_seen(tmp_path: Path) -> None:
    text = lock_text(ONE)
    said = refused(tmp_path, "\n".join(line for line in text.splitlines() if not line.startswith("revision")))
    assert 'models.m: missing key "revision"' in said
    assert "this lock was edited by hand; restore it, or delete it and run llmflake lock" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("size = 12", 'size = "12"'), "size: expected integer"),
        (('path = "a"', 'path = "../a"'), "path: "),
        (("requested", "requestd"), 'unknown key "requestd"; did you mean "requested"?'),
        (('"' + "a" * 40, '"main'), 'revision: "main'),
    ],
)
def test_what_breaks_the_schema_has_its_place(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    text = lock_text(ONE)
    assert change[0] in text
    assert said in refused(tmp_path, text.replace(*change))


def test_a_newer_format_is_told_apart_from_a_wrong_one(tmp_path: Path) -> None:
    text = lock_text(ONE).replace("version = 1", "version = 2\nsignature = 1")
    said = refused(tmp_path, text)
    assert said == (
        "a.lock.toml:4:11: version: this lock has format 2, and this llmflake reads format 1; "
        "use the newer llmflake that wrote it"
    )


def test_what_is_no_toml_has_its_place(tmp_path: Path) -> None:
    assert refused(tmp_path, "version = \n").startswith("a.lock.toml:1:11: ")


@pytest.mark.parametrize("text", ["", "\0", "version = "])
def test_a_lock_that_cannot_be_read_is_no_spec_to_be_corrected(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).endswith("; restore it, or delete it and run llmflake lock")


@pytest.mark.parametrize("spec", ["-", ".", "./", "/", ""])
def test_what_has_no_name_has_no_lock_beside_it(spec: str) -> None:
    assert lock_path(spec) is None


def test_the_checksum_leaves_itself_out() -> None:
    assert checksum({"version": 1, "checksum": "x"}) == checksum({"version": 1})
