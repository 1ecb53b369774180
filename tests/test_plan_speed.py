"""Speed as a sum: what a token reads, by term, and what a curve makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.catalog import models
from generator.catalog.curves import Curve
from generator.plan.speed import Stored, batch_terms, decode_terms, estimate, prefill_terms, seconds
from generator.plan.weights import WeightBytes
from generator.shapes.shape import AttentionLayers, Parameters, RecurrentLayers, Shape

FULL = AttentionLayers(layers=2, query_heads=8, kv_heads=1, key_dim=64, value_dim=64)
DENSE = Shape("A", 4, 64, 1000, 4096, (FULL,), (RecurrentLayers(2, 10, 10),), Parameters(10**6, 0))
MIXTURE = replace(DENSE, parameters=Parameters(10**6, 0, 8 * 10**6, 10**6), expert_count=8, experts_per_token=1)


def stored(shape: Shape = DENSE, bandwidth: float = 1e9) -> Stored:
    counts = shape.parameters
    weights = WeightBytes(
        2.0 * counts.total, 2.0 * counts.dense, 2.0 * counts.experts, 2.0 * counts.active, measured=True
    )
    return Stored(shape, weights, bandwidth)


def curve(**coefficients: float) -> Curve:
    return Curve("c", coefficients, 0.8, 1.25, 0.1, 10, 5, 1e6, "s", "d")


def test_bytes_become_seconds_at_the_nominal_bandwidth() -> None:
    terms = decode_terms(stored(), 0, 2)
    assert terms["dense"] == 2e6 / 1e9
    assert terms["layers"] == 4
    assert terms["recurrent_layers"] == 2


def test_slow_experts_are_a_term_of_their_own() -> None:
    fast, slow = decode_terms(stored(MIXTURE), 0, 2), decode_terms(stored(MIXTURE), 0, 2, slow_experts=True)
    assert fast["experts"] == slow["slow_experts"] == 2e6 / 1e9
    assert fast["slow_experts"] == slow["experts"] == 0


@pytest.mark.parametrize(
    ("query", "heads", "value", "term"),
    [
        (8, 1, 64, "cache_shared"),
        (4, 1, 64, "cache_shared"),
        (2, 1, 64, "cache_few"),
        (8, 8, 64, "cache_few"),
        (6, 1, 64, "cache_odd"),
        (7, 2, 64, "cache_odd"),
        (5, 1, 0, "cache_shared"),  # latent attention
    ],
)
def test_a_cache_is_read_by_how_many_queries_share_a_key(query: int, heads: int, value: int, term: str) -> None:
    shape = replace(DENSE, attention=(AttentionLayers(2, query, heads, 64, value),))
    terms = decode_terms(stored(shape), 1000, 2)
    assert terms[term] == 1000 * 2 * heads * (64 + value) * 2 / 1e9
    assert sum(terms[name] for name in ("cache_shared", "cache_few", "cache_odd")) == terms[term]


def test_a_window_is_read_up_to_its_size_and_only_where_the_kernel_is_slow() -> None:
    few = replace(DENSE, attention=(AttentionLayers(1, 2, 1, 64, 64, 128),))
    shared = replace(DENSE, attention=(AttentionLayers(1, 8, 1, 64, 64, 128),))
    assert decode_terms(stored(few), 10**6, 2)["cache_few"] == 128 * 128 * 2 / 1e9
    assert decode_terms(stored(few), 100, 2)["cache_few"] == 100 * 128 * 2 / 1e9
    assert decode_terms(stored(shared), 10**6, 2)["cache_shared"] == 0


def test_only_a_mixture_in_16_bit_pays_for_it() -> None:
    assert decode_terms(stored(MIXTURE), 0, 2)["mixture_16_bit_layers"] == 4
    assert decode_terms(stored(), 0, 2)["mixture_16_bit_layers"] == 0
    small = replace(stored(MIXTURE), weights=replace(stored(MIXTURE).weights, total=1e6))
    assert decode_terms(small, 0, 2)["mixture_16_bit_layers"] == 0


def test_an_estimate_is_one_over_the_weighted_sum_with_the_curves_band() -> None:
    found = estimate({"dense": 0.01, "layers": 4.0}, curve(dense=2.0, layers=0.005))
    assert found is not None
    assert found.value == pytest.approx(1 / 0.04)
    assert found.low == pytest.approx(20.0)
    assert found.high == pytest.approx(31.25)


def test_a_curve_without_anything_to_say_gives_no_estimate() -> None:
    assert estimate({"dense": 0.0}, curve(dense=1.0)) is None


@pytest.mark.parametrize("term", ["dense", "experts", "slow_experts"])
def test_a_curve_that_saw_no_such_weights_gives_no_estimate(term: str) -> None:
    """Apple's curve knows dense models alone: of a mixture it would leave most of the time out."""
    terms = {"dense": 0.01, term: 0.01}
    known = {"dense": 1.0, "layers": 1e-3} if term != "dense" else {"layers": 1e-3}
    assert estimate({**terms, "layers": 2.0}, curve(**known)) is None
    assert estimate({**terms, "layers": 2.0, term: 0.0}, curve(**{**known, "dense": 1.0})) is not None


def test_a_batch_reads_dense_weights_once_and_caches_for_each() -> None:
    one = decode_terms(stored(), 1000, 2)
    many = batch_terms(one, DENSE, 8)
    assert many["dense"] == one["dense"]
    assert many["cache_shared"] == 8 * one["cache_shared"]
    assert many["users"] == 7 * 4


def test_a_batch_touches_the_experts_that_its_sequences_choose() -> None:
    one = decode_terms(stored(MIXTURE), 0, 2)
    assert batch_terms(one, MIXTURE, 1)["experts"] == pytest.approx(one["experts"])
    assert batch_terms(one, MIXTURE, 2)["experts"] == pytest.approx(one["experts"] * (2 - 1 / 8))
    assert batch_terms(one, MIXTURE, 10**4)["experts"] == pytest.approx(one["experts"] * 8)


def test_one_expert_that_is_always_chosen_is_read_once() -> None:
    shape = replace(MIXTURE, expert_count=1)
    one = decode_terms(stored(shape), 0, 2)
    assert batch_terms(one, shape, 64)["experts"] == pytest.approx(one["experts"])


def test_a_prompt_counts_operations_attention_and_reads() -> None:
    terms = prefill_terms(stored(), 512, 0, 512)
    assert terms["dense"] == pytest.approx(2 * (10**6 - 64000) / 1e12)
    assert terms["attention"] == pytest.approx(2 * 256 * 2 * 8 * 128 / 1e12)
    assert terms["reads"] == pytest.approx(2e6 / 1e9 / 512)
    assert terms["layers"] == pytest.approx(4 / 512)


def test_a_prompt_looks_back_over_what_is_there_and_a_window_over_itself() -> None:
    window = replace(DENSE, attention=(replace(FULL, window=128),))
    assert prefill_terms(stored(), 512, 1000)["attention"] == pytest.approx(2 * 1256 * 2 * 8 * 128 / 1e12)
    assert prefill_terms(stored(window), 512, 1000)["attention"] == pytest.approx(2 * 128 * 2 * 8 * 128 / 1e12)


def test_a_prompt_of_nothing_divides_by_nothing() -> None:
    assert prefill_terms(stored(MIXTURE), 0, 0)["reads"] > 0


@given(st.sampled_from(models.shape_names()), st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 512))
def test_a_deeper_context_or_more_users_are_never_faster(name: str, depth: int, more: int, users: int) -> None:
    shape = models.shape(name)
    assert shape is not None
    at = stored(shape, 256e9)
    line = curve(dense=1.2, experts=1.3, cache_shared=1.2, cache_few=1.5, cache_odd=3.4, users=1e-5, layers=1e-5)
    shallow, deep = decode_terms(at, depth, 2), decode_terms(at, depth + more, 2)
    assert seconds(deep, line) >= seconds(shallow, line) > 0
    assert seconds(batch_terms(deep, shape, users + 1), line) >= seconds(batch_terms(deep, shape, users), line)
