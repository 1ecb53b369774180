"""What writing a flake would change: planned, refused with every file in the way, and shown before it is done."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from generator.emit.changes import plan_changes, read_existing, unified_diff
from generator.emit.write import apply
from tests.directories import (
    AFTER,
    BEFORE,
    FILES,
    MARK,
    STAGED,
    contents,
    holding,
    problems,
    put,
    put_foreign,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# What is planned


def test_each_file_is_created_updated_unchanged_or_deleted(root: Path) -> None:
    changes = plan_changes(root, AFTER)
    assert changes.created == ("d/z.nix", "new/deep/y.toml")
    assert changes.updated == ("flake.nix",)
    assert changes.unchanged == ("d/same.md",)
    assert changes.deleted == ("d/old.nix", "gone/deep/x.json")
    assert not changes.empty


def test_planning_writes_nothing(root: Path) -> None:
    before = state(root)
    plan_changes(root, AFTER)
    plan_changes(root.parent / "other", AFTER)
    assert state(root) == before
    assert not (root.parent / "other").exists()


def test_every_foreign_file_in_the_way_is_named_at_once(root: Path) -> None:
    before = state(root)
    found = problems(lambda: plan_changes(root, {**AFTER, "hardware.nix": MARK, "d/local.nix": MARK}))
    assert found == [
        f"{root / path}: this file is not llmflake's (no line of its first 5 says so); "
        f"move it away, or choose another directory than {root}"
        for path in ("d/local.nix", "hardware.nix")
    ]
    assert state(root) == before


@pytest.mark.parametrize(("line", "ours"), [(1, True), (5, True), (6, False)])
def test_the_marker_counts_in_the_first_five_lines(tmp_path: Path, line: int, *, ours: bool) -> None:
    (tmp_path / "a.nix").write_text("\n" * (line - 1) + MARK)
    assert plan_changes(tmp_path, {}).deleted == (("a.nix",) if ours else ())


def test_json_carries_the_marker_as_a_comment_key(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n  "_comment": "Managed by llmflake: generated",\n  "b": 1\n}\n')
    assert plan_changes(tmp_path, {"a.json": "{}\n"}).updated == ("a.json",)


def test_a_foreign_file_with_the_wanted_bytes_is_in_no_ones_way(tmp_path: Path) -> None:
    (tmp_path / "a.nix").write_text("{ }\n")
    assert plan_changes(tmp_path, {"a.nix": "{ }\n"}).unchanged == ("a.nix",)


def test_what_is_kept_is_left_alone_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "flake.lock").write_text("{}")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "ours.nix").write_text(MARK)
    files = {"flake.lock": "1", "link": "2", "folder": "3", "absent": "4"}
    changes = plan_changes(tmp_path, files, keep=frozenset({*files, "ours.nix"}))
    assert (changes.created, changes.unchanged) == (("absent",), ("flake.lock", "folder", "link"))
    apply(changes)
    assert (tmp_path / "flake.lock").read_text() == "{}"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "ours.nix").exists()
    assert (tmp_path / "absent").read_text() == "4"


def test_an_unmarked_file_is_updated(tmp_path: Path) -> None:
    (tmp_path / "flake.lock").write_text("{}")
    apply(plan_changes(tmp_path, {"flake.lock": "1"}, unmarked=frozenset({"flake.lock"})))
    assert (tmp_path / "flake.lock").read_text() == "1"


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "./a", "a//b", "a/", ".", "a\\b", "a\nb", "a\0", "\ud800"]
)
def test_a_path_that_no_output_has_is_our_mistake(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="not a plain relative path"):
        plan_changes(tmp_path, {path: MARK})


def test_a_path_below_a_file_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both files and directories"):
        plan_changes(tmp_path, {"a": MARK, "a/b/c": MARK})


def test_stale_files_are_looked_for_only_where_ours_can_be(tmp_path: Path) -> None:
    marked = MARK.encode()
    elsewhere = tmp_path / "elsewhere"
    put_foreign(elsewhere, {"a.nix": marked})
    root = tmp_path / "out"
    put_foreign(root, {"a.txt": marked, ".git/a.nix": marked, "d/.git/a.md": marked, f"{STAGED}/new/a.nix": marked})
    (root / "linked").symlink_to(elsewhere)
    (root / "link.nix").symlink_to(elsewhere / "a.nix")
    os.mkfifo(root / "pipe.nix")
    assert plan_changes(root, {}).deleted == ()


def test_another_flake_below_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "out", BEFORE)
    changes = put(tmp_path, BEFORE)
    assert changes.deleted == ()
    assert contents(tmp_path / "out") == holding(BEFORE)


@pytest.mark.parametrize(
    ("prepare", "what"),
    [
        (
            lambda root: (root / "a").symlink_to("b"),
            "a/f.nix: a on the way to it is a symbolic link, which is not followed",
        ),
        (lambda root: (root / "a").write_text(MARK), "a/f.nix: a is a file, where a directory goes"),
        (lambda root: (root / "a/f.nix").mkdir(parents=True), "a/f.nix: this is a directory, where a file goes"),
        (lambda root: put_link(root / "a/f.nix"), "a/f.nix: this is a symbolic link, which is not followed"),
        (lambda root: put_pipe(root / "a/f.nix"), "a/f.nix: this is no plain file"),
    ],
)
def test_what_is_no_file_is_not_written_over(tmp_path: Path, prepare: Callable[[Path], object], what: str) -> None:
    prepare(tmp_path)
    hint = f"move it away, or choose another directory than {tmp_path}"
    assert problems(lambda: plan_changes(tmp_path, {"a/f.nix": MARK})) == [f"{tmp_path}/{what}; {hint}"]


def put_link(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / "target.nix").write_text(MARK)
    path.symlink_to("target.nix")


def put_pipe(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def test_a_root_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    hint = "choose another output directory"
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        assert problems(lambda root=root: plan_changes(root, AFTER)) == [  # type: ignore[misc]
            f"{tmp_path}/file: this is a file, not a directory; {hint}"
        ]
    assert problems(lambda: plan_changes(tmp_path / "link", AFTER)) == [
        f"{tmp_path}/link: this is a symbolic link to nothing; {hint}"
    ]


def test_a_root_that_links_to_a_directory_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link", AFTER)
    assert contents(tmp_path / "real") == holding(AFTER)


def test_an_existing_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "flake.lock").write_text("{}")
    assert read_existing(tmp_path, "flake.lock") == "{}"
    assert read_existing(tmp_path, "other") is None
    assert read_existing(tmp_path / "flake.lock", "below") is None


def test_an_existing_text_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "folder").mkdir()
    assert "cannot be read: it is not UTF-8" in problems(lambda: read_existing(tmp_path, "bytes"))[0]
    assert "cannot be read: is a directory" in problems(lambda: read_existing(tmp_path, "folder"))[0]


# What is shown


def test_the_diff_of_every_kind_of_change(tmp_path: Path) -> None:
    put(tmp_path, {"a.nix": MARK, "b.nix": f"{MARK}1\n", "c.nix": f"{MARK}1"})
    changes = plan_changes(
        tmp_path, {"b.nix": f"{MARK}2", "c.nix": f"{MARK}1", "d/e.nix": f"{MARK}{{ }}\n", "f.md": ""}
    )
    assert unified_diff(changes) == (
        "diff --git a/a.nix b/a.nix\ndeleted file mode 100644\n--- a/a.nix\n+++ /dev/null\n@@ -1 +0,0 @@\n"
        "-# Managed by llmflake\n"
        "diff --git a/b.nix b/b.nix\n--- a/b.nix\n+++ b/b.nix\n@@ -1,2 +1,2 @@\n"
        " # Managed by llmflake\n-1\n+2\n\\ No newline at end of file\n"
        "diff --git a/d/e.nix b/d/e.nix\nnew file mode 100644\n--- /dev/null\n+++ b/d/e.nix\n@@ -0,0 +1,2 @@\n"
        "+# Managed by llmflake\n+{ }\n"
        "diff --git a/f.md b/f.md\nnew file mode 100644\n"
    )


def test_no_changes_have_no_diff(root: Path) -> None:
    assert unified_diff(plan_changes(root, BEFORE)) == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on PATH; install it (Debian: apt-get install git)")
@settings(max_examples=60)
@given(FILES, FILES)
def test_git_makes_the_same_of_the_diff_as_apply_does(before: dict[str, str], after: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root, before)
        diff = unified_diff(plan_changes(root, after))
        if diff:
            command = ["git", "-C", folder, "apply", "--whitespace=nowarn", "-"]
            environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CEILING_DIRECTORIES": str(root.parent)}
            subprocess.run(command, input=diff.encode(), check=True, capture_output=True, env=environment)
        assert contents(root) == holding(after)
