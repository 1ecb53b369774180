"""Load the catalog: TOML and TSV files into frozen records, each read once and only when asked for."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from generator import resources

_HERE = Path(__file__).resolve().parent


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class HardwareRecord:
    """A machine's hardware: ``accelerator`` rocm, cuda or cpu; ``target`` gfx… or sm_…; ``memory_mib`` nominal MiB.

    ``visible_mib`` is what the system sees of a unified memory, ``bandwidth_gbs`` nominal in 10^9 bytes a second; both
    None where not known. ``measured_as`` is its name in the published measurements.
    """

    accelerator: str
    target: str | None
    memory_mib: int
    unified: bool
    render_node: str = "/dev/dri/renderD128"
    visible_mib: int | None = None
    bandwidth_gbs: float | None = None
    measured_as: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseRange:
    """What vLLM from ``from_`` up to but without ``before`` ("" is open) does with one quantisation on one GPU."""

    target: str
    quantisation: str
    from_: str
    before: str
    status: str
    reason: str
    good: str
    source: str


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A container image whose digest is known."""

    reference: str
    tag: str
    engine: str
    release: str
    targets: tuple[str, ...]
    default: bool


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of a program: whether a value follows, and which values it takes (empty where any)."""

    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagList:
    """The flags of one release of ``vllm serve``, by every long name."""

    release: str
    flags: dict[str, Flag]


@dataclass(frozen=True, slots=True)
class FlagChange:
    """A flag that came with a release: ``since`` the first known to have it, ``absent`` the last known to lack it."""

    flag: str
    since: str
    absent: str
    source: str


@cache
def _hardware() -> dict[str, Any]:
    return _toml(_HERE / "hardware.toml")


@cache
def hardware() -> dict[str, HardwareRecord]:
    """Return hardware by catalog name."""
    return {
        name: HardwareRecord(
            entry["accelerator"],
            entry.get("target"),
            entry["memory_mib"],
            entry["unified"],
            visible_mib=entry.get("visible_mib"),
            bandwidth_gbs=entry.get("bandwidth_gbs"),
            measured_as=entry.get("measured_as"),
        )
        for name, entry in _hardware().items()
    }


@cache
def hardware_descriptions() -> dict[str, str]:
    """Return what each catalog name stands for, for people."""
    return {name: entry["description"] for name, entry in _hardware().items()}


@cache
def vllm_releases() -> tuple[ReleaseRange, ...]:
    """Return what is known of vLLM releases, in the order in which the ranges are tried (``nix/data``)."""
    data = _toml(resources.release_data("vllm-releases.toml"))
    return tuple(
        ReleaseRange(
            entry["target"],
            entry["quantisation"],
            entry["from"],
            entry["before"],
            entry["status"],
            entry["reason"],
            entry["good"],
            entry["source"],
        )
        for entry in data["range"]
    )


@cache
def images() -> tuple[ImageRecord, ...]:
    """Return container images whose digest is known (``nix/data``)."""
    return tuple(
        ImageRecord(
            entry["reference"],
            entry["tag"],
            entry["engine"],
            entry["release"],
            tuple(entry["targets"]),
            default=entry["default"],
        )
        for entry in _toml(resources.release_data("images.toml"))["image"]
    )


@cache
def vllm_flag_lists() -> tuple[FlagList, ...]:
    """Return the recorded flag lists of vLLM, oldest release first."""
    lists = []
    for path in (_HERE / "flags").glob("vllm-*.tsv"):
        flags: dict[str, Flag] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                names, kind, choices = line.split("\t")
                flag = Flag(kind == "value", tuple(choices.split(",")) if choices else ())
                flags.update(dict.fromkeys(names.split(","), flag))
        lists.append(FlagList(path.stem.removeprefix("vllm-"), flags))
    return tuple(sorted(lists, key=lambda entry: version_key(entry.release)))


@cache
def vllm_flag_changes() -> tuple[FlagChange, ...]:
    """Return the flags that are known to differ between releases."""
    return tuple(
        FlagChange(flag, entry["since"], entry["absent"], entry["source"])
        for flag, entry in _toml(_HERE / "flags.toml").items()
    )


@cache
def aliases() -> dict[str, dict[str, str]]:
    """Return other names of flags, by engine: ``{"llamacpp": {"-ngl": "--n-gpu-layers"}}``."""
    return {
        engine: {name: flag for name, flag in entry.items() if name.startswith("-")}
        for engine, entry in _toml(_HERE / "aliases.toml").items()
    }


def version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key that orders versions as Nix's ``compareVersions`` does for digits and dots."""
    parts = re.findall(r"\d+|[a-zA-Z]+", version)
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in parts)
