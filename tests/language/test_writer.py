"""Is a plan written in the one canonical way, and refused where it has no form?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.language import parse_plan, write_argument, write_plan, write_task
from llmcompiler.plan import Argument, Each, Json, Plan, Ref, Star, Task, TaskId, Template

ONE = Ref(TaskId("1"))


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("a", '"a"'),
        ('say "hi"\n', '"say \\"hi\\"\\n"'),
        ("größe 日本 \u2028", '"größe 日本 \u2028"'),
        ("$5 million", '"$5 million"'),
        ("$1", '"\\u00241"'),
        ("$1.a", '"\\u00241.a"'),
        ("$1.50", '"$1.50"'),
        ("${1}", '"\\u0024{1}"'),
        ("${x}", '"${x}"'),
        (True, "true"),
        (None, "null"),
        (3, "3"),
        (0.5, "0.5"),
        (1e16, "1e+16"),
        (["a", ONE], '["a", $1]'),
        ((1, 2), "[1, 2]"),
        ({"a": {"$1": 1}}, '{"a": {"\\u00241": 1}}'),
        (Ref(TaskId("3"), ("a", 0, Star(), "b c")), '$3.a[0][*]["b c"]'),
        (Each(Ref(TaskId("2"), ("links",))), "each $2.links"),
        (Template((ONE,)), '"${1}"'),
        (Template(("$", ONE, " {2}")), '"$${1} {2}"'),
        (Template(("$", "{1}", ONE)), '"\\u0024{1}${1}"'),
        (Template((Ref(TaskId("1"), ('a "b"',)),)), '"${1[\\"a \\\\\\"b\\\\\\"\\"]}"'),
        (Template(("only text",)), '"only text"'),
    ],
)
def test_an_argument_has_one_form(argument: Argument, written: str) -> None:
    assert write_argument(argument) == written


class Sum:
    """An expression that is no template."""

    refs = (ONE,)

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        return lookup(ONE)


@pytest.mark.parametrize(
    "argument",
    [
        float("nan"),
        float("-inf"),
        10**300,
        [Each(ONE)],
        Sum(),
        Ref(TaskId("step_one")),
        Ref(TaskId("01")),
        Ref(TaskId("1"), (-1,)),
    ],
)
def test_what_has_no_form_is_refused(argument: Argument) -> None:
    with pytest.raises(PlanError):
        write_argument(argument)


def test_what_is_nested_too_deep_is_refused() -> None:
    value: Argument = 1
    for _ in range(64):
        value = [value]
    assert write_argument(value).startswith("[" * 64)
    with pytest.raises(PlanError, match="64 levels"):
        write_argument([value])


@pytest.mark.parametrize(
    "task",
    [
        Task(TaskId("1"), "a b"),
        Task(TaskId("x"), "a"),
        Task(TaskId("1"), "a", {"b c": 1}),
        Task(TaskId("1"), "a", when=Template((ONE,))),
    ],
)
def test_a_step_that_has_no_form_is_refused(task: Task) -> None:
    with pytest.raises(PlanError):
        write_task(task)


def test_a_plan_is_closed_by_join() -> None:
    tasks = (Task(TaskId("3"), "f", {"a": 1}, (2,), line=1), Task(TaskId("4"), "g", line=2))
    assert write_plan(tasks) == "3. f(2, a=1)\n4. g()\n5. join()"
    assert write_plan(tasks, [TaskId("4")]) == "3. f(2, a=1)\n4. g()\n5. join($4)"
    plan = Plan(tasks, (TaskId("3"), TaskId("4")))
    assert write_plan(plan) == "3. f(2, a=1)\n4. g()\n5. join($3, $4)"
    assert parse_plan(write_plan(plan)) == plan
    assert write_plan(()) == "1. join()"
    assert write_plan((), first_id=5) == "5. join()"


@pytest.mark.parametrize("text", ["", "hello", "Answer: 3"])
def test_a_text_without_a_plan_is_no_plan(text: str) -> None:
    with pytest.raises(PlanError, match="there is no plan line"):
        parse_plan(text)


def test_the_first_error_of_a_plan_is_raised() -> None:
    with pytest.raises(PlanError) as raised:
        parse_plan("1. a(x=1)\n2. b(x=Oslo)\n3. c(x=Lima)\n4. join()")
    assert (raised.value.line, raised.value.column, raised.value.task) == (2, 8, "2")
