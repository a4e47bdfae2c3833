"""Metrics: how fast replies came, by definitions that others have computed before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.errors import ConfigurationError
from llmcompiler.events import AnswerDelta, Event, UsageUpdated
from llmcompiler.messages import Figures, Usage
from llmcompiler.metrics import (
    CallMetrics,
    Deadlines,
    Misses,
    Percentiles,
    Pool,
    Work,
    call_metrics,
    count_misses,
    fluid_interval,
    of_run,
)

# What Etalon's own functions give for these inputs; see NOTICE.md beside it.
_VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parent / "etalon" / "vectors.jsonl").read_text("utf-8").splitlines()
]
_DUE = Deadlines(0.5, 0.25)


def _call(gaps: Sequence[float], due: Deadlines = _DUE, **counts: Any) -> CallMetrics:
    return call_metrics(Figures(arrivals=tuple(accumulate(gaps)), **counts), due)


@pytest.mark.parametrize("vector", _VECTORS, ids=[vector["id"] for vector in _VECTORS])
def test_a_call_is_measured_exactly_as_etalon_does(vector: dict[str, Any]) -> None:
    due = Deadlines(vector["ttft_deadline"], vector["tbt_deadline"])
    call = _call(vector["inter_token_times"], due)
    assert {
        "ttft_deadline": due.ttft,
        "tbt_deadline": due.tbt,
        "missed_deadlines": call.misses.missed,
        "total_deadlines": call.misses.total,
        "deadline_miss_rate": call.misses.rate,
        "fluidity_index": call.fluidity_index,
        "missed_without_first": call.later_misses.missed,
        "total_without_first": call.later_misses.total,
        "ttft": call.ttft,
        "tpot": call.tpot,
        "e2e": call.e2e,
        "normalized_latency": call.normalized_latency,
    } == {name: value for name, value in vector.items() if name not in ("id", "inter_token_times")}


def test_the_vectors_are_there() -> None:
    assert len(_VECTORS) == 71


_GAPS = st.lists(st.integers(0, 3000).map(lambda each: each / 1024), max_size=20)


@given(_GAPS, st.integers(1, 2000), st.integers(1, 2000))
def test_a_longer_deadline_never_misses_more(gaps: list[float], one: int, other: int) -> None:
    short, long = (
        count_misses(gaps, Deadlines(each / 1024, each / 1024)) for each in sorted((one, other))
    )
    assert long.missed <= short.missed
    assert long.rate <= short.rate


@given(_GAPS.filter(lambda gaps: max(gaps, default=0) > 0))
def test_the_fluid_interval_is_the_shortest_that_misses_a_tenth_at_most(gaps: list[float]) -> None:
    found = fluid_interval(gaps)
    assert count_misses(gaps, Deadlines(found, found)).rate <= 0.1
    less = found * (1 - 1e-9)
    assert count_misses(gaps, Deadlines(less, less)).rate > 0.1


def test_even_gaps_are_their_own_fluid_interval() -> None:
    assert fluid_interval([0.25] * 9) == 0.25
    assert fluid_interval([]) == fluid_interval([0.0, 0.0]) == 0.0


def test_one_miss_in_ten_is_still_fluid() -> None:
    # At 0.25 s itself the late token misses two of eleven deadlines, a hair above it one of ten.
    assert fluid_interval([0.25] * 9 + [0.5]) == pytest.approx(0.25)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50))
def test_percentiles_lie_between_neighbours(values: list[float]) -> None:
    found = Percentiles.of(values)
    assert found is not None
    ranked = sorted(values)
    assert ranked[0] <= found.p50 <= found.p90 <= found.p99 <= ranked[-1]


def test_percentiles_are_taken_on_a_straight_line() -> None:
    assert Percentiles.of(range(101)) == Percentiles(50, 90, 99)
    assert Percentiles.of([5, 1]) == Percentiles(3, 4.6, 4.96)
    assert Percentiles.of([7]) == Percentiles(7, 7, 7)
    assert Percentiles.of([]) is None


def test_the_times_between_tokens_leave_out_the_first() -> None:
    call = _call([9.0, 0.25, 0.25, 0.5])
    assert call.tbt is not None
    assert call.tbt.p50 == 0.25
    assert _call([9.0]).tbt is None


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_deadline_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match="deadline ttft must be above 0"):
        Deadlines(ttft=value)
    with pytest.raises(ConfigurationError, match="deadline tbt must be above 0"):
        Deadlines(tbt=value)


def _figures(*gaps: float, **counts: Any) -> Figures:
    return Figures(arrivals=tuple(accumulate(gaps)), **counts)


def test_misses_are_pooled_and_not_indices() -> None:
    good, bad = _figures(0.5, *[0.25] * 7), _figures(1.0)
    pooled = Pool([good, bad]).summary(_DUE)
    assert (pooled.misses, pooled.fluidity_index) == (Misses(3, 11), 1 - 3 / 11)
    indices = [call_metrics(each, _DUE).fluidity_index or 0.0 for each in (good, bad)]
    assert mean(indices) == 0.5


def test_a_pool_knows_the_times_of_its_calls() -> None:
    pool = Pool()
    pool.add(_figures(1.0, 0.5, 0.5))
    pool.add(_figures(3.0))
    pool.add(_figures())
    pooled = pool.summary()
    assert (len(pool), pooled.calls, pooled.work.tokens) == (3, 3, 4)
    assert pooled.ttft == Percentiles.of([1.0, 3.0])
    assert pooled.tbt == Percentiles.of([0.5, 0.5])
    assert pooled.tpot == Percentiles.of([0.5])
    assert pooled.e2e == Percentiles.of([2.0, 3.0])
    assert pooled.normalized_latency == Percentiles.of([2 / 3, 3.0])


def test_the_fluid_rate_is_that_of_the_slowest_but_for_one_in_a_hundred() -> None:
    calls = [_figures(9.0, 0.25, 0.25)] * 99 + [_figures(9.0, 0.25, 0.25), _figures(0.1, 8.0)]
    assert Pool(calls).summary().fluid_token_rate == 4.0
    slower = [_figures(9.0, 0.5, 0.5)] * 3
    assert Pool([*calls, *slower]).summary().fluid_token_rate == 2.0
    for none in ([], [_figures(1.0)], [_figures(1.0, 0.0, 0.0)]):
        assert Pool(none).summary().fluid_token_rate is None


def test_a_pool_of_nothing_has_nothing_to_tell() -> None:
    empty = Pool().summary()
    assert (empty.calls, empty.ttft, empty.tbt, empty.fluidity_index) == (0, None, None, None)
    assert (empty.work.reuse_rate, empty.work.tokens_per_step) == (None, None)


def test_work_adds_up_and_has_its_rates() -> None:
    first = _figures(1.0, 1.0, evaluated=30, reused=70, forced=1, steps=2, decode=0.5)
    second = _figures(
        1.0, drafted=8, accepted=6, steps=2, prefills=1, constraint=0.25, python=0.125
    )
    work = Pool([first, second]).summary().work
    assert work == Work(3, 30, 70, 1, 8, 6, 4, 1, 0.5, 0.25, 0.125)
    assert (work.reuse_rate, work.acceptance_rate, work.tokens_per_step) == (0.7, 0.75, 1.0)


@given(st.lists(_GAPS, max_size=5))
def test_a_pool_adds_up_its_calls(calls: list[list[float]]) -> None:
    pooled = Pool(_figures(*gaps) for gaps in calls).summary(_DUE)
    alone = [_call(gaps) for gaps in calls]
    assert pooled.misses.missed == sum(call.misses.missed for call in alone)
    assert pooled.misses.total == sum(call.misses.total for call in alone)
    assert pooled.later_misses.total == sum(call.later_misses.total for call in alone)
    assert pooled.work == sum((call.work for call in alone), Work())


def test_everything_can_be_written_as_json() -> None:
    figures = _figures(0.5, 0.25, 0.5, evaluated=3, reused=1, drafted=2, accepted=1, steps=2)
    call = json.loads(json.dumps(call_metrics(figures, _DUE).to_json()))
    assert (call["ttft"], call["misses"]) == (0.5, {"missed": 2, "total": 4})
    assert (call["fluidity_index"], call["work"]["reuse_rate"]) == (0.5, 0.25)
    pooled = json.loads(json.dumps(Pool([figures]).summary(_DUE).to_json()))
    assert (pooled["calls"], pooled["ttft"]["p99"], pooled["fluidity_index"]) == (1, 0.5, 0.5)
    assert (pooled["work"]["tokens_per_step"], pooled["work"]["acceptance_rate"]) == (1.5, 0.5)


def test_a_runs_events_are_pooled() -> None:
    one, two = _figures(0.5, evaluated=7), _figures(0.25, 0.25, reused=2)
    events: list[Event] = [
        UsageUpdated("r", 1, 1.0, Usage(), "planner", Usage(), one),
        AnswerDelta("r", 2, 1.5, "4"),
        UsageUpdated("r", 3, 2.0, Usage(), "joiner", Usage(), two),
    ]
    assert of_run(events, _DUE) == Pool([one, two]).summary(_DUE)


def test_arrivals_that_come_together_are_gaps_of_nothing() -> None:
    arrivals = (0.5, 0.75, 0.75, 0.75)
    gaps = [0.5, *(later - earlier for earlier, later in pairwise(arrivals))]
    assert call_metrics(Figures(arrivals=arrivals), _DUE) == _call(gaps)
    assert call_metrics(Figures(arrivals=arrivals), _DUE).fluidity_index == 1.0
