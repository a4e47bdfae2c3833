"""What a sealed plan need not run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.passes import unread
from llmcompiler.plan import Policy, Ref, Task, TaskId, Template


def _task(name: str, *needs: str, effects: str = "read") -> Task:
    args = {f"a{at}": Ref(TaskId(need)) for at, need in enumerate(needs)}
    policy = Policy(effects="write" if effects == "write" else "read")
    return Task(TaskId(name), "tool", args, policy=policy)


def _ids(*names: str) -> list[TaskId]:
    return [TaskId(name) for name in names]


PLAN = [_task("1"), _task("2", "1"), _task("3"), _task("4", "3"), _task("5")]


def test_what_no_join_needs_is_unread_also_through_others() -> None:
    assert unread(PLAN, _ids("2"), (), ()) == ["3", "4", "5"]


def test_a_join_that_names_nothing_reads_everything() -> None:
    assert unread(PLAN, None, (), ()) == []


def test_what_a_write_needs_is_read() -> None:
    plan = [*PLAN, _task("6", "4", effects="write")]
    assert unread(plan, _ids("2"), (), ()) == ["5"]


def test_what_has_started_is_left_alone_with_all_that_it_needs() -> None:
    assert unread(PLAN, _ids("2"), (), _ids("4")) == ["5"]


def test_what_is_settled_is_not_named() -> None:
    assert unread(PLAN, _ids("2"), _ids("1", "3"), ()) == ["4", "5"]


def test_a_reference_in_a_text_or_a_condition_is_a_need() -> None:
    text = Template(("a ", Ref(TaskId("1"))))
    plan = [_task("1"), _task("2"), Task(TaskId("3"), "tool", {"a": 1}, when=text)]
    assert unread(plan, _ids("3"), (), ()) == ["2"]


def test_a_join_of_an_earlier_plan_is_no_task_of_this_one() -> None:
    assert unread(PLAN[2:], _ids("1", "4"), _ids("1"), ()) == ["5"]


def test_a_long_chain_does_not_exhaust_the_stack() -> None:
    chain = [_task("0"), *(_task(str(n), str(n - 1)) for n in range(1, 5000)), _task("x")]
    assert unread(chain, _ids("4999"), (), ()) == ["x"]


@given(st.data())
def test_exactly_what_cannot_be_reached_is_unread(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    names = [str(number) for number in range(count)]
    some = st.sets(st.sampled_from(names))
    plan = [
        _task(name, *data.draw(st.sets(st.sampled_from(names[:at]))) if at else ())
        for at, name in enumerate(names)
    ]
    joins, started, settled = (set(_ids(*data.draw(some))) for _ in range(3))
    joins = joins or {TaskId("0")}
    left = [task for task in plan if task.id not in settled]
    needed = {task.id for task in left if task.id in joins or task.id in started}
    for task in reversed(left):  # needs always point backwards
        if task.id in needed:
            needed.update(task.needs)
    expected = [task.id for task in left if task.id not in needed]
    assert unread(plan, sorted(joins), settled, started) == expected
