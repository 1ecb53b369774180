# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""A model's files in a directory: which are wanted, which of them are known to be whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

STATE = ".llmflake-model.json"
UNWRITTEN = f"{STATE}.new"
"""The state while it is written; a kill leaves it."""
PARTS = ".llmflake-parts"
"""The folder of what is half there."""
KEPT = ".llmflake-kept"
"""The folder of what another revision wanted, by its hash: rolling back to that needs no download."""
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file: its path below the directory, its size in bytes, its hash, ``sha256:…`` or git's own, ``git:…``."""

    path: str
    size: int
    hash: str


@dataclass(slots=True)
class State:
    """What is remembered between runs: ``selection`` says of what, ``listing`` which files the hub listed for it.

    ``whole`` has, by path, size, modification time in nanoseconds, and hash of files that were found to be right.
    """

    directory: Path
    selection: str = ""
    listing: list[Wanted] | None = None
    whole: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> State:
        """Return the state of a directory; a new one where there is none, or none that can be read."""
        state = cls(directory)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads((directory / STATE).read_text(encoding="utf-8"))
            listing = data["listing"]
            whole = {path: (int(size), int(time), str(sum_)) for path, (size, time, sum_) in data["whole"].items()}
            state = cls(directory, data["selection"], listing and [Wanted(*file) for file in listing], whole)
        return state

    def write(self) -> None:
        """Write the state in one step: killed at any moment, the old or the new one is there."""
        listing = None if self.listing is None else [[file.path, file.size, file.hash] for file in self.listing]
        data = {"selection": self.selection, "listing": listing, "whole": self.whole}
        new = self.directory / UNWRITTEN
        with new.open("w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.directory / STATE)

    def has(self, file: Wanted) -> bool:
        """Return whether a file was found to be right, and has not changed since."""
        try:
            status = (self.directory / file.path).stat()
        except OSError:
            return False
        return self.whole.get(file.path) == (file.size, status.st_mtime_ns, file.hash) and status.st_size == file.size

    def remember(self, file: Wanted) -> None:
        """Remember that a file is right."""
        self.whole[file.path] = (file.size, (self.directory / file.path).stat().st_mtime_ns, file.hash)
        self.write()

    def forget_others(self, wanted: list[Wanted]) -> list[str]:
        """Keep files of before that are not wanted any more by their hash; return their paths. Those of others stay."""
        paths = {file.path for file in wanted}
        gone = sorted(path for path in self.whole if path not in paths)
        for path in gone:
            self.set_aside(path)
            (self.directory / path).unlink(missing_ok=True)
            del self.whole[path]
        if gone:
            self.write()
        return gone

    def set_aside(self, path: str) -> None:
        """Keep a file that was right, before another one takes its path; one that changed since is not worth it."""
        size, _, found = self.whole.get(path, (0, 0, ""))
        if not self.has(Wanted(path, size, found)):
            return
        kept = kept_of(self.directory, found)
        kept.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            link(self.directory / path, kept)

    def drop_kept(self) -> None:
        """Forget what is kept and has its place again."""
        for _, _, found in self.whole.values():
            kept_of(self.directory, found).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is kept, or nothing ever was
            (self.directory / KEPT).rmdir()


def selection_of(model: dict[str, Any]) -> str:
    """Return what tells one choice of a repository's files from another."""
    identity = [model[key] for key in ("repository", "revision", "include", "exclude")]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def difference(path: Path, file: Wanted) -> str | None:
    """Return in what a file at a path differs from what is wanted, both hashes shown; None where it does not."""
    size = path.stat().st_size
    if size != file.size:
        return f"{file.path} has {size} bytes, and {file.size} are wanted"
    kind, _, wanted = file.hash.partition(":")
    digest: Any = (
        hashlib.sha256() if kind == "sha256" else hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    )
    with path.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    return None if found == wanted else f"{file.path} has {kind} {found}, and {wanted} is wanted"


def part_of(directory: Path, file: Wanted) -> Path:
    """Return where a file is while it is half there: named by its hash, so that no other file is ever continued."""
    return directory / PARTS / file.hash.replace(":", "-")


def kept_of(directory: Path, found: str) -> Path:
    """Return where the bytes with a hash are kept."""
    return directory / KEPT / found.replace(":", "-")


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or that one instead where a file system knows no second names.

    Raises FileExistsError.
    """
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:
        source.replace(target)


def is_below(path: str) -> bool:
    """Return whether a path stays in the directory."""
    return not {"", ".", ".."} & set(path.split("/")) and "\0" not in path
