"""The plan as JSON: golden for two examples, as its schema says, and nothing rounded."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from generator.show.data import plan_data
from tests.conftest import EXAMPLES
from tests.nix_program import ROOT
from tests.shown import CROWDED, example, plan_of, service

GOLDEN = ROOT / "tests" / "golden" / "plan"
SCHEMA = json.loads((ROOT / "schema" / "plan.schema.json").read_text(encoding="utf-8"))


def rounded(value: Any) -> Any:  # noqa: ANN401
    """Return JSON with floats to twelve digits: the last bit of a sum is not the same in every Python."""
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def text(value: Any) -> str:  # noqa: ANN401
    return json.dumps(rounded(value), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", ["aspen1.toml", "two-machines.json"])
def test_the_json_is_the_golden_one(name: str, *, update_golden: bool) -> None:
    path = GOLDEN / f"{name.partition('.')[0]}.json"
    data = plan_data(example(name))
    if update_golden:
        path.write_text(text(data), encoding="utf-8")
    assert text(data) == path.read_text(encoding="utf-8"), "to accept: pytest --update-golden, and read the change"


@pytest.mark.parametrize("spec", [*EXAMPLES, CROWDED], ids=[*(path.stem for path in EXAMPLES), "crowded"])
def test_the_json_is_as_its_schema_says(spec: Any) -> None:  # noqa: ANN401 - a file or a text
    data = json.loads(json.dumps({**plan_data(plan_of(spec)), "problems": []}, allow_nan=False))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)


def test_the_schema_is_one_and_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for entry in (SCHEMA, *SCHEMA["$defs"].values()):
        assert entry["additionalProperties"] is False
        assert entry["required"] == list(entry["properties"])
        assert all("description" in item or "$ref" in item for item in entry["properties"].values())


def test_nothing_is_rounded() -> None:
    plan = example("aspen1-llamacpp.toml")
    chat = service(plan, "chat")
    data = json.loads(json.dumps(plan_data(plan)))["machines"][0]["services"][0]
    assert [part["bytes"] for part in data["memory"]["parts"]] == [part.bytes for part in chat.memory.parts]
    assert chat.speed is not None
    assert chat.speed.decode is not None
    assert data["speed"]["decode_tokens_s"] == {
        "value": chat.speed.decode.value,
        "low": chat.speed.decode.low,
        "high": chat.speed.decode.high,
    }


def test_keys_are_in_the_schemas_order() -> None:
    data = plan_data(example("aspen1.toml"))
    assert list(data["machines"][0]) == SCHEMA["$defs"]["machine"]["required"]
    assert list(data["machines"][0]["services"][0]) == SCHEMA["$defs"]["service"]["required"]
