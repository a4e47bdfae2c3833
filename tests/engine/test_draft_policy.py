from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmcompiler.engine.cost import CostCurve, DraftPolicy
from llmcompiler.engine.drafts import LONGEST
from tests.engine.curves import (
    BF16,
    CHANCES,
    FLAT,
    POINTS,
    Q4_0,
    Q8_0,
    SHORT,
    STEEP,
    STEPPED,
    TOKENS,
)


class _Guesses:
    """Drafts that are always the same."""

    def __init__(self, tokens: Sequence[int], chance: float, price: float = 0.0) -> None:
        self.price = price
        self.asked: list[int] = []
        self._tokens = tuple(tokens)
        self._chance = chance
        self._most = 0

    @property
    def chances(self) -> tuple[float, ...]:
        return (self._chance,) * len(self._tokens[: self._most])

    def extend(self, tokens: Sequence[int]) -> None:
        raise AssertionError("a policy accepts nothing")

    def draft(self, most: int) -> tuple[int, ...]:
        self.asked.append(most)
        self._most = most
        return self._tokens[:most]

    def close(self) -> None:
        raise AssertionError("a policy closes nothing")


def test_sure_drafts_are_added_where_a_token_more_costs_little() -> None:
    assert DraftPolicy(FLAT).length(1, [0.99] * LONGEST) == LONGEST


def test_nothing_is_added_where_every_token_costs_a_pass() -> None:
    assert DraftPolicy(STEEP).length(1, [1.0] * LONGEST) == 0


def test_drafts_that_cannot_pay_alone_may_pay_beside_what_is_computed_anyway() -> None:
    policy = DraftPolicy(STEPPED)
    assert policy.length(1, [0.6]) == 0
    assert policy.length(3, [0.6]) == 1


def test_drafts_must_save_more_than_they_cost_beside_what_is_certain() -> None:
    """Two passes of 1 cost 2.0, one of 3 costs 2.83: more than 0.6 of a pass that is saved."""
    assert DraftPolicy(STEPPED).length(2, [0.6]) == 0
    assert DraftPolicy(STEPPED).length(2, [0.9]) == 1


def test_the_best_length_is_found_behind_lengths_that_lose() -> None:
    policy = DraftPolicy(STEPPED)
    assert policy.length(1, [0.9] * 2) == 0
    assert policy.length(1, [0.9] * 3) == 3


def test_a_wide_pass_has_no_room_for_drafts() -> None:
    policy = DraftPolicy(STEPPED)
    assert policy.length(3, [0.6], requests=1) == 1
    assert policy.length(8, [0.6], requests=8) == 0


def test_a_pass_for_many_pays_for_drafts_as_long_as_tokens_are_cheap() -> None:
    curve = CostCurve({1: 1.0, 16: 1.2, 32: 4.0})
    assert DraftPolicy(curve).length(8, [0.8] * 4, requests=8) == 4
    assert DraftPolicy(curve).length(16, [0.8] * 4, requests=16) == 0


@given(POINTS, TOKENS, CHANCES, st.integers(1, 16), st.floats(0, 1))
def test_a_length_is_one_that_can_be(
    points: dict[int, float], tokens: int, chances: list[float], requests: int, price: float
) -> None:
    policy = DraftPolicy(CostCurve(points))
    assert 0 <= policy.length(tokens, chances, requests=requests, price=price) <= len(chances)
    assert 0 <= policy.length(tokens, requests=requests, price=price) <= LONGEST


@given(POINTS, TOKENS, CHANCES, st.integers(1, 16))
def test_no_other_length_gives_more_tokens_for_the_time(
    points: dict[int, float], tokens: int, chances: list[float], requests: int
) -> None:
    curve = CostCurve(points)
    worth = _worths(curve, tokens, chances, requests)
    chosen = DraftPolicy(curve).length(tokens, chances, requests=requests)
    assert worth[chosen] >= max(worth) / 1.0201


@given(POINTS, TOKENS, CHANCES, st.floats(0, 1), st.integers(1, 8))
def test_a_flatter_curve_never_makes_a_guess_shorter(
    points: dict[int, float], tokens: int, chances: list[float], share: float, requests: int
) -> None:
    curve = CostCurve(dict(zip(sorted(points), sorted(points.values()), strict=True)))
    least = curve.seconds(tokens)
    flatter = CostCurve(
        {
            n: min(curve.seconds(n), least + share * (curve.seconds(n) - least))
            if n > tokens
            else curve.seconds(n)
            for n in range(1, 60)
        }
    )
    same = CostCurve({n: curve.seconds(n) for n in range(1, 60)})
    longer = DraftPolicy(flatter).length(tokens, chances, requests=requests)
    shorter = DraftPolicy(same).length(tokens, chances, requests=requests)
    assert longer >= shorter or _nearly_equal(flatter, tokens, chances, requests, longer, shorter)


@given(POINTS, TOKENS, CHANCES, st.integers(0, LONGEST - 1), st.floats(0, 1))
def test_a_likelier_draft_never_makes_a_guess_shorter(
    points: dict[int, float], tokens: int, chances: list[float], place: int, more: float
) -> None:
    assume(place < len(chances))
    likelier = [*chances]
    likelier[place] += (1 - likelier[place]) * more
    curve = CostCurve(points)
    policy = DraftPolicy(curve)
    longer, shorter = policy.length(tokens, likelier), policy.length(tokens, chances)
    assert longer >= shorter or _nearly_equal(curve, tokens, likelier, 1, longer, shorter)


def _nearly_equal(
    curve: CostCurve, tokens: int, chances: list[float], requests: int, first: int, second: int
) -> bool:
    """Say whether two lengths are worth the same but for rounding."""
    worth = _worths(curve, tokens, chances, requests)
    worth[0] *= 1.02
    return worth[first] == pytest.approx(worth[second], rel=1e-9)


def _worths(curve: CostCurve, tokens: int, chances: Sequence[float], requests: int) -> list[float]:
    """Return the expected tokens for the time with 0 and more drafts; what is certain is not counted."""
    expected, alive = [float(requests)], 1.0
    for chance in chances:
        alive *= min(chance, 0.97)
        expected.append(expected[-1] + alive)
    extra = curve.certain(tokens, requests)
    plain = curve.cost(min(tokens, requests))
    seconds = [plain, *(curve.cost(tokens + n) - extra for n in range(1, len(expected)))]
    return [many / max(spent, 1e-9) for many, spent in zip(expected, seconds, strict=True)]


def test_drafts_that_are_never_right_are_given_up() -> None:
    policy = DraftPolicy(FLAT)
    assert policy.length(1) > 4
    for _ in range(60):
        policy.observe(policy.length(1), 0)
    assert policy.rate < 0.04
    assert policy.length(1) == 0


def test_drafts_that_are_always_right_get_longer() -> None:
    policy = DraftPolicy(STEPPED)
    before = policy.length(4)
    for _ in range(20):
        policy.observe(8, 8)
    assert policy.rate > 0.95
    assert policy.length(4) > before


@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)), max_size=50))
def test_the_rate_is_a_share(outcomes: list[tuple[int, int]]) -> None:
    policy = DraftPolicy(FLAT)
    for drafted, accepted in outcomes:
        policy.observe(drafted, min(drafted, accepted))
        assert 0 <= policy.rate <= 1


def test_what_was_not_checked_says_nothing_about_the_rate() -> None:
    policy, other = DraftPolicy(FLAT), DraftPolicy(FLAT)
    policy.observe(16, 2)
    other.observe(3, 2)
    assert policy.rate == other.rate
    rate = policy.rate
    policy.observe(0, 0)
    assert policy.rate == rate


def test_a_free_guess_is_cut_to_what_is_worth_it() -> None:
    drafts = _Guesses(range(16), 0.6)
    assert DraftPolicy(STEPPED).guess(drafts, 1) == ()
    assert DraftPolicy(FLAT).guess(drafts, 1, most=5) == (0, 1, 2, 3, 4)
    assert drafts.asked == [16, 5]


def test_what_may_not_follow_is_cut_before_the_length_is_chosen() -> None:
    policy = DraftPolicy(STEPPED)
    drafts = _Guesses(range(16), 1.0)
    assert len(policy.guess(drafts, 1)) == LONGEST
    assert policy.guess(drafts, 1, admit=lambda tokens: 1) == ()
    assert policy.guess(drafts, 2, admit=lambda tokens: 1) == (0,)


def test_nobody_is_asked_what_may_follow_an_empty_guess() -> None:
    def admit(tokens: Sequence[int]) -> int:
        raise AssertionError

    assert DraftPolicy(FLAT).guess(_Guesses([], 1.0), 1, admit=admit) == ()
    assert DraftPolicy(FLAT).guess(_Guesses([], 1.0, price=0.01), 1, admit=admit) == ()


def test_a_dear_guess_is_only_as_long_as_it_pays_on_average() -> None:
    cheap, dear = _Guesses(range(16), 1.0, price=0.01), _Guesses(range(16), 1.0, price=0.3)
    policy = DraftPolicy(FLAT)
    assert len(policy.guess(cheap, 1)) > len(policy.guess(dear, 1)) > 0
    assert policy.guess(cheap, 1, admit=lambda tokens: 1) == (0,)
    assert DraftPolicy(FLAT).guess(_Guesses(range(16), 1.0, price=2.0), 1) == ()


def test_a_dear_guess_that_failed_is_tried_again_now_and_then() -> None:
    policy, drafts = DraftPolicy(FLAT), _Guesses(range(16), 1.0, price=0.1)
    for _ in range(60):
        policy.observe(1, 0)
    lengths = [len(policy.guess(drafts, 1)) for _ in range(1000)]
    tried = [length for length in lengths if length]
    assert 10 < len(tried) < 200
    assert set(tried) == {2}
    assert sum(tried) * (0.1 + 0.01) <= 0.04 * len(lengths)


def test_a_dear_guess_that_is_right_again_is_made_again() -> None:
    policy, drafts = DraftPolicy(FLAT), _Guesses(range(16), 1.0, price=0.1)
    for _ in range(60):
        policy.observe(1, 0)
    for _ in range(1000):
        guess = policy.guess(drafts, 1)
        policy.observe(len(guess), len(guess))
    assert len(policy.guess(drafts, 1)) > 2


def test_a_guess_that_can_never_pay_is_never_tried() -> None:
    policy, drafts = DraftPolicy(STEEP), _Guesses(range(16), 1.0, price=0.1)
    assert not any(policy.guess(drafts, 1) for _ in range(1000))
    assert drafts.asked == []


def test_certain_tokens_go_in_passes_that_cost_the_least_together() -> None:
    steep = DraftPolicy(CostCurve({1: 1.0, 2: 4.0, 4: 6.0, 8: 6.4, 16: 16.0}))
    assert [steep.width(tokens) for tokens in (1, 2, 5, 7, 8, 9, 16)] == [1, 1, 1, 7, 8, 8, 8]
    flat = DraftPolicy(CostCurve({1: 1.0, 32: 1.1}))
    assert [flat.width(tokens) for tokens in (1, 2, 9, 40)] == [1, 2, 9, 40]


def test_certain_tokens_go_by_the_widths_that_kernels_are_good_at() -> None:
    assert [DraftPolicy(Q8_0).width(n) for n in range(1, 10)] == [1, 1, 1, 1, 1, 1, 7, 8, 8]
    assert [DraftPolicy(Q4_0).width(n) for n in (2, 3, 7, 33)] == [2, 3, 7, 17]
    assert [DraftPolicy(BF16).width(n) for n in (1, 2, 5, 8)] == [1, 2, 5, 8]


@given(SHORT, st.integers(1, 12))
def test_no_other_way_to_cut_certain_tokens_costs_less_for_each(
    seconds: list[float], tokens: int
) -> None:
    curve = CostCurve(dict(enumerate(seconds, 1)))

    def ways(left: int) -> Iterator[float]:
        if not left:
            yield 0.0
        for first in range(1, left + 1):
            yield from (curve.cost(first) + rest for rest in ways(left - first))

    policy, left, spent = DraftPolicy(curve), tokens, 0.0
    while left:
        width = policy.width(left)
        assert 1 <= width <= left
        spent += curve.cost(width)
        left -= width
    assert spent == pytest.approx(curve.cost(1) + curve.certain(tokens, 1))
    assert spent / tokens <= min(ways(tokens)) / tokens * (1 + 1e-9)


@given(SHORT, CHANCES, st.integers(1, 8))
def test_drafts_never_make_a_token_dearer_than_another_width_would(
    seconds: list[float], chances: list[float], requests: int
) -> None:
    curve = CostCurve(dict(enumerate(seconds, 1)))
    count = DraftPolicy(curve).length(requests, chances, requests=requests)

    def a_token(count: int) -> float:
        alive, expected = 1.0, float(requests)
        for chance in chances[:count]:
            alive *= min(chance, 0.97)
            expected += alive
        return curve.cost(requests + count) / expected

    assert all(a_token(count) <= 1.0201 * a_token(n) for n in range(len(chances) + 1))


@pytest.mark.parametrize("curve", [Q8_0, Q4_0, BF16])
def test_no_pass_has_a_width_that_costs_clearly_more_than_a_longer_one(curve: CostCurve) -> None:
    policy = DraftPolicy(curve)
    for tokens in range(1, 9):
        for known in range(LONGEST + 1):
            for chance in (0.0, 0.5, 0.8, 1.0):
                computed = curve.filled(tokens + policy.length(tokens, [chance] * known))
                longer = range(computed, computed + 4)
                assert curve.seconds(computed) <= min(map(curve.seconds, longer)) / 0.95


def test_drafts_end_at_a_width_that_kernels_are_good_at() -> None:
    assert DraftPolicy(Q4_0).length(1, [0.8] * LONGEST) == 3
    assert DraftPolicy(Q4_0).length(2, [0.8] * 2, requests=2) == 2
    assert DraftPolicy(Q8_0).length(1, [0.97] * 8) == 7
    assert DraftPolicy(Q8_0).length(4, [0.6] * 8, requests=4) == 4
