"""Is the reference of the scheduling benchmark right: bounds, ranks and list schedules?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plans_lists import (
    best_list_schedule,
    graham,
    list_schedule,
    longest_path,
    ranks,
)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[float], list[list[int]]]:
    seconds = draw(st.lists(st.integers(0, 9).map(float), min_size=1, max_size=12))
    needs = [
        draw(st.lists(st.integers(0, step - 1), unique=True, max_size=3)) if step else []
        for step in range(len(seconds))
    ]
    return seconds, needs


def test_a_diamond_by_hand() -> None:
    seconds, needs = [1.0, 2.0, 3.0, 4.0], [[], [0], [0], [1, 2]]
    assert longest_path(seconds, needs) == 8
    assert ranks(seconds, needs) == [8, 6, 7, 4]
    assert best_list_schedule(seconds, needs, 1) == 10
    assert best_list_schedule(seconds, needs, 2) == 8
    assert graham(seconds, needs, 2) == 9


def test_the_critical_path_first_is_better_than_the_lines_in_order() -> None:
    seconds, needs = [1.0, 1.0, 1.0, 3.0], [[], [], [], []]
    in_lines = [(float(step),) for step in range(4)]
    assert list_schedule(seconds, needs, 2, in_lines) == 4
    assert best_list_schedule(seconds, needs, 2) == 3


@given(graphs(), st.integers(1, 5))
def test_a_list_schedule_lies_between_the_bounds(
    graph: tuple[list[float], list[list[int]]], workers: int
) -> None:
    seconds, needs = graph
    least = max(longest_path(seconds, needs), sum(seconds) / workers)
    best = best_list_schedule(seconds, needs, workers)
    assert least <= best + 1e-9
    assert best <= graham(seconds, needs, workers) + 1e-9


@given(graphs())
def test_with_a_worker_for_each_step_the_longest_path_is_all(
    graph: tuple[list[float], list[list[int]]],
) -> None:
    seconds, needs = graph
    assert best_list_schedule(seconds, needs, len(seconds)) == longest_path(seconds, needs)
    assert max(ranks(seconds, needs)) == longest_path(seconds, needs)
    assert best_list_schedule(seconds, needs, 1) == sum(seconds)
