"""What a command tells people: pure functions from results to text."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from generator.errors import Problem

_STATIC = ("nix", "tests")


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return a problem for machines; line and column are 0 where there is no place inside the file."""
    return {
        "file": problem.location.file,
        "line": problem.location.line,
        "column": problem.location.column,
        "path": problem.path,
        "what": problem.what,
        "hint": problem.hint,
    }


def tree(root: str, paths: Iterable[str]) -> str:
    """Return paths as a tree; the static tier, which is the same in every flake, as one line a folder.

    >>> print(tree("out", ["flake.nix", "machines/a/configuration.nix"]))
    out
    ├── flake.nix
    └── machines
        └── a
            └── configuration.nix
    """
    nested: dict[str, Any] = {}
    static = dict.fromkeys(_STATIC, 0)
    for path in sorted(paths):
        first, *rest = path.split("/")
        if first in static and rest:
            static[first] += 1
            continue
        node = nested
        for part in (first, *rest[:-1]) if rest else ():
            node = node.setdefault(part, {})
        node[rest[-1] if rest else first] = {}
    for folder, count in static.items():
        if count:
            nested[f"{folder}/  ({count} file{'' if count == 1 else 's'}, the same in every flake)"] = {}
    return "\n".join([root, *_branches(nested, "")])


def _branches(node: dict[str, Any], indent: str) -> Iterable[str]:
    entries = list(node.items())
    for index, (name, below) in enumerate(entries):
        last = index == len(entries) - 1
        yield f"{indent}{'└── ' if last else '├── '}{name}"
        yield from _branches(below, indent + ("    " if last else "│   "))


def next_steps(output: str, machines: Iterable[str], *, is_repository: bool) -> str:
    """Return what to type next; the directory becomes a git repository if it is none.

    Nix and clan look for one in the directories above too, and in a file of another repository they see only what that
    one tracks.
    """
    steps = [f"cd {shlex.quote(output)}"]
    steps += ["git add ."] if is_repository else ["git init", "git add ."]
    steps += ["nix flake check", *(f"clan machines update {name}" for name in list(machines)[:3])]
    return "\n  ".join(["Next:", *steps])
