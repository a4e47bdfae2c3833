"""What cannot fit is refused before it runs; what might fit is checked when the value is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler import Tool, Toolbox
from llmcompiler.check import Scope, bound, check
from llmcompiler.errors import PlanError, ToolArgumentError
from llmcompiler.plan import Argument, Each, Json, Ref, Task, TaskId
from llmcompiler.types import Type, problem
from tests.types.raw import JSON, SCHEMAS, holds_empty

GIVER, TAKER = TaskId("1"), TaskId("2")


def _give() -> None:
    """Stands for a function that nobody calls here."""


def giver(returns: Any) -> Tool[..., Any]:
    return Tool(_give, "give", "", {"type": "object", "properties": {}}, returns)


def taker(parameter: Any) -> Tool[..., Any]:
    # A definition belongs to the whole schema, as in the schemas of real tools.
    own = {word: said for word, said in parameter.items() if word != "$defs"}
    whole = {"type": "object", "properties": {"value": own}, "$defs": parameter["$defs"]}
    return Tool(_give, "take", "", whole, None)


def refused(given_by: Any, taken_by: Any, argument: Argument) -> PlanError | None:
    """What `check` says to a line that hands on what another returns, if anything."""
    toolbox = Toolbox([giver(given_by), taker(taken_by)])
    scope = Scope()
    scope.accept(check(Task(GIVER, "give"), toolbox, scope))
    try:
        check(Task(TAKER, "take", {"value": argument}), toolbox, scope)
    except PlanError as error:
        return error
    return None


def runs_with(taken_by: Any, argument: Argument, value: Json) -> bool:
    """Whether the call is made with a value that a reference brought; looks at what is said if not."""
    expected = Type.of(taken_by)
    args = {"value": value}
    task, tool = Task(TAKER, "take", {"value": argument}), taker(taken_by)
    if problem(value, expected) is not None:
        with pytest.raises(ToolArgumentError, match=r"^take: value.*\$1"):
            bound(task, args, tool)
        return False
    found = bound(task, args, tool)
    assert problem(found.args["value"], expected) is None
    assert found.args == args
    assert (found.args is args) == (not found.conversions)
    return True


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(JSON, max_size=20))
def test_a_refused_reference_never_fits_and_one_that_does_not_fit_is_never_called(
    source: Any, target: Any, values: list[Any]
) -> None:
    error = refused(source, target, Ref(GIVER))
    for value in values:
        if problem(value, Type.of(source)) is None:
            fits = runs_with(target, Ref(GIVER), value)
            assert not (fits and error is not None and not holds_empty(value)), error


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(JSON, max_size=20))
def test_the_same_holds_for_every_element_of_a_fan_out(
    element: Any, target: Any, values: list[Any]
) -> None:
    own = {word: said for word, said in element.items() if word != "$defs"}
    source = {"type": "array", "items": own, "$defs": element["$defs"]}
    error = refused(source, target, Each(Ref(GIVER)))
    for value in values:
        if problem(value, Type.of(element)) is None:
            fits = runs_with(target, Each(Ref(GIVER)), value)
            assert not (fits and error is not None and not holds_empty(value)), error


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, SCHEMAS, JSON, st.sampled_from(["a", "b"]))
def test_the_same_holds_for_what_stands_inside_a_result(
    source: Any, target: Any, value: Any, name: str
) -> None:
    error = refused(source, target, Ref(GIVER, (name,)))
    whole = {name: value}
    if problem(whole, Type.of(source)) is None:
        fits = runs_with(target, Ref(GIVER, (name,)), value)
        assert not (fits and error is not None and not holds_empty(value)), error
