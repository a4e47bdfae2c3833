from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Context
from llmcompiler.engine.cost import WIDTHS, CostCurve, DraftPolicy, measure
from llmcompiler.engine.drafts import LONGEST
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError

STEEP = CostCurve({1: 1.0, 2: 2.0, 32: 32.0})
FLAT = CostCurve({1: 1.0, 2: 1.01, 32: 1.31})
STEPPED = CostCurve({1: 1.0, 2: 2.35, 4: 3.31, 8: 4.99, 16: 8.39, 64: 24.1})

_points = st.dictionaries(st.integers(1, 128), st.floats(1e-6, 10.0), min_size=1, max_size=8)
_chances = st.lists(st.floats(0, 1), max_size=LONGEST)
_tokens = st.integers(1, 40)


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


class _Machine:
    """A context whose passes take the seconds of a curve, on a clock of its own."""

    def __init__(self, curve: CostCurve, *, batch: int = 64, warmup: float = 0.0) -> None:
        self.batch = batch
        self.n_ctx = 512
        self.n_vocab = 300
        self.now = 0.0
        self.widths: list[int] = []
        self.held = False
        self._curve = curve
        self._warmup = warmup

    def clock(self) -> float:
        return self.now

    def evaluate(self, batch: Batch) -> None:
        (row,) = batch.rows
        assert not self.held
        assert row.position == 0
        assert row.outputs == len(row.tokens) <= self.batch
        assert max(row.tokens) < self.n_vocab
        self.now += self._curve.seconds(batch.size) + (0.0 if self.widths else self._warmup)
        self.widths.append(batch.size)
        self.held = True

    def clear(self, slot: int) -> None:
        assert slot == 0
        self.held = False


def test_measured_points_are_met_and_joined_by_lines() -> None:
    curve = CostCurve({1: 1.0, 2: 2.0, 8: 5.0})
    assert [curve.seconds(n) for n in (0, 1, 2, 5, 8)] == [0.0, 1.0, 2.0, 3.5, 5.0]


def test_below_the_first_point_a_pass_costs_as_much_as_there() -> None:
    assert CostCurve({4: 3.0}).seconds(1) == 3.0


def test_beyond_the_last_point_a_token_costs_its_average_or_more() -> None:
    assert CostCurve({1: 1.0, 10: 2.0}).seconds(20) == pytest.approx(4.0)
    assert CostCurve({1: 1.0, 10: 28.0}).seconds(20) == pytest.approx(58.0)
    assert CostCurve({1: 0.5}).seconds(8) == pytest.approx(4.0)


def test_a_point_above_a_later_one_comes_down_to_it() -> None:
    assert CostCurve({1: 1.0, 2: 9.0, 4: 2.0}).seconds(2) == 2.0


@pytest.mark.parametrize(
    "points", [{}, {0: 1.0}, {1: 0.0}, {1: -1.0}, {1: float("nan")}, {1: float("inf")}]
)
def test_points_that_are_no_measurement_are_refused(points: dict[int, float]) -> None:
    with pytest.raises(ConfigurationError, match="measure it anew"):
        CostCurve(points)


@given(_points, st.integers(0, 300))
def test_a_longer_pass_never_costs_less(points: dict[int, float], tokens: int) -> None:
    curve = CostCurve(points)
    assert curve.seconds(tokens) <= curve.seconds(tokens + 1)


@given(_points)
def test_a_curve_survives_json(points: dict[int, float]) -> None:
    curve = CostCurve(points)
    again = CostCurve.from_dict(json.loads(json.dumps(curve.as_dict())))
    assert again == curve
    assert hash(again) == hash(curve)
    assert all(again.seconds(n) == curve.seconds(n) for n in range(200))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"tokens": [1], "seconds": []},
        {"tokens": ["one"], "seconds": [1.0]},
        {"tokens": 1, "seconds": 1.0},
        {"tokens": [], "seconds": []},
    ],
)
def test_what_is_no_saved_curve_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="measure it anew"):
        CostCurve.from_dict(values)


def test_a_curve_shows_its_points_and_is_unlike_other_things() -> None:
    assert repr(CostCurve({1: 0.5, 2: 0.75})) == "CostCurve({1: 0.5, 2: 0.75})"
    assert CostCurve({1: 0.5}) != {1: 0.5}


def test_every_width_is_measured_twice_after_warming_up() -> None:
    machine = _Machine(STEPPED, warmup=5.0)
    curve = measure(machine, budget=100.0, clock=machine.clock)
    assert machine.widths == [1, *WIDTHS, *WIDTHS]
    assert [curve.seconds(n) for n in WIDTHS] == pytest.approx([STEPPED.seconds(n) for n in WIDTHS])


def test_measuring_keeps_within_its_budget() -> None:
    machine = _Machine(STEPPED)
    curve = measure(machine, budget=25.0, clock=machine.clock)
    assert machine.now <= 25.0
    assert machine.widths == [1, 1, 2, 4, 8, 16, 1, 2]
    assert curve.seconds(32) > STEPPED.seconds(32)


def test_a_machine_too_slow_to_measure_costs_one_pass() -> None:
    machine = _Machine(STEPPED)
    curve = measure(machine, budget=0.5, clock=machine.clock)
    assert machine.widths == [1]
    assert curve == CostCurve({1: 1.0})


def test_widths_that_do_not_fit_a_batch_are_left_out() -> None:
    machine = _Machine(FLAT, batch=6)
    measure(machine, budget=100.0, clock=machine.clock)
    assert max(machine.widths) == 4


def test_a_clock_that_stands_still_makes_a_curve_all_the_same() -> None:
    machine = _Machine(FLAT)
    assert measure(machine, clock=lambda: 0.0).seconds(1) > 0


def test_llama_cpp_is_measured_and_left_empty(tiny_model: Model) -> None:
    context = Context(tiny_model, EngineOptions(chunk=64, threads=1), n_slots=2)
    curve = measure(context, slot=1, budget=5.0)
    assert 0 < curve.seconds(1) <= curve.seconds(32)
    assert curve.as_dict()["tokens"] == [*WIDTHS]
    assert context.held(1) == 0
    assert context.agrees()
    context.close()


def test_sure_drafts_are_added_where_a_token_more_costs_little() -> None:
    assert DraftPolicy(FLAT).length(1, [0.99] * LONGEST) == LONGEST


def test_nothing_is_added_where_every_token_costs_a_pass() -> None:
    assert DraftPolicy(STEEP).length(1, [1.0] * LONGEST) == 0


def test_drafts_that_cannot_pay_alone_may_pay_beside_what_is_computed_anyway() -> None:
    policy = DraftPolicy(STEPPED)
    assert policy.length(1, [0.6]) == 0
    assert policy.length(2, [0.6]) == 1


def test_the_best_length_is_found_behind_lengths_that_lose() -> None:
    policy = DraftPolicy(STEPPED)
    assert policy.length(1, [0.9] * 2) == 0
    assert policy.length(1, [0.9] * 3) == 3


def test_a_wide_pass_has_no_room_for_drafts() -> None:
    policy = DraftPolicy(STEPPED)
    assert policy.length(2, [0.6], requests=1) == 1
    assert policy.length(8, [0.6], requests=8) == 0


def test_a_pass_for_many_pays_for_drafts_as_long_as_tokens_are_cheap() -> None:
    curve = CostCurve({1: 1.0, 16: 1.2, 32: 4.0})
    assert DraftPolicy(curve).length(8, [0.8] * 4, requests=8) == 4
    assert DraftPolicy(curve).length(16, [0.8] * 4, requests=16) == 0


@given(_points, _tokens, _chances, st.integers(1, 16), st.floats(0, 1))
def test_a_length_is_one_that_can_be(
    points: dict[int, float], tokens: int, chances: list[float], requests: int, price: float
) -> None:
    policy = DraftPolicy(CostCurve(points))
    assert 0 <= policy.length(tokens, chances, requests=requests, price=price) <= len(chances)
    assert 0 <= policy.length(tokens, requests=requests, price=price) <= LONGEST


@given(_points, _tokens, _chances, st.integers(1, 16))
def test_no_other_length_gives_more_tokens_for_the_time(
    points: dict[int, float], tokens: int, chances: list[float], requests: int
) -> None:
    curve = CostCurve(points)
    chosen = DraftPolicy(curve).length(tokens, chances, requests=requests)

    def worth(count: int) -> float:
        alive, expected = 1.0, float(requests)
        for chance in chances[:count]:
            alive *= min(chance, 0.97)
            expected += alive
        return expected / curve.seconds(tokens + count)

    best = max(worth(count) for count in range(len(chances) + 1))
    assert worth(chosen) >= best / 1.0201


@given(_points, _tokens, _chances, st.floats(0, 1), st.integers(1, 8))
def test_a_flatter_curve_never_makes_a_guess_shorter(
    points: dict[int, float], tokens: int, chances: list[float], share: float, requests: int
) -> None:
    curve = CostCurve(points)
    least = curve.seconds(tokens)
    flatter = CostCurve(
        {n: least + share * max(curve.seconds(n) - least, 0.0) for n in range(1, 60)}
    )
    same = CostCurve({n: curve.seconds(n) for n in range(1, 60)})
    longer = DraftPolicy(flatter).length(tokens, chances, requests=requests)
    shorter = DraftPolicy(same).length(tokens, chances, requests=requests)
    assert longer >= shorter or _nearly_equal(flatter, tokens, chances, requests, longer, shorter)


@given(_points, _tokens, _chances, st.integers(0, LONGEST - 1), st.floats(0, 1))
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

    def worth(count: int) -> float:
        alive, expected = 1.0, float(requests)
        for chance in chances[:count]:
            alive *= min(chance, 0.97)
            expected += alive
        gain = 1.0 if count else 1.02
        return gain * expected / curve.seconds(tokens + count)

    return worth(first) == pytest.approx(worth(second), rel=1e-9)


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


def test_certain_tokens_go_in_passes_of_the_width_that_is_cheapest_for_each() -> None:
    steep = DraftPolicy(CostCurve({1: 1.0, 2: 4.0, 4: 6.0, 8: 6.4, 16: 16.0}))
    assert [steep.width(tokens) for tokens in (1, 2, 5, 7, 8, 9, 16)] == [1, 1, 1, 7, 8, 8, 8]
    flat = DraftPolicy(CostCurve({1: 1.0, 32: 1.1}))
    assert [flat.width(tokens) for tokens in (1, 2, 9, 40)] == [1, 2, 9, 40]
