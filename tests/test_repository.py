"""The repository itself: its flake, its wheel, its README, and nothing of anybody's machine in it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from generator.cli import main
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from tests.nix_program import Flakes, Nix

README = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """Return the files that git knows, or all where there is no git."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a copy of what git knows of the repository."""
    for path in tracked():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    "attribute",
    [
        "packages.x86_64-linux.default.drvPath",
        "apps.x86_64-linux.generate.program",
        "checks.x86_64-linux.unit.drvPath",
        "checks.x86_64-linux.package.drvPath",
    ],
)
def test_the_flake_evaluates(flakes: Flakes, repository: Path, attribute: str) -> None:
    assert "llmflake" in flakes.eval(repository, attribute)


def test_nixpkgs_has_the_releases_that_the_package_declares(flakes: Flakes, repository: Path) -> None:
    """A build in nixpkgs compares them, and would end there; what the package relaxes is not compared."""
    apply = """package: { relaxed = package.pythonRelaxDeps; versions = builtins.listToAttrs (map (dependency: {
      name = builtins.replaceStrings [ "python-" ] [ "" ] dependency.pname; value = dependency.version;
    }) package.dependencies); }"""
    found = flakes.eval(repository, "packages.x86_64-linux.default", apply)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [Requirement(entry) for entry in project["dependencies"]]
    assert sorted(entry.name for entry in declared) == sorted(found["versions"])
    refused = [
        entry.name
        for entry in declared
        if not entry.specifier.contains(found["versions"][entry.name], prereleases=True)
    ]
    assert refused == found["relaxed"]


def test_every_nix_file_of_the_repository_parses(nix: Nix) -> None:
    nix.parse(*(path for path in tracked() if path.suffix == ".nix"))


def test_the_static_tier_carries_the_marker_and_uses_neither_rec_nor_with() -> None:
    for folder in ("nix", "tests/nix"):
        for path in (ROOT / folder).rglob("*.nix"):
            text = path.read_text(encoding="utf-8")
            assert "Managed by llmflake" in text.splitlines()[0], path
            code = "\n".join(line.split("#")[0] for line in text.splitlines())
            assert not re.search(r"\brec\s*\{|^\s*with\s+[\w.]+;", code, re.MULTILINE), path


def test_the_wheel_carries_all_that_the_program_needs(tmp_path: Path) -> None:
    """Built and unpacked far from the repository, the program still generates."""
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(unpacked)], check=True)
    example = ROOT / "examples" / "aspen1.toml"
    program = f"import sys; sys.path.insert(0, {str(unpacked)!r}); from generator.cli import main; main()"
    output = tmp_path / "out"
    command = [sys.executable, "-I", "-c", program, "generate", str(example), "-o", str(output)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (output / "nix" / "lib" / "default.nix").read_bytes() == (ROOT / "nix" / "lib" / "default.nix").read_bytes()
    assert (output / "tests" / "nix" / "test_kernel.nix").exists()


def test_the_readmes_first_block_is_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command, output = blocks("console")[0].split("\n", 1)
    output = output.partition("$ cd ")[0]
    arguments = shlex.split(command.removeprefix("$ nix run .#generate -- "))
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["generate", *arguments])
    assert done.exit_code == 0
    assert done.output == output


def test_the_readmes_spec_is_right(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(blocks("toml")[0], encoding="utf-8")
    assert CliRunner().invoke(main, ["validate", str(path)]).exit_code == 0


def test_the_readmes_gateway_goes_with_its_spec(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    exposed = 'api_key = true\nexpose = ["gateway"]\n'
    path.write_text(blocks("toml")[0] + exposed + blocks("toml")[1], encoding="utf-8")
    assert CliRunner().invoke(main, ["validate", str(path)]).exit_code == 0


def test_the_readmes_error_is_what_that_spec_with_a_slip_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = blocks("toml")[0].replace('machines = ["aspen1"]', 'machines = ["apsen1"]')
    Path("broken.toml").write_text(spec, encoding="utf-8")
    done = CliRunner().invoke(main, ["validate", "broken.toml"])
    assert f"$ llmflake validate broken.toml\n{done.stderr}" in blocks("console")


def test_the_readmes_plan_is_what_the_command_prints_with_lines_left_out() -> None:
    (block,) = (entry for entry in blocks("console") if entry.startswith("$ llmflake plan "))
    command, *shown = block.splitlines()
    done = CliRunner(env={"COLUMNS": "100"}).invoke(main, ["plan", str(ROOT / command.split()[-1])])
    assert done.exit_code == 0
    lines, at, skipping = done.output.splitlines(), 0, False
    for line in shown:
        if line == "…":
            skipping = True
            continue
        at = lines.index(line, at) if skipping else at
        assert lines[at] == line
        at, skipping = at + 1, False
    assert skipping or at == len(lines)


def test_the_readmes_refusal_is_what_that_spec_without_a_lock_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deployment.toml").write_text(blocks("toml")[0], encoding="utf-8")
    done = CliRunner().invoke(main, ["generate", "deployment.toml", "-o", "out"])
    assert f"$ llmflake generate deployment.toml -o out\n{done.stderr}" in blocks("console")


def expanded(name: str) -> list[str]:
    """Return what a shell makes of braces: ``a{b,c}`` is ``ab`` and ``ac``."""
    before, brace, rest = name.partition("{")
    if not brace:
        return [name]
    inner, _, after = rest.partition("}")
    return [f"{before}{choice}{after}" for choice in inner.split(",")]


def test_every_file_that_the_docs_name_is_there() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if document.name == "plan.md":  # somebody else's words about somebody else's repository
            continue
        text = document.read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
        for names in re.findall(r"\btest_[\w{},-]+\.(?:py|nix)\b", text):
            for name in expanded(names):
                assert list((ROOT / "tests").rglob(name)), f"{document.name}: {name}"
        for path in re.findall(r"`((?:nix|generator|schema|examples|docs|tests)/[\w./-]+\.\w+)`", text):
            assert (ROOT / path).exists(), f"{document.name}: {path}"


def test_nothing_of_a_developers_machine_is_in_the_repository() -> None:
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        assert str(ROOT) + "/" not in text, path
        assert not re.search(r"/(root|home/(?!brittonr|foo)\w+)/\.(cache|pyenv|local)", text), path


def test_the_program_needs_only_what_it_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=]", entry)[0].replace("-", "_") for entry in project["dependencies"]}
    imported = set()
    for path in (ROOT / "generator").rglob("*.py"):
        for name in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            if name not in sys.stdlib_module_names and name != "generator":
                imported.add(name)
    assert imported == declared
