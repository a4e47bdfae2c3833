from __future__ import annotations

import pytest
from hypothesis import given

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Context
from llmcompiler.engine.cost import WIDTHS, CostCurve, measure
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError
from tests.engine.curves import BF16, FLAT, POINTS, Q4_0, Q8_0, STEPPED, TOKENS


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


@given(POINTS)
def test_a_measured_point_is_believed_whatever_others_are(points: dict[int, float]) -> None:
    curve = CostCurve(points)
    assert {tokens: curve.seconds(tokens) for tokens in points} == points


def test_what_is_left_over_from_fours_costs_the_same_in_longer_passes() -> None:
    points = {4: 10.0, 5: 14.0, 6: 16.0, 7: 13.0, 8: 14.0, 16: 22.0}
    curve = CostCurve(points)
    assert [curve.seconds(n) for n in (9, 10, 11, 12, 13)] == [18.0, 20.0, 17.0, 18.0, 22.0]
    del points[6]
    assert CostCurve(points).seconds(9) == 15.0


@pytest.mark.parametrize(
    ("curve", "true"),
    [
        (Q8_0, {9: 81.4, 10: 83.2, 11: 87.7, 13: 98.5, 14: 105.2, 15: 107.5, 20: 116.9, 24: 135.7}),
        (Q4_0, {9: 34.9, 10: 41.3, 11: 47.4, 13: 47.9, 14: 54.7, 15: 60.6, 20: 60.9, 24: 75.0}),
        (BF16, {9: 41.8, 10: 50.3, 11: 45.9, 13: 53.7, 14: 61.0, 15: 64.9, 20: 81.7, 24: 93.1}),
    ],
)
def test_passes_that_were_not_measured_cost_about_what_the_curve_says(
    curve: CostCurve, true: dict[int, float]
) -> None:
    for tokens, seconds in true.items():
        assert curve.seconds(tokens) == pytest.approx(seconds, rel=0.15), tokens


def test_a_pass_is_filled_up_to_a_longer_one_that_costs_less() -> None:
    assert [Q8_0.filled(n) for n in range(1, 10)] == [1, 2, 3, 4, 8, 8, 8, 8, 9]
    assert [Q4_0.filled(n) for n in range(1, 10)] == [1, 2, 4, 4, 5, 6, 8, 8, 9]
    assert [Q4_0.filled(n) for n in (13, 14, 15, 16)] == [13, 16, 16, 16]
    assert [BF16.filled(n) for n in range(1, 18)] == list(range(1, 18))


def test_a_pass_is_not_filled_up_for_what_may_be_a_wrong_measurement() -> None:
    assert CostCurve({1: 1.0, 2: 0.97}).filled(1) == 1
    assert CostCurve({1: 1.0, 2: 0.94}).filled(1) == 2


@given(POINTS, TOKENS)
def test_filling_up_never_costs_more(points: dict[int, float], tokens: int) -> None:
    curve = CostCurve(points)
    assert tokens <= curve.filled(tokens) <= tokens + 3
    assert curve.cost(tokens) == curve.seconds(curve.filled(tokens)) <= curve.seconds(tokens)


@pytest.mark.parametrize(
    "points", [{}, {0: 1.0}, {1: 0.0}, {1: -1.0}, {1: float("nan")}, {1: float("inf")}]
)
def test_points_that_are_no_measurement_are_refused(points: dict[int, float]) -> None:
    with pytest.raises(ConfigurationError, match="measure it anew"):
        CostCurve(points)


@given(POINTS)
def test_curves_of_the_same_points_are_equal(points: dict[int, float]) -> None:
    curve, again = CostCurve(points), CostCurve(dict(reversed(points.items())))
    assert again == curve
    assert hash(again) == hash(curve)
    assert curve != CostCurve(points | {max(points) + 1: 1.0})


def test_a_curve_shows_its_points_and_is_unlike_other_things() -> None:
    assert repr(CostCurve({1: 0.5, 2: 0.75})) == "CostCurve({1: 0.5, 2: 0.75})"
    assert CostCurve({1: 0.5}) != {1: 0.5}


def test_every_width_is_measured_twice_after_warming_up() -> None:
    machine = _Machine(STEPPED, warmup=5.0)
    curve = measure(machine, budget=200.0, clock=machine.clock)
    order = [1, 2, 4, 8, 16, 32, 3, 5, 6, 7, 12]
    assert machine.widths == [1, *order, *order]
    assert sorted(order) == [*WIDTHS]
    assert [curve.seconds(n) for n in WIDTHS] == pytest.approx([STEPPED.seconds(n) for n in WIDTHS])


def test_measuring_keeps_within_its_budget() -> None:
    machine = _Machine(STEPPED)
    curve = measure(machine, budget=25.0, clock=machine.clock)
    assert machine.now <= 25.0
    assert machine.widths == [1, 1, 2, 4, 8, 16, 3, 1]
    assert curve.seconds(32) > STEPPED.seconds(32)


def test_what_was_measured_before_a_pause_is_not_measured_again() -> None:
    machine = _Machine(STEPPED)
    known: dict[int, list[float]] = {}
    passes = 0

    def pause() -> None:
        nonlocal passes
        passes += 1
        if passes % 7 == 0:
            raise InterruptedError

    curve = None
    while curve is None:
        try:
            curve = measure(machine, budget=200.0, clock=machine.clock, known=known, pause=pause)
        except InterruptedError:
            assert not machine.held
    assert {width: len(seconds) for width, seconds in known.items()} == dict.fromkeys(WIDTHS, 2)
    assert len(machine.widths) == 2 * len(WIDTHS) + 1 + passes // 7
    assert [curve.seconds(n) for n in WIDTHS] == pytest.approx([STEPPED.seconds(n) for n in WIDTHS])


def test_a_machine_too_slow_to_measure_costs_one_pass() -> None:
    machine = _Machine(STEPPED)
    curve = measure(machine, budget=0.5, clock=machine.clock)
    assert machine.widths == [1]
    assert curve == CostCurve({1: 1.0})


def test_widths_that_do_not_fit_a_batch_are_left_out() -> None:
    machine = _Machine(FLAT, batch=6)
    measure(machine, budget=200.0, clock=machine.clock)
    assert max(machine.widths) == 6


def test_a_clock_that_stands_still_makes_a_curve_all_the_same() -> None:
    machine = _Machine(FLAT)
    assert measure(machine, clock=lambda: 0.0).seconds(1) > 0


def test_llama_cpp_is_measured_and_left_empty(tiny_model: Model) -> None:
    context = Context(tiny_model, EngineOptions(chunk=64, threads=1), n_slots=2)
    taken: dict[int, list[float]] = {}
    curve = measure(context, slot=1, budget=5.0, known=taken)
    assert curve == CostCurve({width: min(seconds) for width, seconds in taken.items()})
    assert sorted(taken) == [*WIDTHS]
    assert context.held(1) == 0
    assert context.agrees()
    context.close()
