"""Is the right thing named as the bottleneck, and with the right numbers?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.events import PlanDelta, PlanStarted, UsageUpdated
from llmcompiler.messages import Usage
from llmcompiler.plan import Task
from llmcompiler.trace import bottleneck, model_turns
from tests.trace.sample import WRITES, run_of, small, task

RUN = "r"


def test_the_longest_step_of_the_critical_path_is_named() -> None:
    result, events = small()
    found = bottleneck(result, events)
    assert (found.kind, found.name, found.tool, found.seconds) == (
        "step",
        "3",
        "fetch",
        pytest.approx(2.1),
    )
    assert found.best_tools == pytest.approx(3.2)
    assert found.text == (
        "step 3 (fetch) took 2.1 s of the 3.9 s; "
        "with unlimited parallelism the tools would have taken 3.2 s"
    )


def test_a_slow_model_is_the_bottleneck() -> None:
    result, events = run_of([task("1", "f"), task("2", "g")], lambda _: 0.1, pace=2.0)
    found = bottleneck(result, events)
    assert (found.kind, found.name) == ("turn", "1")
    assert found.model == pytest.approx(6.6)
    assert found.text.startswith("turn 1 of the model took 6.0 s of the 6.6 s")


def test_waiting_for_limits_is_the_bottleneck_where_it_cost_most() -> None:
    tasks = [task(str(n), "fetch") for n in range(1, 11)]
    result, events = run_of(tasks, lambda _: 1.0, at_once=1, pace=0.02)
    found = bottleneck(result, events)
    assert (found.kind, found.waiting, found.longest) == ("limits", 9, "10")
    assert found.best_total == pytest.approx(0.2 + 1 + 0.6)
    assert found.seconds == pytest.approx(found.total - found.best_total)
    assert found.text == (
        "waiting took 8.8 s of the 10.6 s: 9 steps stood ready for 44.1 s in all, step 10 longest; "
        "with unlimited parallelism the tools would have taken 1.0 s, the whole run 1.8 s"
    )


def test_one_step_that_waited_is_named() -> None:
    tasks = [task("1", "fetch"), task("2", "fetch")]
    result, events = run_of(
        tasks, lambda each: 3.0 if each.id == "1" else 1.0, at_once=1, pace=0.01
    )
    assert bottleneck(result, events).text.endswith("; step 2 stood ready for 3.0 s")


def test_writes_on_one_resource_are_expected_to_wait_for_each_other() -> None:
    tasks = [task(str(n), "book", policy=WRITES) for n in (1, 2, 3)]
    result, events = run_of(tasks, lambda _: 1.0, at_once=1, pace=0.01)
    assert bottleneck(result, events).best_total == pytest.approx(result.seconds)


def test_nothing_is_the_bottleneck_of_nothing() -> None:
    result, _ = run_of([], lambda _: 0.0)
    found = bottleneck(result)
    assert found.kind == "nothing"
    assert found.text == "nothing took time in the 700 ms of the run"


def test_a_run_is_read_without_its_events_too() -> None:
    found = bottleneck(small()[0])
    assert (found.kind, found.name, found.model) == ("step", "3", 0.0)


def test_a_turn_ends_with_the_last_that_was_written_in_it() -> None:
    used = Usage()
    events = [
        PlanStarted(RUN, 1, 0.5, 1, "plan"),
        PlanDelta(RUN, 2, 0.9, "1. f()"),
        UsageUpdated(RUN, 3, 1.0, used),
        UsageUpdated(RUN, 4, 3.0, used),  # a tool's call
        PlanStarted(RUN, 5, 4.0, 2, "join"),
        UsageUpdated(RUN, 6, 4.5, used),
        PlanStarted(RUN, 7, 5.0, 3, "retry"),
    ]
    turns = model_turns(events)
    assert [(turn.number, turn.purpose, turn.start, turn.end) for turn in turns] == [
        (1, "plan", 0.5, 0.9),
        (2, "join", 4.0, 4.5),
        (3, "retry", 5.0, 5.0),
    ]


@st.composite
def plans(draw: st.DrawFn) -> list[Task]:
    tasks: list[Task] = []
    for number in range(draw(st.integers(1, 8))):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        tasks.append(task(str(number), "f", *(str(need) for need in sorted(needs))))
    return tasks


@given(plans(), st.integers(1, 4), st.sampled_from([0.01, 0.3]))
def test_at_best_is_never_more_than_it_took_nor_less_than_the_critical_path(
    tasks: list[Task], at_once: int, pace: float
) -> None:
    result, events = run_of(tasks, lambda each: 0.1 + int(each.id) % 3, at_once=at_once, pace=pace)
    found = bottleneck(result, events)
    assert found.best_tools <= found.best_total + 1e-9
    assert found.best_total <= found.total + 1e-9
    free, told = run_of(tasks, lambda each: 0.1 + int(each.id) % 3, at_once=100, pace=pace)
    assert found.best_total == pytest.approx(bottleneck(free, told).total)
