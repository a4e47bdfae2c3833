from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from llmcompiler.engine.sampler import Sampler
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


def test_temperature_one_draws_from_the_softmax() -> None:
    shares = _shares(Sampling(temperature=1.0, seed=3))
    assert [shares[token] for token in range(4)] == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=0.03)


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


def test_the_first_in_order_is_distributed_as_a_pick() -> None:
    sampler = Sampler(Sampling(temperature=1.0, seed=5))
    counts = Counter(next(sampler.order(_LOGITS)) for _ in range(4000))
    assert counts[0] / 4000 == pytest.approx(0.5, abs=0.03)


def test_logits_are_not_changed() -> None:
    before = _LOGITS.copy()
    Sampler(Sampling(temperature=1.0, top_p=0.5, top_k=2)).pick(_LOGITS)
    assert np.array_equal(before, _LOGITS)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=-1),
        Sampling(temperature=float("nan")),
        Sampling(top_p=2),
        Sampling(min_p=-1),
        Sampling(top_k=-1),
        Sampling(seed=-1),
        Sampling(max_tokens=0),
    ],
)
def test_a_value_out_of_range_is_refused(sampling: Sampling) -> None:
    with pytest.raises(ConfigurationError, match=r"sampling\."):
        Sampler(sampling)
