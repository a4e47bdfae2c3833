from __future__ import annotations

import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmcompiler.engine.sampler import PENALTY_WINDOW, Logits, Sampler, highest
from llmcompiler.errors import ConfigurationError
from llmcompiler.messages import Sampling

_LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float32))


def _shares(sampling: Sampling, draws: int = 4000) -> dict[int, float]:
    sampler = Sampler(sampling)
    counts = Counter(sampler.pick(_LOGITS) for _ in range(draws))
    return {token: counts[token] / draws for token in counts}


def test_greedy_takes_the_best() -> None:
    assert Sampler(Sampling()).pick(_LOGITS) == 0
    assert list(Sampler(Sampling()).order(_LOGITS)) == [0, 1, 2, 3]


def _wide(count: int, seed: int = 0) -> Logits:
    """Return scores of `count` tokens, some of them equal."""
    scores = np.random.default_rng(seed).normal(0, 4, count).astype(np.float32)
    return np.round(scores, 2)


def _expected(logits: Logits, sampling: Sampling) -> NDArray[np.float64]:
    """Return the probability of each token by the definitions, without any shortcut."""
    scores = logits.astype(np.float64)
    if sampling.top_k:
        scores[scores < np.sort(scores)[-sampling.top_k]] = -np.inf
    chances = np.exp((scores - scores.max()) / sampling.temperature)
    chances /= chances.sum()
    if sampling.top_p is not None:
        ranked = np.argsort(-chances, kind="stable")
        before = np.cumsum(chances[ranked]) - chances[ranked]
        chances[ranked[before >= sampling.top_p]] = 0
    if sampling.min_p is not None:
        chances[chances < sampling.min_p * chances.max()] = 0
    shares: NDArray[np.float64] = chances / chances.sum()
    return shares


def _chi_square(counts: NDArray[np.int64], chances: NDArray[np.float64]) -> float:
    """Return by how many standard deviations counts are further from chances than they should be.

    Tokens that are too rare for a test of their own are taken together.
    """
    expected = chances * counts.sum()
    assert not counts[expected == 0].any()
    often = expected >= 10
    seen = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum())
    if wanted[-1] == 0:
        seen, wanted = seen[:-1], wanted[:-1]
    freedom = seen.size - 1
    statistic = float(((seen - wanted) ** 2 / wanted).sum())
    return (statistic - freedom) / math.sqrt(2 * freedom)


_KINDS = [
    Sampling(temperature=1.0, seed=3),
    Sampling(temperature=2.5, seed=4),
    Sampling(temperature=1.0, seed=5, top_k=20),
    Sampling(temperature=1.5, seed=6, top_p=0.8),
    Sampling(temperature=1.0, seed=7, min_p=0.02),
    Sampling(temperature=2.0, seed=8, top_k=50, top_p=0.9, min_p=0.05),
]


@pytest.mark.parametrize("count", [300, 9001])
@pytest.mark.parametrize("sampling", _KINDS)
def test_tokens_are_drawn_by_their_probability(sampling: Sampling, count: int) -> None:
    logits = _wide(count)
    sampler = Sampler(sampling)
    draws = [sampler.pick(logits) for _ in range(3000)]
    assert _chi_square(np.bincount(draws, minlength=count), _expected(logits, sampling)) < 3.5


@pytest.mark.parametrize("sampling", _KINDS)
def test_the_first_and_the_second_in_order_are_drawn_without_replacement(
    sampling: Sampling,
) -> None:
    logits = _wide(300)
    sampler = Sampler(sampling)
    pairs = [tuple(islice(sampler.order(logits), 2)) for _ in range(4000)]
    chances = _expected(logits, sampling)
    assert _chi_square(np.bincount([a for a, _ in pairs], minlength=300), chances) < 3.5
    with np.errstate(divide="ignore"):
        second = chances * (chances / (1 - chances)).sum() - chances**2 / (1 - chances)
    assert _chi_square(np.bincount([b for _, b in pairs], minlength=300), second) < 3.5


def test_a_higher_temperature_levels_and_a_lower_one_sharpens() -> None:
    assert _shares(Sampling(temperature=5.0, seed=3))[3] > 0.17
    assert _shares(Sampling(temperature=0.2, seed=3))[0] > 0.9


def test_the_same_seed_draws_the_same_and_no_seed_does_not_fail() -> None:
    first, second = (Sampler(Sampling(temperature=1.0, seed=7)) for _ in range(2))
    assert [first.pick(_LOGITS) for _ in range(50)] == [second.pick(_LOGITS) for _ in range(50)]
    assert Sampler(Sampling(temperature=1.0)).pick(_LOGITS) in range(4)


@pytest.mark.parametrize(
    ("sampling", "left"),
    [
        (Sampling(temperature=1.0, seed=1, top_k=2), {0, 1}),
        (Sampling(temperature=1.0, seed=1, top_k=0), {0, 1, 2, 3}),
        (Sampling(temperature=1.0, seed=1, top_p=0.7), {0, 1}),
        (Sampling(temperature=1.0, seed=1, top_p=0.0), {0}),
        (Sampling(temperature=1.0, seed=1, min_p=0.28), {0, 1, 2}),
        (Sampling(temperature=1.0, seed=1, top_k=3, min_p=0.4), {0, 1}),
    ],
)
def test_cutting_off_leaves_the_likeliest(sampling: Sampling, left: set[int]) -> None:
    assert set(_shares(sampling, 500)) == left


def test_forbidden_tokens_are_never_chosen() -> None:
    masked = np.array([-np.inf, 0.0, -np.inf, -5.0], np.float32)
    for sampling in (Sampling(), Sampling(temperature=2.0, seed=1), Sampling(temperature=1e-30)):
        sampler = Sampler(sampling)
        assert {sampler.pick(masked) for _ in range(50)} <= {1, 3}
        assert set(sampler.order(masked)) == {1, 3}


def test_in_order_what_was_cut_off_comes_last() -> None:
    sampler = Sampler(Sampling(temperature=1.0, top_k=1, seed=1))
    assert list(sampler.order(_LOGITS)) == [0, 1, 2, 3]


@given(st.integers(1, 9000), st.integers(0, 99), st.integers(0, 3))
def test_greedily_the_order_is_that_of_the_scores(count: int, seed: int, decimals: int) -> None:
    logits = np.round(_wide(count, seed), decimals)
    logits[::7] = -np.inf
    allowed = int((logits > -np.inf).sum())
    ranked = np.argsort(-logits, kind="stable")[:allowed].tolist()
    sampler = Sampler(Sampling())
    assert list(sampler.order(logits)) == ranked
    assert sampler.pick(logits) == (ranked[0] if ranked else 0)


@given(st.integers(1, 9000), st.integers(0, 99), st.sampled_from(_KINDS))
def test_in_order_each_token_that_is_allowed_comes_once(
    count: int, seed: int, sampling: Sampling
) -> None:
    logits = _wide(count, seed)
    logits[::3] = -np.inf
    order = list(Sampler(sampling).order(logits))
    assert sorted(order) == np.flatnonzero(logits > -np.inf).tolist()


@given(
    st.lists(st.sampled_from([-np.inf, -3.0, -1.0, 0.0, 0.5, 2.0]), min_size=2, max_size=60),
    st.sampled_from([Sampling(), Sampling(repetition_penalty=1.7), *_KINDS]),
    st.data(),
)
def test_among_a_few_the_choice_is_that_under_a_mask(
    scores: list[float], sampling: Sampling, data: st.DataObject
) -> None:
    logits = np.array(scores, np.float32)
    some = st.sets(st.integers(0, len(scores) - 1), min_size=1)
    among = np.array(sorted(data.draw(some)))
    masked = np.full_like(logits, -np.inf)
    masked[among] = logits[among]
    if masked.max() == -np.inf:
        return
    tail = data.draw(st.lists(st.integers(0, len(scores) - 1), max_size=5))
    one, other = Sampler(sampling, tail), Sampler(sampling, tail)
    assert [one.pick(logits, among) for _ in range(5)] == [other.pick(masked) for _ in range(5)]


def test_where_nothing_is_allowed_nothing_is_in_order() -> None:
    nothing = np.full(9, -np.inf, np.float32)
    for sampling in (Sampling(), Sampling(temperature=1.0)):
        assert list(Sampler(sampling).order(nothing)) == []
        assert Sampler(sampling).pick(nothing) in range(9)


def test_a_draw_takes_one_random_number_whatever_the_scores() -> None:
    for sampling in _KINDS:
        first, second = Sampler(sampling), Sampler(sampling)
        flat, steep = _wide(5000), _wide(5000) * 9
        first.pick(flat)
        second.pick(steep)
        assert first.pick(flat) == second.pick(flat)


def test_only_the_plain_best_is_greedy() -> None:
    assert Sampler(Sampling()).greedy
    assert Sampler(Sampling(top_k=5, repetition_penalty=1.0)).greedy
    assert not Sampler(Sampling(repetition_penalty=1.1)).greedy
    assert not Sampler(Sampling(temperature=0.5)).greedy


def test_the_repetition_penalty_divides_what_is_above_zero_and_multiplies_what_is_below() -> None:
    logits = np.array([3.0, 2.0, -1.0, -1.2], np.float32)
    sampler = Sampler(Sampling(repetition_penalty=2.0))
    assert sampler.pick(logits) == 0
    sampler.accept(0)
    assert sampler.pick(logits) == 1
    sampler.accept(1)
    assert list(sampler.order(logits)) == [0, 1, 2, 3]
    sampler.accept(2)
    assert list(sampler.order(logits)) == [0, 1, 3, 2]
    assert sampler.pick(logits, np.array([2, 3])) == 3


def test_a_token_repeated_often_is_penalised_once() -> None:
    logits = np.array([8.0, 3.0, -1.0], np.float32)
    sampler = Sampler(Sampling(repetition_penalty=2.0), [0, 0, 0])
    assert sampler.pick(logits) == 0


def test_the_penalty_looks_back_on_the_last_tokens_of_the_prompt_and_the_reply() -> None:
    logits = np.array([3.0, 2.0, -9.0], np.float32)
    sampler = Sampler(Sampling(repetition_penalty=2.0), [2] * 500 + [0])
    assert sampler.pick(logits) == 1
    for _ in range(PENALTY_WINDOW - 1):
        sampler.accept(2)
    assert sampler.pick(logits) == 1
    sampler.accept(2)
    assert sampler.pick(logits) == 0


def test_a_forbidden_token_stays_forbidden_under_a_penalty() -> None:
    logits = np.array([-np.inf, -5.0], np.float32)
    for sampling in (
        Sampling(repetition_penalty=9.0),
        Sampling(temperature=1.0, repetition_penalty=9.0),
    ):
        assert Sampler(sampling, [0, 1]).pick(logits) == 1


@given(st.integers(2, 9000), st.integers(0, 99), st.integers(0, 9))
def test_logprobs_are_the_logarithms_of_the_softmax(count: int, seed: int, top: int) -> None:
    logits = _wide(count, seed) + np.float32(500)
    exact = logits.astype(np.float64) - logits.max()
    exact -= np.log(np.exp(exact).sum())
    value, likeliest = Sampler.logprob(logits, count - 1, top)
    assert value == pytest.approx(exact[count - 1], abs=1e-4)
    tokens = [token for token, _ in likeliest]
    assert tokens == np.argsort(-logits, kind="stable")[:top].tolist()
    assert [each for _, each in likeliest] == pytest.approx([exact[t] for t in tokens], abs=1e-4)


def test_logprobs_do_not_know_temperature_or_penalty() -> None:
    hot = Sampler(Sampling(temperature=9.0, top_k=1, repetition_penalty=5.0), [0, 1])
    value, likeliest = hot.logprob(_LOGITS, 1, 2)
    assert np.exp(value) == pytest.approx(0.25)
    assert [token for token, _ in likeliest] == [0, 1]
    assert [math.exp(each) for _, each in likeliest] == pytest.approx([0.5, 0.25])


def test_logits_are_not_changed() -> None:
    before = _LOGITS.copy()
    for sampling in (
        Sampling(repetition_penalty=2.0),
        Sampling(temperature=1.0, top_p=0.5, top_k=2),
        Sampling(temperature=1.0, repetition_penalty=2.0),
    ):
        sampler = Sampler(sampling, [0, 3])
        sampler.pick(_LOGITS)
        list(sampler.order(_LOGITS))
        sampler.logprob(_LOGITS, 0, 2)
    assert np.array_equal(before, _LOGITS)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=-1),
        Sampling(temperature=float("nan")),
        Sampling(top_p=2),
        Sampling(min_p=-1),
        Sampling(top_k=-1),
        Sampling(top_k=2.5),  # type: ignore[arg-type]
        Sampling(repetition_penalty=0.0),
        Sampling(repetition_penalty=float("inf")),
        Sampling(logprobs=-1),
        Sampling(seed=-1),
        Sampling(max_tokens=0),
    ],
)
def test_a_value_out_of_range_is_refused(sampling: Sampling) -> None:
    with pytest.raises(ConfigurationError, match=r"sampling\."):
        Sampler(sampling)


def test_the_highest_of_many_rows_are_what_greedy_samplers_pick() -> None:
    scores = np.random.default_rng(0).integers(-3, 3, (5, 40)).astype(np.float32)
    scores[1] = -np.inf
    assert highest(scores) == [Sampler(Sampling()).pick(row) for row in scores]
