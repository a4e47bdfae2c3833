"""The lines at a resource: whose turn it is when tasks are written again, or need later ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from llmcompiler.frontier import Command, Frontier, Settle, Start
from llmcompiler.plan import Ok, Policy, Ref, Skipped, Task, TaskId


def at_book(name: str, *needs: str, effects: Literal["read", "write"] = "write") -> Task:
    args = {f"a{index}": Ref(TaskId(need)) for index, need in enumerate(needs)}
    return Task(TaskId(name), "note", args, policy=Policy(effects=effects, resource="book"))


def started(commands: Iterable[Command]) -> list[str]:
    return [each.task.id for each in commands if isinstance(each, Start)]


def test_what_waits_behind_a_task_that_is_written_again_does_not_go_first() -> None:
    frontier = Frontier()
    for name in "12":
        frontier.add(at_book(name))
    assert started(frontier.seal()) == ["1"]
    assert started(frontier.replace(at_book("1"))) == ["1"]
    assert started(frontier.finish(TaskId("1"), Ok(1))) == ["2"]


def test_what_is_written_again_for_another_resource_lets_the_next_go() -> None:
    frontier = Frontier()
    for name in "12":
        frontier.add(at_book(name))
    frontier.seal()
    elsewhere = Task(TaskId("1"), "note", {}, policy=Policy(effects="write", resource="door"))
    assert started(frontier.replace(elsewhere)) == ["1", "2"]


def test_nobody_waits_in_line_for_who_needs_him() -> None:
    frontier = Frontier()
    frontier.add(at_book("1", "2"))
    frontier.add(Task(TaskId("2"), "look", {"x": Ref(TaskId("3"))}))
    frontier.add(at_book("3"))
    frontier.add(at_book("4"))
    assert started(frontier.seal()) == ["3"]
    assert started(frontier.finish(TaskId("3"), Ok(1))) == ["2"]
    assert started(frontier.finish(TaskId("2"), Ok(1))) == ["1"]
    assert started(frontier.finish(TaskId("1"), Ok(1))) == ["4"]


def test_a_replaced_write_waits_no_more_for_what_it_would_have_needed() -> None:
    frontier = Frontier()
    frontier.add(at_book("1", "0"))
    frontier.add(at_book("2"))
    assert frontier.seal() == []
    elsewhere = Task(TaskId("1"), "note", {}, policy=Policy(effects="write", resource="door"))
    assert started(frontier.replace(elsewhere)) == ["1", "2"]


def test_a_plan_that_was_broken_off_skips_what_writes_now_and_later() -> None:
    frontier = Frontier()
    frontier.add(Task(TaskId("1"), "look"))
    for name in "23":
        task = Task(
            TaskId(name),
            "note",
            {"x": Ref(TaskId("1"))} if name == "3" else {},
            policy=Policy(effects="write"),
        )
        frontier.add(task)
    broken = Skipped("it writes, and its plan was cut off before its end")
    now = frontier.seal(whole=False)
    later = frontier.finish(TaskId("1"), Ok(1))
    told = {each.task.id: each.outcome for each in (*now, *later) if isinstance(each, Settle)}
    assert told == {"2": broken, "3": broken}
    frontier.reopen()
    assert frontier.add(at_book("4")) == []
    assert started(frontier.seal()) == ["4"]
