"""The lock file itself: written in one step, by one at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from generator.errors import LockError
from generator.lock import store

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_lock_is_readable_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "a.lock.toml"
    store.write(path, "one\n", None)
    assert (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777) == ("one\n", 0o644)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.lock.toml"]


def test_a_lock_behind_a_link_is_written_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("one\n", encoding="utf-8")
    (tmp_path / "a.lock.toml").symlink_to("real")
    store.write(tmp_path / "a.lock.toml", "two\n", "one\n")
    assert (tmp_path / "real").read_text(encoding="utf-8") == "two\n"
    assert (tmp_path / "a.lock.toml").is_symlink()


def test_a_lock_that_appeared_in_the_meantime_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.lock.toml"
    path.write_text("theirs\n", encoding="utf-8")
    with pytest.raises(LockError, match="this lock has changed in the meantime; start again"):
        store.write(path, "ours\n", None)
    assert path.read_text(encoding="utf-8") == "theirs\n"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="cannot be written: no such file or directory; correct that"):
        store.write(tmp_path / "nothing" / "a.lock.toml", "ours\n", None)


def test_a_failure_while_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock.toml"
    path.write_text("one\n", encoding="utf-8")

    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LockError, match="no space left on device"):
        store.write(path, "two\n", "one\n")
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"a.lock.toml": "one\n"}


def test_a_spec_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    spec = tmp_path / "a.toml"
    spec.write_text("", encoding="utf-8")
    with (
        store.held(str(spec)),
        pytest.raises(LockError, match="another llmflake lock is at work on this spec"),
        store.held(str(spec)),
    ):
        pass
    with store.held(str(spec)):
        pass
