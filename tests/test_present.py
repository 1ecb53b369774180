"""What stands in an output directory: files of ours, files of others, things in the way, leftovers of killed runs."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from generator.emit import present
from generator.emit.present import (
    InTheWayError,
    is_ours,
    is_plain,
    is_staging,
    leftovers,
    nearest_folder,
    read_present,
    reason,
    staging_name,
    stale,
)
from generator.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

MARK = b"# Managed by llmflake\n"


@pytest.mark.parametrize(
    ("data", "ours"),
    [
        (MARK, True),
        (b"1\n2\n3\n4\n" + MARK, True),
        (b"1\n2\n3\n4\n5\n" + MARK, False),
        (b'{\n  "_comment": "Managed by llmflake: x"\n}', True),
        (b"\xff\n" + MARK, True),
        (b"", False),
        (b"managed by llmflake", False),
    ],
)
def test_a_marker_in_the_first_five_lines_makes_a_file_ours(data: bytes, *, ours: bool) -> None:
    assert is_ours(data) == ours


@pytest.mark.parametrize("path", ["a", "a/b.nix", "a b/ü.md", ".hidden", "a/..b"])
def test_a_path_downwards_is_plain(path: str) -> None:
    assert is_plain(path)


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\nb", "a\0b", "a\x7f", "\udcff"]
)
def test_a_path_that_leads_elsewhere_or_cannot_be_shown_is_not(path: str) -> None:
    assert not is_plain(path)


def test_staging_directories_have_names_of_their_own() -> None:
    names = {staging_name() for _ in range(100)}
    assert len(names) == 100
    assert all(is_staging(name) for name in names)
    assert not any(is_staging(name) for name in (".llmflake-", ".llmflake-notes", f"x{staging_name()}"))


def test_leftovers_are_this_users_staging_directories_alone(tmp_path: Path) -> None:
    left = tmp_path / staging_name()
    left.mkdir()
    (tmp_path / staging_name()).write_text("a file")
    (tmp_path / staging_name()).symlink_to(left)
    (tmp_path / ".llmflake-notes").mkdir()
    assert leftovers(tmp_path) == [left]


def test_the_leftovers_of_another_user_are_not_ours(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's directory; run this test as root")
    left = tmp_path / staging_name()
    left.mkdir()
    os.chown(left, 65534, 65534)
    assert leftovers(tmp_path) == []


def test_the_nearest_folder_is_the_directory_or_the_one_above_that_is_there(tmp_path: Path) -> None:
    assert nearest_folder(tmp_path) == tmp_path
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path


@pytest.mark.parametrize("below", ["", "/b/c"])
def test_a_file_or_a_dangling_link_in_the_place_of_the_directory_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, what in (("file", "this is a file, not a directory"), ("link", "this is a symbolic link to nothing")):
        with pytest.raises(OutputError) as caught:
            nearest_folder(tmp_path / f"{name}{below}")
        assert str(caught.value) == f"{tmp_path / name}: {what}; choose another output directory"


def test_a_directory_whose_name_is_too_long_is_refused(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 300)
    with pytest.raises(OutputError) as caught:
        nearest_folder(root)
    assert str(caught.value) == f"{root}: cannot be read: file name too long; choose another output directory"


def test_a_plain_file_is_read_and_a_missing_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"\xff")
    assert read_present(tmp_path, "a/b") == b"\xff"
    assert read_present(tmp_path, "a/c") is None
    assert read_present(tmp_path, "d/e") is None


def test_what_is_in_the_way_of_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    for path, what in {
        "folder": "this is a directory, where a file goes",
        "file/a": "file is a file, where a directory goes",
        "link": "this is a symbolic link, which is not followed",
        "link/a": "link on the way to it is a symbolic link, which is not followed",
        "pipe": "this is no plain file",
        "x" * 300: "cannot be read: file name too long",
    }.items():
        with pytest.raises(InTheWayError) as caught:
            read_present(tmp_path, path)
        assert str(caught.value) == what


def test_files_of_ours_that_are_not_wanted_are_stale(tmp_path: Path) -> None:
    for name in ("a.nix", "d/b.md", "d/c.txt", ".git/d.nix", f"{staging_name()}/new/e.nix"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(MARK + b"x" * 10)
    (tmp_path / "theirs.nix").write_bytes(b"{ }\n")
    (tmp_path / "link.nix").symlink_to(tmp_path / "a.nix")
    assert dict(stale(tmp_path, {"a.nix"})) == {"d/b.md": MARK + b"x" * 10}


def test_another_flake_below_keeps_its_files(tmp_path: Path) -> None:
    for name in ("flake.nix", "machines/m/configuration.nix", "other/flake.nix", "other/machines/m/a.nix"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(MARK)
    assert [path for path, _ in stale(tmp_path, {"flake.nix"})] == ["machines/m/configuration.nix"]


def test_a_file_that_cannot_be_read_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can read everything: the file goes between the listing and the reading."""
    (tmp_path / "a.nix").write_bytes(MARK)
    plain = present.is_plain
    monkeypatch.setattr(present, "is_plain", lambda path: (tmp_path / path).unlink() or plain(path))
    assert list(stale(tmp_path, ())) == []


def test_a_reason_is_part_of_a_sentence() -> None:
    assert reason(OSError(errno.ENOSPC, "ignored")) == "no space left on device"
    assert reason(OSError("Something else")) == "something else"
