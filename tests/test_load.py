"""From a spec file to a deployment, or to every problem that it has, all in one run."""

from __future__ import annotations

import copy
import json
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.emit import tree
from generator.errors import SpecError
from generator.spec.load import load_spec
from generator.spec.paths import walk
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = f"""[clan]
name = "c"
[machines.m]
hardware = "strix-halo-128"
tags = ["llm"]
[models.w]
repository = "a/b"
revision = "{"0" * 40}"
format = "gguf"
file = "a.gguf"
[services.chat]
engine = "llamacpp"
tags = ["llm"]
model = "w"
"""


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Return a function that loads a wrong spec, and returns its problems as people see them."""
    monkeypatch.chdir(tmp_path)

    def load(text: str) -> list[str]:
        Path("s").write_text(text, encoding="utf-8")
        with pytest.raises(SpecError) as caught:
            load_spec("s")
        lines = str(caught.value).splitlines()
        assert [str(problem) for problem in sorted(caught.value.problems)] == lines
        return [line.removeprefix("s:") for line in lines]

    return load


def test_a_right_spec_becomes_a_deployment_with_its_placement(spec_file: Callable[[str], Path]) -> None:
    path = spec_file(GOOD)
    spec = load_spec(path)
    assert spec.source.name == str(path)
    assert list(spec.deployment.services) == ["chat"]
    assert [machine.name for machine in spec.placement.machines_of["chat"]] == ["m"]
    assert [service.name for service in spec.placement.services_on["m"]] == ["chat"]


def test_what_the_schema_finds_and_what_the_rules_find_comes_in_one_run(problems: Callable[[str], list[str]]) -> None:
    text = GOOD.replace('"llm"]\nmodel = "w"', '"lllm"]\nmodel = "ww"').replace("tags", "tgas", 1)
    assert problems(text) == [
        '5:1: machines.m.tgas: unknown key "tgas"; did you mean "tags"?',
        '13:9: services.chat.tags[0]: no machine has the tag "lllm"; add tags = ["lllm"] to a machine',
        '14:9: services.chat.model: there is no model "ww"; did you mean "w"?',
    ]


def test_a_wrong_clan_hides_nothing(problems: Callable[[str], list[str]]) -> None:
    text = GOOD.replace('name = "c"', 'name = "A B"').replace('model = "w"', 'model = "x"')
    found = problems(text)
    assert [line.split(": ")[1] for line in found] == ["clan.name", "services.chat.model"]


@pytest.mark.parametrize("clan", ["", "clan = 3\n", "clan = {}\n"])
def test_a_clan_that_is_missing_or_none_hides_nothing(problems: Callable[[str], list[str]], clan: str) -> None:
    text = clan + GOOD.partition("\n")[2].partition("\n")[2].replace('model = "w"', 'model = "x"')
    assert len(problems(text)) == 2
    assert 'there is no model "x"' in problems(text)[1]


def test_missing_services_hide_nothing_of_the_machines(problems: Callable[[str], list[str]]) -> None:
    assert problems('[clan]\nname = "c"\n[machines.m]\nhardware = "strix-halo-129"') == [
        '1:1: missing key "services"; add a table [services.llm]',
        (
            '4:12: machines.m.hardware: the catalog has no hardware "strix-halo-129"; '
            'did you mean "strix-halo-128"?; or describe it in a table'
        ),
    ]


@pytest.mark.parametrize("machines", ["", "machines = 3\n"])
def test_without_machines_no_service_is_told_that_its_machine_is_not_there(
    problems: Callable[[str], list[str]], machines: str
) -> None:
    text = machines + '[clan]\nname = "c"\n[services.a]\nengine = "ollama"\nmachines = ["m"]'
    (found,) = problems(text)
    assert "machines" in found


def test_models_that_are_no_table_are_told_once(problems: Callable[[str], list[str]]) -> None:
    text = "models = 3\n" + GOOD[: GOOD.index("[models")] + GOOD[GOOD.index("[services") :]
    (found,) = problems(text)
    assert found.startswith("1:10: models: expected table, got integer 3; ")


def test_names_are_judged_in_an_entry_that_is_wrong_elsewhere(problems: Callable[[str], list[str]]) -> None:
    text = GOOD.replace('"strix-halo-128"', '"strix-halo-129"\ngtt_mib = "x"')
    text = text.replace('model = "w"', 'model = "x"\nport = 0')
    assert problems(text) == [
        (
            '4:12: machines.m.hardware: the catalog has no hardware "strix-halo-129"; '
            'did you mean "strix-halo-128"?; or describe it in a table'
        ),
        '5:11: machines.m.gtt_mib: expected integer, got string "x"; write e.g. 117760',
        '15:9: services.chat.model: there is no model "x"; known are w',
        "16:8: services.chat.port: 0 is less than 1; write 1 or more",
    ]


@pytest.mark.parametrize("wrong", ["hardware = 3", 'hardware = "h100"\ntags = "llm"', "x = 1"])
def test_a_machine_that_is_wrong_in_what_it_is_has_its_name_and_perhaps_every_tag(
    problems: Callable[[str], list[str]], wrong: str
) -> None:
    """No service is told that its machine, or its tag, is not there."""
    text = GOOD.replace('hardware = "strix-halo-128"\ntags = ["llm"]', wrong)
    text = text.replace('tags = ["llm"]', 'tags = ["llm"]\nmachines = ["m"]')
    assert all("machines.m" in line for line in problems(text))


def test_a_problem_that_both_find_is_told_once(problems: Callable[[str], list[str]]) -> None:
    text = (
        GOOD.replace('model = "w"', 'model = "x"') + '[services.other]\nengine = "ollama"\ntags = ["llm"]\nport = 0\n'
    )
    assert len(problems(text)) == 2


def test_the_other_rules_do_not_judge_an_entry_that_is_wrong(problems: Callable[[str], list[str]]) -> None:
    text = GOOD + '[services.b]\nengine = "llamacpp"\ntags = ["llm"]\nmodel = "w"\nstart_on_boot = 3\n'
    assert problems(text) == ["19:17: services.b.start_on_boot: expected boolean, got integer 3; write e.g. true"]


# Whatever stands in a spec: an answer, and never a traceback

SPECS: list[dict[str, Any]] = [
    json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".json"
    else tomllib.loads(path.read_text(encoding="utf-8"))
    for path in EXAMPLES
]
WORDS = st.sampled_from(["", "aspen1", "llm", "vllm", "0.20.0", "../x", "gfx1151", "--port", "a/b", "${x}", "\n", "é"])
ATOMS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | WORDS | st.text()
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)


@st.composite
def changed_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Return an example with some values replaced, removed or added."""
    data: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(SPECS)))
    for _ in range(draw(st.integers(1, 4))):
        places = [(path, value) for path, value in walk(data) if path]
        path, _ = draw(st.sampled_from(places))
        above: Any = data
        for step in path[:-1]:
            above = above[step]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                above[path[-1]] = draw(VALUES)
            case "remove":
                del above[path[-1]]
            case _ if isinstance(above, dict):
                above[draw(WORDS | st.text(max_size=5))] = draw(VALUES)
        if not data:
            break
    return data


@given(changed_specs())
def test_any_spec_is_rendered_or_refused_with_places(data: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spec.json")
        path.write_text(json.dumps(data), encoding="utf-8")
        try:
            files = tree.render(load_spec(path), None)
        except SpecError as error:
            problems = error.problems
        else:
            assert files.keys() >= {"flake.nix", "deployment.json"}
            return
    assert problems
    for problem in problems:
        assert problem.location.line > 0
        assert problem.what
        assert "\n" not in str(problem)


def test_the_example_is_right_by_any_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load_spec("examples/aspen1.toml").deployment == load_spec(ROOT / "examples" / "aspen1.toml").deployment


def test_a_misspelt_field_of_an_engine_is_told_once(problems: Callable[[str], list[str]]) -> None:
    text = GOOD.replace('format = "gguf"\nfile = "a.gguf"', 'format = "safetensors"').replace("llamacpp", "vllm")
    assert problems(text + "vllm = { max_modl_len = 1 }") == [
        '14:10: services.chat.vllm.max_modl_len: unknown key "max_modl_len"; did you mean "max_model_len"?'
    ]


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ('"strix-halo-128"', '"a\\u001b[31m\\nb"', r'hardware "a\u001b[31m\nb"; known'),
        ('model = "w"', 'model = "w"\nextra_args = ["--\\u001b"]\nvllm = {}', r"the engine is llamacpp"),
        ('hardware = "strix-halo-128"', f'hardware = "{"x" * 500}"', f'hardware "{"x" * 59}…"; known'),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead_and_cut(
    problems: Callable[[str], list[str]], old: str, new: str, shown: str
) -> None:
    found = problems(GOOD.replace(old, new, 1))
    assert any(shown in line for line in found)
    assert all(line.isprintable() for line in found)
