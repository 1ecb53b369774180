"""nix/lib under real Nix: every attribute of tests/nix/*.nix is one test, and every exported function has one."""

from __future__ import annotations

import difflib
import json
from functools import cache
from typing import Any

import pytest

from tests.nix_program import NEED_NIX, ROOT, NixError, find_nix

_TESTS = f"import {ROOT}/tests/nix"
# One process names the tests; each test's own process shows its own error.
_NAMES = f"""
let
  walk = prefix: set: builtins.concatMap (
    name:
    if builtins.substring 0 4 name == "test" then [ (prefix ++ [ name ]) ]
    else if builtins.isAttrs set.${{name}} then walk (prefix ++ [ name ]) set.${{name}}
    else [ ]
  ) (builtins.attrNames set);
in walk [ ] ({_TESTS})
"""
# All tests that expect a value, at once; an expression that throws gives null, and is then asked for alone.
_ALL = f"""
let
  value = test: let got = builtins.tryEval (builtins.deepSeq test.expr test.expr); in
    if test ? expectedError then null else {{ inherit (got) success; got = if got.success then got.value else null;
      inherit (test) expected; }};
  walk = set: builtins.mapAttrs (
    name: entry: if builtins.substring 0 4 name == "test" then value entry else walk entry
  ) set;
in walk ({_TESTS})
"""


@cache
def _names() -> list[tuple[str, ...]]:
    nix = find_nix()
    return [tuple(path) for path in nix.evaluate(_NAMES)] if nix else []


@cache
def _results() -> Any:  # noqa: ANN401 - nested by file and function
    nix = find_nix()
    assert nix is not None
    return nix.evaluate(_ALL)


def _expression(path: tuple[str, ...]) -> str:
    return f"({_TESTS})" + "".join(f'."{part}"' for part in path)


def _pretty(value: object) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).splitlines()


@pytest.mark.skipif(find_nix() is None, reason=NEED_NIX)
@pytest.mark.parametrize("path", _names(), ids=".".join)
def test_nix_unit(path: tuple[str, ...]) -> None:
    nix = find_nix()
    assert nix is not None
    result = _results()
    for part in path:
        result = result[part]
    if result is None:
        expected = nix.evaluate(f"({_expression(path)}).expectedError")
        with pytest.raises(NixError, match=expected["msg"]):
            nix.evaluate(f"({_expression(path)}).expr")
        return
    if not result["success"]:
        nix.evaluate(f"({_expression(path)}).expr")  # raises with the error's text
    difference = list(
        difflib.unified_diff(_pretty(result["expected"]), _pretty(result["got"]), "expected", "got", lineterm="")
    )
    assert difference == [], "\n".join(difference)


@pytest.mark.skipif(find_nix() is None, reason=NEED_NIX)
def test_every_exported_function_of_the_library_has_a_test() -> None:
    nix = find_nix()
    assert nix is not None
    exported = nix.evaluate(f"builtins.mapAttrs (_: builtins.attrNames) (import {ROOT}/nix/lib)")
    tested = {path[:2] for path in _names()}
    assert [f"{file}.{name}" for file, names in exported.items() for name in names if (file, name) not in tested] == []


@pytest.mark.skipif(find_nix() is None, reason=NEED_NIX)
def test_every_file_of_tests_is_found() -> None:
    files = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "nix").glob("test_*.nix")}
    assert files == {path[0] for path in _names()}


def test_the_flakes_own_runner_sees_a_failure() -> None:
    """The check of a generated flake runs the same tests with nix/flake/run-tests.nix: it must be able to fail."""
    nix = find_nix()
    if nix is None:
        pytest.skip(NEED_NIX)
    run = f"import {ROOT}/nix/flake/run-tests.nix"
    failed = nix.evaluate(
        f"map (failure: failure.name) ({run} {{ a.test_good = {{ expr = 1; expected = 1; }}; "
        'a.test_bad = { expr = 1; expected = 2; }; test_throws = { expr = throw "x"; expected = 1; }; '
        "test_quiet = { expr = 1; expectedError = { }; }; })"
    )
    assert failed == ["a.test_bad", "test_quiet", "test_throws"]


def test_the_flakes_own_runner_passes_every_test() -> None:
    nix = find_nix()
    if nix is None:
        pytest.skip(NEED_NIX)
    assert nix.evaluate(f"import {ROOT}/nix/flake/run-tests.nix ({_TESTS})") == []
