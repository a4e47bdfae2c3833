"""Is a task legal here? Its tool, its arguments, its id, and where the problem stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler import Toolbox, tool
from llmcompiler.check import check
from llmcompiler.errors import PlanError
from llmcompiler.plan import Argument, Each, Ref, Star, Task, TaskId, Template
from tests.checking import TOOLS, call, ref, refused, scope_after, standard


def test_a_legal_task_comes_back_as_it_was() -> None:
    task = call("wait", seconds=3, then="stop")
    assert check(task, TOOLS, standard()) is task


def test_positional_arguments_get_their_names_in_order() -> None:
    checked = check(call("wait", 3, "stop"), TOOLS, standard())
    assert checked.args == {"seconds": 3, "then": "stop"}
    assert checked.positional == ()
    mixed = check(call("wait", 3, then="stop"), TOOLS, standard())
    assert mixed.args == {"seconds": 3, "then": "stop"}
    assert (mixed.id, mixed.line) == ("9", 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wait", ref("2")),
        ("wait", ref("1", "price")),  # a number may be whole
        ("wait", ref("4")),
        ("wait", ref("4", "a", 0, Star())),
        ("wait", ref("5", 0)),
        ("total", ref("5")),
        ("total", ref("3", Star(), "price")),
        ("total", [1, ref("2"), ref("1", "price"), 2.5]),
        ("count_words", Each(ref("1", "links"))),
        ("count_words", Each(ref("3", Star(), "name"))),
        ("count_words", Each(ref("4"))),
        ("count_words", Template(("docs/", ref("2")))),
        ("record", ref("1")),
        ("record", Each(ref("3"))),
        ("record", {"name": ref("1", "name"), "price": ref("2"), "links": [ref("1", "links", 0)]}),
        ("anything", [{"a": ref("1")}, Template(("x", ref("2")))]),
        ("either", ref("1", "price")),
    ],
)
def test_a_reference_that_may_fit_is_taken(name: str, value: Argument) -> None:
    parameter = next(iter(TOOLS[name].parameters["properties"]))
    task = Task(TaskId("9"), name, {parameter: value})
    assert check(task, TOOLS, standard()) is task


def test_an_unknown_tool_is_refused_with_a_suggestion() -> None:
    error = refused(call("word_count", path="a"), '4. word_count(path="a")')
    assert error.problem == "there is no tool 'word_count'; did you mean 'count_words'?"
    assert (error.line, error.column, error.task) == (4, 4, "9")
    assert error.source == '4. word_count(path="a")'
    assert refused(call("xyz")).problem == "there is no tool 'xyz'"


@pytest.mark.parametrize(
    ("task", "problem", "source", "column"),
    [
        (
            call("wait", secnds=3),
            "wait has no argument 'secnds'; did you mean 'seconds'?",
            "4. wait(secnds=3)",
            9,
        ),
        (
            call("wait", seconds=3, x=1),
            "wait has no argument 'x'; it takes seconds, then",
            "4. wait(seconds=3, x=1)",
            20,
        ),
        (call("wait"), "wait needs the argument 'seconds'", "4. wait()", 8),
        (
            call("wait", 1, "a", 2),
            "wait takes 2 arguments (seconds, then), not 3",
            '4. wait(1, "a", 2)',
            8,
        ),
        (call("shop", 1, 2), "shop takes 1 argument (name), not 2", "4. shop(1, 2)", 8),
        (call("wait", 1, seconds=2), "wait is given 'seconds' twice", "4. wait(1, seconds=2)", 12),
        (
            call("wait", seconds="7"),
            'wait: seconds must be a whole number, not "7"',
            '4. wait(seconds="7")',
            9,
        ),
        (
            call("total", values=[1, "a"]),
            'total: values[1] must be a number, not "a"',
            '4. total(values=[1, "a"])',
            10,
        ),
        (
            call("paint", color="rde"),
            'paint: color must be one of "red", "green", not "rde"; did you mean \'red\'?',
            "4. paint(color='rde')",
            10,
        ),
        (
            call("wait", seconds=float("inf")),
            "wait: seconds must be a whole number, not inf",
            "4. wait(seconds=1e999)",
            9,
        ),
        (
            call("record", entry={"name": "a"}),
            "record: entry needs 'price'",
            "4. record(entry={})",
            11,
        ),
        (
            call("wait", seconds=Template(("a", ref("2")))),
            "wait: seconds must be a whole number, not a text with references in it",
            '4. wait(seconds="a${2}")',
            9,
        ),
        (
            call("total", values=[Each(ref("3"))]),
            "total: values[0] may be 'each $3' only as a whole argument, not inside another value",
            "4. total(values=[each $3])",
            10,
        ),
    ],
)
def test_a_wrong_call_is_refused_where_it_is_wrong(
    task: Task, problem: str, source: str, column: int
) -> None:
    error = refused(task, source)
    assert error.problem == problem
    assert (error.line, error.column) == (4, column)


def test_only_the_first_problem_of_a_line_is_told() -> None:
    assert "secnds" in refused(call("wait", secnds="a", thn=3)).problem


def test_an_id_is_used_once() -> None:
    error = refused(call("wait", id="2", seconds=1), "2. wait(seconds=1)")
    assert error.problem == "the id 2 is taken; write it as 6"
    assert error.task is None  # the id belongs to another line
    assert error.column == 1


def test_ids_increase() -> None:
    scope = scope_after(call("wait", id="1", seconds=1), call("wait", id="5", seconds=1))
    error = refused(call("wait", id="3", seconds=1), scope=scope)
    assert error.problem == "ids must increase: write 6, not 3"
    assert error.task is None


def test_a_rejected_line_may_be_written_again_and_referred_to_meanwhile() -> None:
    scope = scope_after(call("wait", id="1", seconds=1))
    scope.awaited.add(TaskId("2"))
    assert scope.next_id == 3
    scope.accept(check(call("wait", id="3", seconds=ref("2", "any", 0)), TOOLS, scope))
    replacement = check(call("shop", id="2", name="a"), TOOLS, scope)
    scope.accept(replacement)
    assert scope.awaited == set()
    assert scope.next_id == 4
    assert "pirce" in refused(call("wait", id="4", seconds=ref("2", "pirce")), scope=scope).problem


def test_a_replacement_cannot_refer_to_what_waits_for_it() -> None:
    scope = scope_after(call("wait", id="1", seconds=1))
    scope.awaited.add(TaskId("2"))
    scope.accept(check(call("wait", id="3", seconds=ref("2")), TOOLS, scope))
    error = refused(call("wait", id="2", seconds=ref("3")), scope=scope)
    assert error.problem.startswith("$3 is not an earlier line")


def test_named_steps_need_no_order() -> None:
    scope = scope_after(call("shop", id="find", name="a"))
    check(call("wait", id="buy", seconds=ref("find", "price")), TOOLS, scope)
    assert refused(call("wait", id="find", seconds=1), scope=scope).problem == (
        "the id find is taken; give it another"
    )
    assert refused(call("wait", id="buy", seconds=ref("fnd")), scope=scope).problem == (
        "there is no earlier step $fnd; did you mean 'find'?"
    )


def test_a_scope_learns_tools_anew_when_the_toolbox_changes() -> None:
    @tool(name="wait")
    def other(minutes: str) -> str:
        return minutes

    scope = standard()
    check(call("wait", minutes="3"), Toolbox([other]), scope)
    with pytest.raises(PlanError, match="no argument 'minutes'"):
        check(call("wait", minutes="3"), TOOLS, scope)


def test_the_column_is_in_the_line_where_the_problem_stands() -> None:
    source = '9. record(\n    entry=$1,\n    tags={"a": [$1.price, $12]},\n)'
    task = call("record", entry=ref("1"), tags={"a": [ref("1", "price"), ref("12")]})
    error = refused(task, source)
    assert "$12" in error.problem
    assert (error.line, error.column) == (6, 27)
    assert source.splitlines()[error.line - 4][error.column - 1 :].startswith("$12")


def test_without_the_line_as_written_the_column_is_its_first() -> None:
    error = refused(call("wait", secnds=3))
    assert (error.line, error.column, error.source) == (4, 1, "")
    unknown = refused(Task(TaskId("9"), "wait"))
    assert (unknown.line, unknown.column) == (0, 1)


# -- whatever is thrown at it ------------------------------------------------------------------

REFS = st.builds(
    Ref,
    st.sampled_from([TaskId(str(i)) for i in range(12)]),
    st.lists(st.sampled_from(["name", "price", "links", 0, -1, Star()]), max_size=3).map(tuple),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | REFS
    | REFS.map(Each)
    | st.lists(st.text(max_size=2) | REFS, max_size=3).map(lambda p: Template(tuple(p)))
)
ARGUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "price", "links", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from([*TOOLS, "shpo"]),
    st.lists(ARGUMENTS, max_size=2),
    st.dictionaries(
        st.sampled_from(["value", "values", "seconds", "then", "entry", "tags", "path", "name"]),
        ARGUMENTS,
        max_size=2,
    ),
    st.text(st.sampled_from("9.wait(seconds=$1)\n {}"), max_size=40),
)
def test_every_task_is_taken_with_names_or_refused_with_a_sentence(
    name: str, positional: list[Any], args: dict[str, Any], source: str
) -> None:
    task = call(name, *positional, **args)
    scope = standard()
    before = dict(scope.tasks)
    refusal: PlanError | None = None
    checked = task
    try:
        checked = check(task, TOOLS, scope, source)
    except PlanError as error:
        refusal = error
    if refusal is not None:
        assert refusal.problem
        assert "\n" not in refusal.problem
        assert refusal.line >= 4
        assert refusal.column >= 1
    else:
        assert checked.positional == ()
        assert set(checked.args) <= set(TOOLS[name].parameters["properties"])
        assert set(checked.needs) <= set(before)
    assert scope.tasks == before
