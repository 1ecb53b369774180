"""Published measurements of speed: rows that can be read, newest first."""

from __future__ import annotations

import pytest

from bench.measurements import rows
from generator.catalog import load, measured, models

GPT_OSS = measured.speeds("openai/gpt-oss-120b", "Strix Halo")


def test_rows_are_of_the_model_and_the_hardware() -> None:
    assert len(GPT_OSS) > 20
    assert {row["hf_id"] for row in GPT_OSS} == {"openai/gpt-oss-120b"}
    assert all(row["hardware"].startswith("Strix Halo") for row in GPT_OSS)


def test_the_newest_come_first() -> None:
    dates = [row["date"].removeprefix("<=") for row in GPT_OSS]
    assert dates == sorted(dates, reverse=True)


def test_every_row_has_a_speed_a_source_and_a_date() -> None:
    for name in models.shape_names():
        for row in measured.speeds(name, ""):
            assert float(row["value_tps"]) > 0
            assert row["source"]
            assert row["date"].removeprefix("<=").startswith("20")
            assert row["kind"] in {"decode", "prefill", "throughput", "decode-speculative"}
            int(row["context_depth"] or 0)


@pytest.mark.parametrize("name", [name for name, entry in load.hardware().items() if entry.measured_as])
def test_the_name_that_hardware_has_in_the_measurements_is_there(name: str) -> None:
    called = load.hardware()[name].measured_as
    assert called is not None
    assert any(row["hardware"].startswith(called) for row in rows("speed.csv"))


def test_what_nobody_measured_has_no_rows() -> None:
    assert measured.speeds("a/b", "Strix Halo") == ()
    assert measured.speeds("openai/gpt-oss-120b", "Abacus") == ()
