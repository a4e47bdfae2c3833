"""What a task may refer to, and whether what it would get may fit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmcompiler.check import check
from llmcompiler.plan import Argument, Each, Json, Ref, Star, Task, TaskId, Template
from tests.checking import TOOLS, call, ref, refused, standard


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (ref("9"), "$9 is this line itself: refer to an earlier one"),
        (ref("12"), "$12 is not an earlier line: a step can only use results of earlier ones"),
        (ref("7"), "there is no earlier step $7"),
        (ref("0"), "there is no earlier step $0"),
        (ref("1", "pirce"), "$1 has no 'pirce'; did you mean 'price'?"),
        (ref("1", "name", "first"), "$1.name is a text and has no 'first'"),
        (ref("1", 0), "$1 is an object, not a list"),
        (ref("2", "value"), "$2 is a whole number and has no 'value'"),
        (ref("3", "name"), "$3 is a list and has no 'name'"),
        (ref("3", Star(), "naem"), "$3[*] has no 'naem'; did you mean 'name'?"),
        (ref("5", "x"), "$5 is a list and has no 'x'"),
        (ref("1", "name"), "wait: seconds must be a whole number, and $1.name is a text"),
        (ref("1"), "wait: seconds must be a whole number, and $1 is an object"),
        (ref("3"), "wait: seconds must be a whole number, and $3 is a list"),
        (ref("5"), "wait: seconds must be a whole number, and $5 is a list"),
        (
            Each(ref("1", "links")),
            "wait: seconds must be a whole number, and an element of $1.links is a text",
        ),
        (Each(ref("2")), "'each $2' needs a list, and $2 is a whole number"),
        (Each(ref("7")), "there is no earlier step $7"),
        (Template(("a", ref("7"))), "there is no earlier step $7"),
    ],
)
def test_a_wrong_reference_is_refused(value: Argument, problem: str) -> None:
    source = f"9. wait(then='', seconds={value if isinstance(value, Ref | Each) else '${7}'})"
    error = refused(call("wait", seconds=value), source)
    assert error.problem == problem
    assert error.column in (source.index("$") + 1, source.index("seconds=") + 1)


def test_a_number_where_a_text_belongs_is_refused_with_the_way_to_write_it() -> None:
    error = refused(call("count_words", path=ref("1", "price")))
    assert error.problem == (
        'count_words: path must be a text, and $1.price is a number; as a text it is "${1.price}"'
    )


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ([1, ref("1", "name")], "values[1]"),
        ([1, Template(("a", ref("2")))], "values[1]"),
    ],
)
def test_references_inside_lists_are_checked_against_the_element(value: Argument, at: str) -> None:
    assert at in refused(call("total", values=value)).problem


@pytest.mark.parametrize(
    "value",
    [
        [[ref("7")]],
        {"a": {"b": ref("7")}},
        [Template(("a", ref("7")))],
        Template((ref("7"),)),
    ],
)
def test_references_are_found_where_nothing_is_said_of_the_type(value: Argument) -> None:
    assert refused(call("anything", value=value)).problem == "there is no earlier step $7"


def test_a_guard_is_checked_too() -> None:
    class Guard:
        def __init__(self, *refs: Ref) -> None:
            self.refs = refs

        def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
            return True

    fine = Task(TaskId("9"), "wait", {"seconds": 1}, when=Guard(ref("1", "price")))
    assert check(fine, TOOLS, standard()) is fine
    wrong = Task(TaskId("9"), "wait", {"seconds": 1}, when=Guard(ref("1", "pirce")))
    assert "pirce" in refused(wrong).problem


def test_an_expression_of_another_kind_is_taken_if_its_references_exist() -> None:
    class Sum:
        refs = (ref("2"),)

        def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
            return 1

    class Lost(Sum):
        refs = (ref("7"),)

    check(call("wait", seconds=Sum()), TOOLS, standard())
    assert "$7" in refused(call("wait", seconds=Lost())).problem


def test_a_quoted_whole_becomes_the_reference_where_no_text_may_stand() -> None:
    whole = Template((ref("2"),))
    assert check(call("wait", seconds=whole), TOOLS, standard()).args == {"seconds": ref("2")}
    nested = check(call("total", values=[1, whole]), TOOLS, standard())
    assert nested.args == {"values": [1, ref("2")]}
    deep = check(call("record", {"name": "a", "price": whole, "links": []}), TOOLS, standard())
    assert deep.args == {"entry": {"name": "a", "price": ref("2"), "links": []}}


def test_a_quoted_whole_stays_text_where_text_may_stand() -> None:
    whole = Template((ref("2"),))
    for name, parameter in (("count_words", "path"), ("either", "value"), ("anything", "value")):
        task = Task(TaskId("9"), name, {parameter: whole})
        assert check(task, TOOLS, standard()) is task


def test_a_quoted_whole_is_checked_as_the_reference_it_becomes() -> None:
    error = refused(call("wait", seconds=Template((ref("1", "name"),))))
    assert error.problem == "wait: seconds must be a whole number, and $1.name is a text"
