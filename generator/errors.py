"""What goes wrong, as data: every message says where, what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field


def printable(name: str) -> str:
    """Return a file's name on one line, with escapes for what a terminal would obey instead of showing it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file; line and column count from 1, 0 means that the place inside the file is not known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return ``file:line:column``, the form that editors and terminals make clickable."""
        name = printable(self.file) or '""'
        return f"{name}:{self.line}:{self.column}" if self.line else name


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with an input: sorts by place, then by path."""

    location: Location
    path: str  # where in the data, as "services.llm.port"; "" for the whole file
    what: str
    hint: str

    def __str__(self) -> str:
        """Return ``file:line:column: path: what is wrong; what to do``."""
        parts = [str(self.location), self.path, f"{self.what}; {self.hint}" if self.hint else self.what]
        return ": ".join(part for part in parts if part)


@dataclass(eq=False)
class GeneratorError(Exception):
    """The command cannot go on, for the reasons in ``problems``; nothing was changed."""

    problems: tuple[Problem, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Make ``args`` what Exception expects, so that the error pickles and prints."""
        super().__init__(self.problems)

    def __str__(self) -> str:
        """Return one line a problem, sorted by place."""
        return "\n".join(str(problem) for problem in sorted(self.problems))


class SpecError(GeneratorError):
    """The deployment spec is wrong."""


class OutputError(GeneratorError):
    """The output directory cannot be written, or holds files that are not ours."""


class ShapeError(GeneratorError):
    """A file that should describe a model does not: of another kind, broken, or of an unknown architecture."""


class LockError(GeneratorError):
    """What the spec names could not be pinned, or the lock cannot be read or written; the old lock is as it was."""


class ToolError(GeneratorError):
    """A program that is needed is missing, failed, or took too long."""
