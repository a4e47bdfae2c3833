"""Do public graphs run as fast as can be, and does no step start before what it needs?

`run_virtually` itself looks at the events: edges, failures, and steps that started too early. On k
workers what `_sample` says is run, and on two with `order` all of AsyncHow; the benchmark runs all,
and in real time too.
"""

from __future__ import annotations

import pytest

from benchmarks.plans_agent import NOTHING, Ran
from benchmarks.plans_graphs import Workload, asynchow, dagbench, worfbench
from benchmarks.plans_lists import longest_path
from benchmarks.plans_schedules import WORKERS, limited, run_virtually
from llmcompiler.events import StepFinished, StepPlanned, StepStarted
from llmcompiler.plan import TaskId


def test_the_published_optimum_is_the_longest_path() -> None:
    assert len(asynchow()) == 2 * 319
    assert len(dagbench()) == 24
    for each in (*asynchow(), *dagbench()):
        assert longest_path(each.seconds, each.needs) == each.optimum


def test_every_structure_of_asynchow_takes_exactly_the_published_optimum() -> None:
    low, high = asynchow()[::2], asynchow()[1::2]
    differ = [two for one, two in zip(low, high, strict=True) if one.seconds != two.seconds]
    assert len(differ) == 9
    taken = {each.name: run_virtually(each) for each in (*low, *differ)}
    assert taken == {each.name: each.optimum for each in (*low, *differ)}


def test_every_graph_of_dagbench_takes_exactly_its_longest_path() -> None:
    taken = {each.name: run_virtually(each) for each in dagbench()}
    assert taken == {each.name: each.optimum for each in dagbench()}


def test_every_structure_of_worfbench_runs_with_the_gold_edges() -> None:
    assert len(worfbench()) == 93
    assert sum(len(each.edges) for each in worfbench()) == 134
    taken = {each.name: run_virtually(each) for each in worfbench()}
    assert taken == {each.name: each.optimum for each in worfbench()}


def _sample() -> list[Workload]:
    """Every eighth structure of AsyncHow at its low durations, and DAGbench up to 40 steps."""
    return [
        *asynchow()[::16],
        *(each for each in dagbench() if len(each.seconds) <= 40),
    ]


@pytest.mark.parametrize("workers", WORKERS)
def test_on_k_workers_no_run_exceeds_grahams_bound(workers: int) -> None:
    found = [limited(each, workers, NOTHING) for each in _sample()]
    assert not [one for one in found if one.of_bound > 1]


@pytest.mark.parametrize("workers", WORKERS)
def test_with_order_no_run_is_more_than_5_percent_over_the_best_list_schedule(workers: int) -> None:
    some = (*asynchow()[::2], *_sample()) if workers == 2 else _sample()
    found = [limited(each, workers, NOTHING.switched(on=["order"])) for each in some]
    assert not [one for one in found if one.of_best > 1.05 or one.of_bound > 1]


def test_a_step_that_starts_before_what_it_needs_is_noticed() -> None:
    def at(step: str, start: float, end: float, *needs: str) -> list[object]:
        own = TaskId(step)
        return [
            StepPlanned("r", 0, 0.0, own, "t", {}, tuple(map(TaskId, needs)), ""),
            StepStarted("r", 0, start, own, "t", {}, None),
            StepFinished("r", 0, end, own, None, end - start),
        ]

    first, second = at("1", 0.0, 1.0), at("2", 0.5, 2.0, "1")
    early = Ran((first[0], second[0], first[1], second[1], first[2], second[2]), {})  # type: ignore[arg-type]
    assert early.too_early == ("2",)
    first, second = at("1", 0.0, 1.0), at("2", 1.0, 2.0, "1")
    good = Ran((*first, *second), {})  # type: ignore[arg-type]
    assert not good.too_early
    assert (good.makespan, good.started, good.edges) == (2.0, 2, {("1", "2")})
