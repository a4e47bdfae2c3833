"""References that wait for a task without needing its success, and lists that are computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from llmcompiler.frontier import Break, Frontier, Settle, Start
from llmcompiler.plan import (
    Cancelled,
    Each,
    Failed,
    Json,
    Ok,
    Outcome,
    Outlook,
    Ref,
    Skipped,
    Task,
    TaskId,
    args_to_json,
)

ONE = TaskId("1")


@dataclass(frozen=True)
class Looked:
    """What an outlook gives, as an expression."""

    ref: Outlook

    @property
    def refs(self) -> tuple[Ref, ...]:
        return (self.ref,)

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        return lookup(self.ref)


@dataclass(frozen=True)
class Doubled:
    """Every element of a list twice."""

    ref: Ref

    @property
    def refs(self) -> tuple[Ref, ...]:
        return (self.ref,)

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        value = lookup(self.ref)
        assert isinstance(value, list)
        return [element for element in value for _ in range(2)]

    def __str__(self) -> str:
        return f"{self.ref} doubled"


def seen(outcome: Outcome, ref: Outlook) -> Json:
    frontier = Frontier()
    frontier.add(Task(ONE, "tool"))
    assert frontier.add(Task(TaskId("2"), "tool", {"x": Looked(ref)})) == []
    (start,) = frontier.finish(ONE, outcome)
    assert isinstance(start, Start)
    return start.args["x"]


@pytest.mark.parametrize(
    ("outcome", "status", "value", "error"),
    [
        (Ok({"n": 1}), "ok", {"n": 1}, None),
        (Failed("E", "went wrong"), "failed", None, "went wrong"),
        (Skipped("nobody reads it"), "skipped", None, "nobody reads it"),
        (Cancelled("the time is up"), "cancelled", None, "the time is up"),
    ],
)
def test_an_outlook_tells_what_became_of_a_task_whatever_it_is(
    outcome: Outcome, status: str, value: Json, error: str | None
) -> None:
    assert seen(outcome, Outlook(ONE, (), "status")) == status
    assert seen(outcome, Outlook(ONE)) == value
    assert seen(outcome, Outlook(ONE, (), "error")) == error


def test_an_outlook_at_a_path_is_null_where_the_task_failed() -> None:
    assert seen(Ok({"n": 1}), Outlook(ONE, ("n",))) == 1
    assert seen(Failed("E", "no"), Outlook(ONE, ("n",))) is None


def test_a_task_that_also_needs_the_result_is_skipped_all_the_same() -> None:
    frontier = Frontier()
    frontier.add(Task(ONE, "tool"))
    both = {"x": Looked(Outlook(ONE, (), "status")), "y": Ref(ONE)}
    frontier.add(Task(TaskId("2"), "tool", both))
    (settle,) = frontier.finish(ONE, Failed("E", "no"))
    assert isinstance(settle, Settle)
    assert settle.outcome == Skipped("it needs $1", ONE)


def test_an_outlook_on_a_task_that_failed_before_does_not_stop_a_later_one() -> None:
    frontier = Frontier()
    frontier.add(Task(ONE, "tool"))
    frontier.finish(ONE, Failed("E", "no"))
    (start,) = frontier.add(Task(TaskId("2"), "tool", {"x": Looked(Outlook(ONE))}))
    assert isinstance(start, Start)


def test_a_guard_may_look_on_at_a_failure() -> None:
    frontier = Frontier()
    frontier.add(Task(ONE, "tool"))
    guard = Looked(Outlook(ONE, (), "error"))
    frontier.add(Task(TaskId("2"), "tool", when=guard))
    (start,) = frontier.finish(ONE, Failed("E", "no"))
    assert isinstance(start, Start)


def test_a_fan_out_may_go_over_a_computed_list() -> None:
    frontier = Frontier()
    frontier.add(Task(ONE, "tool"))
    frontier.add(Task(TaskId("2"), "tool", {"x": Each(Doubled(Ref(ONE)))}))
    (start,) = frontier.finish(ONE, Ok([1, 2]))
    assert isinstance(start, Start)
    assert start.elements == ({"x": 1}, {"x": 1}, {"x": 2}, {"x": 2})


def test_an_expression_that_fails_breaks_its_task_alone() -> None:
    frontier = Frontier()
    frontier.add(Task(ONE, "tool"))
    frontier.add(Task(TaskId("2"), "tool", {"x": Each(Doubled(Ref(ONE)))}))
    (broken,) = frontier.finish(ONE, Ok("no list"))
    assert isinstance(broken, Break)


def test_a_computed_list_is_shown_as_it_was_written() -> None:
    assert args_to_json({"x": Each(Doubled(Ref(ONE)))}) == {"x": {"each": "$1 doubled"}}
