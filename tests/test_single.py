"""Writing one file: whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from generator.emit.single import write_file
from generator.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

MARK = "<!-- Managed by llmflake -->\n"


def problem(path: Path, text: str = MARK) -> str:
    with pytest.raises(OutputError) as caught:
        write_file(path, text)
    return str(caught.value)


def test_a_new_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    assert write_file(path, MARK + "é")
    assert path.read_bytes() == (MARK + "é").encode()
    assert path.stat().st_mode & 0o777 == 0o644 & ~_umask()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_ours_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    write_file(path, MARK)
    assert write_file(path, MARK + "2")
    assert path.read_text(encoding="utf-8") == MARK + "2"


def test_the_same_text_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    write_file(path, MARK)
    before = path.stat()
    assert not write_file(path, MARK)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_without_the_marker_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    path.write_text("mine", encoding="utf-8")
    hint = "move it away, or choose another file"
    assert problem(path) == f"{path}: this file is not llmflake's (no line of its first 5 says so); {hint}"
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text(MARK, encoding="utf-8")
    path = tmp_path / "plan.html"
    path.symlink_to("real.html")
    assert "this is a symbolic link, which is not followed" in problem(path, MARK + "2")
    assert (tmp_path / "real.html").read_text(encoding="utf-8") == MARK


def test_a_directory_is_in_the_way(tmp_path: Path) -> None:
    assert "this is a directory, where a file goes" in problem(tmp_path)


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "plan.html"
    assert problem(path) == f"{path}: there is no directory {tmp_path / 'gone'}; make it first, or choose another"
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.html"
    write_file(path, MARK)

    def fail(_: int) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", fail)
    assert re.fullmatch(
        rf"{re.escape(str(path))}: cannot be written: no space left on device; nothing was changed; .*",
        problem(path, MARK + "2"),
    )
    assert path.read_text(encoding="utf-8") == MARK
    assert list(tmp_path.iterdir()) == [path]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
