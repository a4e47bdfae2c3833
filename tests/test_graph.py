"""A plan as a graph: order, cycles, critical path, width, a picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.errors import PlanError
from llmcompiler.graph import critical_path, in_order, to_mermaid, width
from llmcompiler.plan import Argument, Each, Plan, Ref, Task, TaskId, Template


def task(name: str, *needs: str) -> Task:
    return Task(TaskId(name), "tool", {f"a{need}": Ref(TaskId(need)) for need in needs})


DIAMOND = Plan((task("1"), task("2", "1"), task("3", "1"), task("4", "2", "3", "1")))


def test_the_critical_path_is_the_longest_chain() -> None:
    seconds = {TaskId("1"): 1.0, TaskId("2"): 2.0, TaskId("3"): 5.0, TaskId("4"): 1.0}
    path = critical_path(DIAMOND, seconds)
    assert path.steps == ("1", "3", "4")
    assert path.seconds == 7.0


def test_no_tasks_have_no_critical_path() -> None:
    assert critical_path((), {}).seconds == 0.0


def test_tasks_are_put_in_order_and_stay_as_written_otherwise() -> None:
    plan = Plan((task("c", "b"), task("a"), task("b", "a"), task("d")))
    assert [each.id for each in in_order(plan)] == ["a", "b", "c", "d"]


def test_a_circle_is_shown_as_a_path() -> None:
    with pytest.raises(PlanError, match=r"circle: a -> b -> a|circle: b -> a -> b"):
        in_order(Plan((task("a", "b"), task("b", "a"))))


def test_the_width_is_how_many_can_run_at_once() -> None:
    assert width(DIAMOND) == 2
    assert width(Plan()) == 0


def test_a_drawing_leaves_out_edges_that_follow_from_others() -> None:
    drawn = to_mermaid(DIAMOND)
    assert "t2 --> t4" in drawn
    assert "t1 --> t4" not in drawn


def test_a_drawing_shows_steps_about_as_they_are_written() -> None:
    args: dict[str, Argument] = {
        "x": Template(("hi ", Ref(TaskId("1"), ("name",)))),
        "all": [Ref(TaskId("1")), 2],
        "item": Each(Ref(TaskId("1"))),
        "long": "a" * 60,
    }
    drawn = Plan((task("1"), Task(TaskId("2"), "tool", args, (True,)))).to_dot()
    shown = drawn.replace(r"\"", '"')
    assert '2. tool(true, x="hi ${1.name}", all=[$1, 2], item=each $1, long="aaaa' in shown
    assert "a…)" in shown


def test_a_plan_draws_itself() -> None:
    assert DIAMOND.to_mermaid() == to_mermaid(DIAMOND)
    assert "t1 -> t2" in DIAMOND.to_dot()


def test_a_plan_that_cannot_run_can_still_be_drawn() -> None:
    circle = Plan((task("a", "b"), task("b", "a", "9")))
    assert circle.to_mermaid().count("-->") == 3
    assert 't9["9"]' in circle.to_mermaid()


@given(st.permutations(range(8)), st.data())
def test_in_order_every_task_stands_after_what_it_needs(
    order: list[int], data: st.DataObject
) -> None:
    tasks = []
    for n in range(8):
        needs = data.draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set()
        tasks.append(task(str(n), *(str(need) for need in needs)))
    seen: set[str] = set()
    for each in in_order(Plan(tuple(tasks[n] for n in order))):
        assert seen.issuperset(each.needs)
        seen.add(each.id)
