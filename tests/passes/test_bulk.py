"""Which calls go together: windows that open, close, and need not be waited for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.passes import Windows
from llmcompiler.plan import Policy, Task, TaskId


def task(name: str, tool: str = "look", **policy: str) -> Task:
    return Task(TaskId(name), tool, policy=Policy(**policy))  # type: ignore[arg-type]


def windows(needing: Iterable[str] = ()) -> Windows[str]:
    return Windows(lambda tasks: {TaskId(name) for name in needing})


def added(to: Windows[str], *names: str, tool: str = "look") -> None:
    for name in names:
        to.expect(task(name, tool))
    for name in names:
        to.came(task(name, tool))
        to.add(tool, TaskId(name), name)


def test_calls_wait_until_their_window_closes_and_then_go_together() -> None:
    open_ = windows()
    added(open_, "1", "2")
    assert open_.due() == []
    assert open_.untimed() == ["look"]
    open_.close("look")
    assert open_.due() == [["1", "2"]]
    assert open_.due() == []


def test_each_window_is_timed_once() -> None:
    open_ = windows()
    added(open_, "1")
    assert open_.untimed() == ["look"]
    added(open_, "2")
    assert open_.untimed() == []
    open_.close("look")
    open_.due()
    added(open_, "3")
    assert open_.untimed() == ["look"]


def test_each_tool_has_its_own_window() -> None:
    open_ = windows()
    added(open_, "1", tool="look")
    added(open_, "2", tool="find")
    open_.close("find")
    assert open_.due() == [["2"]]


def test_nobody_waits_when_the_plan_is_sealed_and_nothing_more_is_to_come() -> None:
    open_ = windows()
    added(open_, "1", "2")
    open_.sealed = True
    assert open_.due() == [["1", "2"]]


def test_a_step_that_is_still_to_come_is_waited_for() -> None:
    open_ = windows()
    open_.expect(task("3"))
    added(open_, "1")
    open_.sealed = True
    assert open_.due() == []
    open_.came(task("3"))
    assert open_.due() == [["1"]]


def test_a_step_that_needs_one_that_waits_here_is_not_waited_for() -> None:
    open_ = windows(needing=["3"])
    open_.expect(task("3"))
    added(open_, "1")
    open_.sealed = True
    assert open_.due() == [["1"]]


def test_writes_that_come_one_by_one_are_not_waited_for() -> None:
    open_ = windows()
    open_.expect(task("2", effects="write", resource="db"))
    added(open_, "1")
    open_.sealed = True
    assert open_.due() == [["1"]]
    open_.expect(task("3", effects="write"))
    added(open_, "4")
    assert open_.due() == []


@pytest.mark.parametrize("count", [100, 150, 250])
def test_so_many_go_in_one_call_and_no_more(count: int) -> None:
    open_ = windows()
    added(open_, *map(str, range(count)))
    assert [len(group) for group in open_.due()] == [100] * (count // 100)
    open_.close("look")
    assert sum(len(group) for group in open_.due()) == count % 100


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from("ab")),
            st.tuples(st.just("close"), st.sampled_from("ab")),
            st.just(("due", "")),
            st.just(("seal", "")),
        ),
        max_size=30,
    )
)
def test_every_call_comes_out_once_in_order_and_with_its_own_kind(
    actions: list[tuple[str, str]],
) -> None:
    open_ = windows()
    came: dict[str, list[str]] = {"a": [], "b": []}
    out: dict[str, list[str]] = {"a": [], "b": []}

    def take() -> None:
        for group in open_.due():
            assert len({name[0] for name in group}) == 1
            out[group[0][0]].extend(group)

    for number, (action, tool) in enumerate(actions):
        if action == "add":
            came[tool].append(f"{tool}{number}")
            added(open_, f"{tool}{number}", tool=tool)
        elif action == "close":
            open_.close(tool)
        elif action == "seal":
            open_.sealed = True
        else:
            take()
    open_.close("a")
    open_.close("b")
    take()
    assert out == came
