"""Guards, fan-outs and the end of a repetition."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.frontier.bind import bind
from llmcompiler.plan import Each, Expression, Json, Outlook, Ref, Star, Task, TaskId, references
from llmcompiler.workflow.conditions import (
    PerElement,
    compile_each,
    compile_guard,
    compile_until,
    no_elements,
)
from llmcompiler.workflow.expressions import (
    ExpressionError,
    MistakesError,
    Scope,
    Secrets,
    compile_value,
)
from llmcompiler.workflow.names import Names
from tests.workflow.expressing import GEO, looking

NEWS = TaskId("news")


# -- guards ------------------------------------------------------------------------------------


def test_a_guard_that_asks_nothing_needs_the_success_of_what_it_waits_for() -> None:
    found = compile_guard("${{ steps.geo.output.severe }}", Scope(), [NEWS])
    assert isinstance(found, Expression)
    assert found.refs == (Ref(GEO, ("severe",)), Ref(NEWS))
    assert str(found) == "${{ steps.geo.output.severe }}"
    assert found.evaluate(looking({"geo": {"severe": 1}})) is True
    assert found.evaluate(looking({"geo": {"severe": 0}})) is False


def test_no_condition_at_all_only_waits() -> None:
    found = compile_guard(None, Scope(), [GEO, NEWS])
    assert (found.refs, found.evaluate(looking({}))) == ((Ref(GEO), Ref(NEWS)), True)


@pytest.mark.parametrize(
    ("text", "both_ok", "one_failed", "one_skipped"),
    [
        ("always()", True, True, True),
        ("failure()", False, True, False),
        ("success()", True, False, False),
        ("${{ not success() }}", False, True, True),
        ("failure() and steps.news.output == none", False, True, False),
        ("${{ failure() or inputs.x > 3 }}", False, True, False),
    ],
)
def test_a_guard_may_ask_what_became_of_the_steps_before(
    text: str, both_ok: bool, one_failed: bool, one_skipped: bool
) -> None:
    found = compile_guard(text, Scope(inputs={"x": 1}), [GEO, NEWS])
    assert {type(ref) for ref in found.refs} == {Outlook}
    assert {ref.task for ref in found.refs} == {GEO, NEWS}
    for expected, last in ((both_ok, "ok"), (one_failed, "failed"), (one_skipped, "skipped")):
        results = {"geo": 1, "news": 2} if last == "ok" else {"geo": 1}
        assert found.evaluate(looking(results, {"geo": "ok", "news": last})) is expected


@pytest.mark.parametrize("text", [True, False])
def test_a_guard_may_be_true_or_false_as_it_stands(text: bool) -> None:
    found = compile_guard(text, Scope())
    assert (found.evaluate(looking({})), str(found)) == (text, str(text).lower())


@pytest.mark.parametrize("text", ["inputs.x > 1", "${{ inputs.x > 1 }}", " ${{ inputs.x > 1 }}\n"])
def test_a_condition_may_do_without_the_marks(text: str) -> None:
    assert compile_guard(text, Scope(inputs={"x": 2})).evaluate(looking({})) is True


@pytest.mark.parametrize(
    ("value", "offset", "message"),
    [
        (
            "faliure()",
            0,
            "only always(), failure(), success() can be called; did you mean 'failure'?",
        ),
        ("failure", 0, "write failure()"),
        ("failure(1)", 0, "failure() takes nothing"),
        ("steps.goe.output", 6, "there is no step 'goe'; did you mean 'geo'?"),
        (
            "${{ steps.geo.output }} == 1",
            0,
            "a condition is one expression: write all of it inside one ${{ }}",
        ),
        (3, 0, "a condition is true, false or an expression, not a number"),
        ("inputs.x.y", 0, "inputs.x is a number and has no 'y'"),
        ("item == 1", 0, "'item' is known only in the 'with' of a step that has 'for_each'"),
    ],
)
def test_a_mistake_in_a_condition_is_said_with_its_place(
    value: Any, offset: int, message: str
) -> None:
    scope = Scope(Names(steps=["geo"], inputs=["x"]), {"x": 1})
    with pytest.raises(MistakesError) as caught:
        compile_guard(value, scope, path=("if",))
    assert [(one.path, one.offset, one.message) for one in caught.value.mistakes] == [
        (("if",), offset, message)
    ]


# -- repeat ------------------------------------------------------------------------------------


def test_a_repetition_ends_when_its_output_says_so() -> None:
    found = compile_until("output.done and output.n > steps.geo.output", Scope())
    assert found.refs == (Ref(GEO),)
    assert found.met({"done": True, "n": 3}, looking({"geo": 2})) is True
    assert found.met({"done": True, "n": 1}, looking({"geo": 2})) is False
    with pytest.raises(ExpressionError, match="output has no 'done'"):
        found.met({}, looking({"geo": 2}))


# -- fan-outs ----------------------------------------------------------------------------------


def elements(made: Any, results: dict[str, Any] | None = None) -> Any:
    """Return what an argument that is `Each` gives the calls, one after the other."""
    assert isinstance(made, Each)
    each: Any = made.ref
    lookup = looking(results or {})
    return lookup(each) if isinstance(each, Ref) else each.evaluate(lookup)


CITIES = Scope(inputs={"cities": ["Oslo", "Lima"]})


def test_an_argument_with_item_is_one_for_every_element() -> None:
    over = compile_value("${{ inputs.cities }}", CITIES)
    with_ = {
        "place": "${{ item }}",
        "text": "in ${{ item }}",
        "n": 3,
        "all": "${{ steps.geo.output }}",
    }
    made = compile_each(with_, CITIES, over)
    assert elements(made["place"]) == ["Oslo", "Lima"]
    assert elements(made["text"]) == ["in Oslo", "in Lima"]
    assert (made["n"], made["all"]) == (3, Ref(GEO))


def test_item_may_be_anywhere_in_an_argument() -> None:
    value = {
        "at": ["${{ item.lat }}", "${{ steps.news.output }}"],
        "id": "x-${{ item.id }}",
        "k": [1],
    }
    made = compile_each({"place": value}, Scope(), Ref(GEO))
    assert set(references(made["place"])) == {Ref(GEO), Ref(NEWS)}
    results = {"geo": [{"lat": 1, "id": "a"}, {"lat": 2, "id": "b"}], "news": ["n"]}
    assert elements(made["place"], results) == [
        {"at": [1, ["n"]], "id": "x-a", "k": [1]},
        {"at": [2, ["n"]], "id": "x-b", "k": [1]},
    ]


def test_an_object_is_gone_over_by_key_and_value() -> None:
    over = {"a": 1, "b": [2]}
    made = compile_each({"x": "${{ item.key }}=${{ item.value }}"}, Scope(), over)
    assert elements(made["x"]) == ["a=1", "b=[2]"]


def test_over_what_is_surely_a_list_item_stays_a_reference() -> None:
    with_ = {"a": "${{ item }}", "b": "${{ item.place['x y'] }}", "c": "${{ item ~ '' }}"}
    made = compile_each(with_, Scope(), Ref(GEO, ("all",)), listed=True)
    assert made["a"] == Each(Ref(GEO, ("all",)))
    assert made["b"] == Each(Ref(GEO, ("all", Star(), "place", "x y")))
    assert isinstance(made["c"], Each)
    assert isinstance(made["c"].ref, PerElement)


def test_without_item_the_step_still_runs_once_for_each() -> None:
    made = compile_each({"a": 1, "b": "${{ steps.news.output }}"}, Scope(), ["x", "y"])
    assert elements(made["a"]) == [1, 1]
    assert made["b"] == Ref(NEWS)


def test_a_fan_out_is_an_expression_of_plans() -> None:
    scope = Scope(secrets=Secrets({"KEY": "hush"}))
    made = compile_each(
        {"a": "${{ item }} ${{ secrets.KEY }} ${{ steps.news.output }}"}, scope, Ref(GEO)
    )
    each: Any = made["a"]
    found = each.ref
    assert isinstance(found, PerElement)
    assert isinstance(found, Expression)
    assert found.refs == (Ref(GEO), Ref(NEWS))
    assert (str(found), found.uses_secrets) == (
        "${{ item }} ${{ secrets.KEY }} ${{ steps.news.output }}",
        {"KEY"},
    )
    assert "hush" not in repr(found)
    again = compile_each({"a": found.source}, scope, Ref(GEO))["a"]
    assert isinstance(again, Each)
    assert (found, hash(found)) == (again.ref, hash(again.ref))


def test_a_task_is_bound_to_one_call_for_every_element() -> None:
    with_ = {"text": "${{ item.key }}: ${{ item.value }}", "all": "${{ steps.news.output }}"}
    task = Task(TaskId("3"), "say", compile_each(with_, Scope(), Ref(GEO)))
    assert task.musts == {GEO, NEWS}
    start = bind(task, looking({"geo": {"a": 1, "b": 2}, "news": "n"}))
    assert start.elements == ({"text": "a: 1", "all": "n"}, {"text": "b: 2", "all": "n"})


def test_what_is_no_list_cannot_be_gone_over() -> None:
    assert no_elements("text") == "'for_each' goes over a list or an object, not a text"
    assert (no_elements([]), no_elements({}), no_elements(Ref(GEO))) == (None, None, None)
    made = compile_each({"a": "${{ item }}"}, Scope(), Ref(GEO, ("x",)))
    with pytest.raises(ExpressionError) as caught:
        elements(made["a"], {"geo": {"x": 3}})
    expected = "${{ steps.geo.output.x }}: 'for_each' goes over a list or an object, not a number"
    assert str(caught.value) == expected


def test_an_element_that_lacks_something_is_named_by_the_expression() -> None:
    made = compile_each({"a": "${{ item.lat ~ '' }}"}, Scope(), Ref(GEO))
    with pytest.raises(ExpressionError) as caught:
        elements(made["a"], {"geo": [{"lat": 1}, {"lng": 1}]})
    assert str(caught.value) == "${{ item.lat ~ '' }}: item has no 'lat'; it has 'lng'"


def test_all_mistakes_of_a_fan_out_are_said_at_once() -> None:
    with pytest.raises(MistakesError) as caught:
        compile_each({"a": "${{ itme }}", "b": "${{ item | nope }}"}, Scope(), [1], ("with",))
    assert [(one.path, one.offset) for one in caught.value.mistakes] == [
        (("with", "a"), 4),
        (("with", "b"), 11),
    ]
    with pytest.raises(MistakesError, match="needs an argument in 'with'"):
        compile_each({}, Scope(), [1])


JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(JSON, max_size=5), JSON)
def test_each_element_comes_as_it_is_and_in_order(items: list[Json], other: Json) -> None:
    value = {"one": "${{ item }}", "two": ["${{ steps.news.output }}", "${{ [item] }}"]}
    made = compile_each({"a": value, "b": "${{ item }}"}, Scope(), Ref(GEO))
    results = {"geo": items, "news": other}
    assert elements(made["a"], results) == [{"one": item, "two": [other, [item]]} for item in items]
    assert elements(made["b"], results) == items
