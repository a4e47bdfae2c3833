"""May a line be written again, and does it still give what the lines after it refer to?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmcompiler.check import Scope, check
from llmcompiler.plan import Argument, Each, Json, Ref, Star, Task, TaskId, Template
from tests.checking import TOOLS, call, ref, refused, scope_after


class Guard:
    def __init__(self, *refs: Ref) -> None:
        self.refs = refs

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        return True


def reopened(*dependents: Task) -> Scope:
    """1 is a whole number and 2 a shop, which is to be written again."""
    scope = scope_after(call("wait", id="1", seconds=1), call("shop", id="2", name="a"))
    for dependent in dependents:
        scope.accept(check(dependent, TOOLS, scope))
    scope.reopen(TaskId("2"))
    return scope


def test_a_reopened_line_is_written_again_under_its_id() -> None:
    scope = reopened(call("wait", id="3", seconds=ref("2", "price")))
    assert TaskId("2") not in scope.tasks
    assert scope.awaited == {"2"}
    assert scope.next_id == 4
    scope.accept(check(call("shop", id="2", name="b"), TOOLS, scope))
    assert scope.awaited == set()
    assert list(scope.tasks) == ["1", "3", "2"]
    assert refused(call("wait", id="2", seconds=1), scope=scope).problem.startswith("the id 2 is")
    assert scope.next_id == 4


def test_a_reopened_line_may_be_referred_to_meanwhile() -> None:
    scope = reopened()
    scope.accept(check(call("wait", id="3", seconds=ref("2", "price")), TOOLS, scope))
    check(call("shop", id="2", name="b"), TOOLS, scope)


def test_only_a_known_line_is_reopened_and_twice_is_once() -> None:
    scope = reopened()
    scope.reopen(TaskId("2"))
    with pytest.raises(KeyError):
        scope.reopen(TaskId("7"))


def test_a_replacement_may_not_refer_to_later_lines() -> None:
    scope = reopened(call("wait", id="3", seconds=1))
    error = refused(call("wait", id="2", seconds=ref("3")), scope=scope)
    assert error.problem.startswith("$3 is not an earlier line")


@pytest.mark.parametrize(
    ("dependent", "replacement", "problem"),
    [
        (
            call("wait", id="3", seconds=ref("2", "price")),
            call("wait", id="2", seconds=1),
            "line 3 needs $2.price, which is not in what wait returns; "
            "write another call that gives it",
        ),
        (
            call("count_words", id="3", path=ref("2", "name")),
            call("anything", id="2", value=ref("1")),
            None,  # what it returns is not known
        ),
        (
            call("record", id="3", entry=ref("2")),
            call("wait", id="2", seconds=1),
            "line 3 needs $2 to be an object, and wait returns a whole number; "
            "write another call that gives it",
        ),
        (
            call("record", id="3", entry={"name": ref("2", "name"), "price": 1, "links": []}),
            call("wait", id="2", seconds=1),
            "line 3 needs $2.name, which is not in what wait returns; "
            "write another call that gives it",
        ),
        (
            call("total", id="3", values=[1, ref("2", "price")]),
            call("shop", id="2", name="b"),
            None,
        ),
        (
            call("count_words", id="3", path=Each(ref("2", "links"))),
            call("shop", id="2", name=Each(ref("1"))),
            "line 3 needs $2.links, which is not in what shop returns; "
            "write another call that gives it",
        ),
        (
            call("count_words", id="3", path=Template(("a", ref("2", "name")))),
            call("total", id="2", values=[1]),
            "line 3 needs $2.name, which is not in what total returns; "
            "write another call that gives it",
        ),
        (
            Task(TaskId("3"), "wait", {"seconds": 1}, when=Guard(ref("1"), ref("2", "price"))),
            call("wait", id="2", seconds=1),
            "line 3 needs $2.price, which is not in what wait returns; "
            "write another call that gives it",
        ),
        (call("anything", id="3", value=ref("2")), call("wait", id="2", seconds=1), None),
        (call("wait", id="3", seconds=ref("1")), call("wait", id="2", seconds=1), None),
    ],
)
def test_a_replacement_gives_what_the_lines_after_it_need(
    dependent: Task, replacement: Task, problem: str | None
) -> None:
    scope = reopened(dependent)
    if replacement.args.get("name") == Each(ref("1")):
        scope.accept(Task(TaskId("1"), "anything", {"value": 1}))
    if problem is None:
        scope.accept(check(replacement, TOOLS, scope))
    else:
        error = refused(replacement, f"2. {replacement.tool}()", scope)
        assert error.problem == problem
        assert (error.line, error.column, error.task) == (4, 4, "2")


@pytest.mark.parametrize(
    ("value", "tool", "problem"),
    [
        (Each(ref("2")), "wait", "line 3 needs $2 to be a list, and wait returns a whole number"),
        (
            Each(ref("2")),
            "shops",
            "line 3 needs an element of $2 to be a text, and shops returns an object there",
        ),
        (
            ref("2", 0),
            "shops",
            "line 3 needs $2[0] to be a text, and shops returns an object there",
        ),
        (Each(ref("2", Star(), "name")), "shops", None),
    ],
)
def test_what_a_fan_out_needs_is_a_list(value: Argument, tool: str, problem: str | None) -> None:
    scope = scope_after(call("wait", id="1", seconds=1), call("anything", id="2", value=1))
    scope.accept(check(call("count_words", id="3", path=value), TOOLS, scope))
    scope.reopen(TaskId("2"))
    replacement = call(tool, 1 if tool == "wait" else "x", id="2")
    if problem is None:
        check(replacement, TOOLS, scope)
    else:
        assert refused(replacement, scope=scope).problem.startswith(problem)


def test_lines_that_are_themselves_written_again_are_not_looked_at() -> None:
    scope = reopened(call("wait", id="3", seconds=ref("2", "price")))
    scope.reopen(TaskId("3"))
    scope.accept(check(call("wait", id="2", seconds=1), TOOLS, scope))
    assert (
        "no 'price'"
        in refused(call("wait", id="3", seconds=ref("2", "price")), scope=scope).problem
    )
    check(call("wait", id="3", seconds=ref("2")), TOOLS, scope)


def test_names_that_would_wait_for_each_other_are_refused() -> None:
    scope = scope_after(
        call("shop", id="find", name="a"),
        call("wait", id="buy", seconds=ref("find", "price")),
        call("wait", id="pay", seconds=ref("buy")),
    )
    scope.reopen(TaskId("find"))
    error = refused(call("anything", id="find", value=ref("pay")), scope=scope)
    assert error.problem == "$pay waits for this line itself"
