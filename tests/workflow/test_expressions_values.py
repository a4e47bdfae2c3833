"""What a value with expressions in it becomes, and what it comes to."""

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.plan import (
    Argument,
    Expression,
    Json,
    Outlook,
    Ref,
    Star,
    TaskId,
    argument_to_json,
    references,
)
from llmcompiler.workflow.expressions import (
    Computed,
    ExpressionError,
    MistakesError,
    Scope,
    Secrets,
    compile_value,
    filled,
    ref_text,
    uses_secrets,
)
from llmcompiler.workflow.names import Names
from llmcompiler.workflow.operations import follow
from llmcompiler.workflow.written import written
from tests.workflow.expressing import GEO, known, later, looking, now

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_a_whole_value_keeps_its_type(value: Json) -> None:
    found = now("${{ inputs.x }}", x=value)
    assert found == value
    assert type(found) is type(value)
    assert later("${{ steps.geo.output }}", geo=value) == value


@given(JSON, JSON)
def test_expressions_with_literals_keep_types(one: Json, two: Json) -> None:
    found = now("${{ {'a': inputs.one, 'b': [inputs.two]} }}", one=one, two=two)
    assert found == {"a": one, "b": [two]}


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@given(st.lists(st.text(alphabet="ab {}'\"\n", max_size=5) | st.tuples(JSON), max_size=5))
def test_mixed_text_is_written_as_texts_are_in_plans(pieces: list[Any]) -> None:
    values = [piece[0] for piece in pieces if isinstance(piece, tuple)]
    count = iter(range(len(values)))
    text = "|" + "".join(
        piece if isinstance(piece, str) else f"${{{{ steps.geo.output[{next(count)}] }}}}"
        for piece in pieces
    )
    expected = "|" + "".join(
        _written(piece[0]) if isinstance(piece, tuple) else piece for piece in pieces
    )
    assert later(text, geo=values) == expected
    assert compile_value(text.replace("steps.geo.output", "inputs.x"), known(x=values)) == expected


def test_exactly_one_reference_becomes_it() -> None:
    assert compile_value("${{ steps.geo.output.days[0]['a b'] }}", Scope()) == Ref(
        GEO, ("days", 0, "a b")
    )


def test_nested_values_become_nested_arguments() -> None:
    value = {"a": ["${{ steps.geo.output }}", "${{ inputs.x }}", 3], "b": "at ${{ inputs.x }}"}
    assert compile_value(value, known(x=[1])) == {"a": [Ref(GEO), [1], 3], "b": "at [1]"}


def test_what_waits_for_a_step_is_an_expression_of_plans() -> None:
    text = "${{ steps.geo.output.days | length + inputs.more }}"
    found = compile_value(text, known(more=2))
    assert isinstance(found, Computed)
    assert isinstance(found, Expression)
    assert found.refs == (Ref(GEO, ("days",)),)
    assert (str(found), found.source) == (text, text)
    assert argument_to_json(found) == {"expression": text}
    assert list(references(found)) == [Ref(GEO, ("days",))]
    assert found.evaluate(looking({"geo": {"days": [1, 2, 3]}})) == 5


def test_what_was_checked_need_not_be_read_again() -> None:
    found = written(["${{ inputs.x }}", "$${{"], Names())
    assert compile_value(found, known(x=1)) == [1, "${{"]
    with pytest.raises(MistakesError, match="there is no filter 'nope'"):
        compile_value(written("${{ 1 | nope }}", Names()), known())


def test_equal_expressions_are_equal_and_hash_alike() -> None:
    text = "${{ steps.geo.output ~ inputs.x }}"
    one, same = compile_value(text, known(x=[1])), compile_value(text, known(x=[1]))
    assert one == same
    assert hash(one) == hash(same)
    assert one != compile_value(text, known(x=[2]))


def test_a_result_is_looked_up_by_what_the_expression_says_it_reads() -> None:
    asked: list[Ref] = []

    def lookup(ref: Ref) -> Json:
        asked.append(ref)
        return 1

    found = compile_value("${{ steps.geo.output.a + steps.geo.output.b[0] }}", Scope())
    assert filled(found, lookup) == 2
    assert tuple(asked) == tuple(references(found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "${{ steps.geo.output.lat + 1 }}",
            "${{ steps.geo.output.lat + 1 }}: steps.geo.output has no 'lat'; "
            "it has 'lng', 'place', 'days'",
        ),
        (
            "${{ steps.geo.output.plase ~ '' }}",
            "${{ steps.geo.output.plase ~ '' }}: steps.geo.output has no 'plase'; did you mean 'place'?",
        ),
        (
            "at ${{ steps.geo.output.place.x.y }}",
            "${{ steps.geo.output.place.x.y }}: steps.geo.output.place is a text and has no 'x'",
        ),
        (
            "${{ steps.geo.output.days[3] ~ '' }}",
            "${{ steps.geo.output.days[3] ~ '' }}: steps.geo.output.days has 2 elements and no [3]",
        ),
        (
            "${{ steps.geo.output.days[steps.geo.output.place] }}",
            "${{ steps.geo.output.days[steps.geo.output.place] }}: "
            "the value before it is a list and has no such name",
        ),
        (
            "${{ [steps.geo.output.nope] }}",
            "${{ [steps.geo.output.nope] }}: steps.geo.output has no 'nope'; "
            "it has 'lng', 'place', 'days'",
        ),
        (
            "${{ steps.geo.output.place + 1 }}",
            "${{ steps.geo.output.place + 1 }}: '+' cannot take a text and a number; '~' joins them as text",
        ),
        (
            "${{ steps.geo.output.place < 1 }}",
            "${{ steps.geo.output.place < 1 }}: '<' cannot compare a text with a number",
        ),
        (
            "${{ steps.geo.output.place | sum }}",
            "${{ steps.geo.output.place | sum }}: 'sum' needs a list, not a text",
        ),
        (
            "${{ inputs.y ~ steps.geo.output.place }}",
            "${{ inputs.y ~ steps.geo.output.place }}: inputs.y has no value",
        ),
    ],
)
def test_an_error_names_the_expression_and_what_was_wrong(text: str, expected: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        later(text, geo={"lng": 10.7, "place": "Oslo", "days": [1, 2]})
    assert str(caught.value) == expected


def test_what_is_known_and_wrong_is_a_mistake_with_its_place() -> None:
    with pytest.raises(MistakesError) as caught:
        compile_value({"a": "x ${{ inputs.x.lat }}", "b": "${{ 1 / 0 }}"}, known(x={"lng": 1}))
    assert [(one.path, one.offset, one.message) for one in caught.value.mistakes] == [
        (("a",), 2, "inputs.x has no 'lat'; it has 'lng'"),
        (("b",), 0, "'/' divides by zero"),
    ]


def test_a_part_that_is_not_computed_may_be_missing() -> None:
    text = "${{ steps.geo.output.lat if steps.geo.output.found else 'nowhere' }}"
    assert later(text, geo={"found": False}) == "nowhere"
    assert later("${{ steps.geo.output.lat | default(0) }}", geo={}) == 0
    assert later("${{ steps.geo.output.lat is defined }}", geo={}) is False


def test_a_step_that_is_read_softly_may_have_failed() -> None:
    scope = Scope(soft={"news"})
    news = TaskId("news")
    found = compile_value("${{ steps.news.output.title }}", scope)
    assert isinstance(found, Computed)
    assert found.refs == (Outlook(news, ("title",)),)
    assert filled(found, looking({})) is None
    assert filled(found, looking({"news": {"title": "Rain"}})) == "Rain"
    assert later("${{ steps.news.output | default('none') }}", scope) == "none"
    assert later("${{ steps.news.output.title ~ '!' }}", scope, news={"title": "a"}) == "a!"


def test_status_and_error_of_a_step_wait_for_it_only() -> None:
    found = compile_value("${{ steps.geo.status }}: ${{ steps.geo.error }}", Scope())
    assert list(references(found)) == [Outlook(GEO, (), "status"), Outlook(GEO, (), "error")]
    assert filled(found, looking({}, {"geo": "failed"})) == "failed: it broke"


# -- secrets -----------------------------------------------------------------------------------

KEY = Scope(secrets=Secrets({"KEY": "hush-hush"}))


@pytest.mark.parametrize(
    "text", ["${{ secrets.KEY }}", "Bearer ${{ secrets.KEY }}", "${{ secrets.KEY | upper }}"]
)
def test_a_secret_is_in_no_plan(text: str) -> None:
    found = compile_value({"a": [text]}, KEY)
    assert "hush" not in repr(found).lower() + json.dumps(argument_to_json(found)).lower()
    assert uses_secrets(found) == {"KEY"}
    assert "hush-hush" in str(filled(found, looking({}))).lower()


def test_a_secret_is_in_no_message() -> None:
    texts = [
        "secrets.KEY | int",
        "secrets.KEY + 1",
        "secrets.KEY.x",
        "secrets.KEY > 1",
        "[1][secrets.KEY]",
        "{'a': 1}[secrets.KEY]",
        "[{}, [], {}] | map(attribute=secrets.KEY)",
    ]
    for text in texts:
        with pytest.raises(ExpressionError) as caught:
            later(f"${{{{ {text} }}}}", KEY)
        assert "hush" not in str(caught.value)


def test_secrets_show_themselves_to_nobody() -> None:
    assert (repr(KEY.secrets), str(KEY.secrets), f"{KEY.secrets}") == ("***", "***", "***")
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="secrets are not written anywhere"):
            write(KEY.secrets)
    assert KEY.secrets.revealed() == {"hush-hush"}


def test_a_secret_without_a_value_is_missed_when_it_is_read() -> None:
    with pytest.raises(ExpressionError, match=r"secrets\.OTHER has no value"):
        later("${{ secrets.OTHER }}", Scope(names=Names(secrets=["OTHER"])))


# -- references as expressions -----------------------------------------------------------------

STEPS = st.sampled_from(
    ["lat", "__typename", "a b", "_id", 'q"q', "back\\slash", "ünï", "a.b", "7"]
) | st.integers(0, 3)


@given(st.lists(STEPS | st.just(Star()), max_size=4), st.sampled_from(["geo", "1", "my-step"]))
def test_a_reference_written_as_an_expression_reads_the_same(path: list[Any], name: str) -> None:
    ref = Ref(TaskId(name), tuple(path))
    value: Any = 42
    for step in reversed(path):
        if isinstance(step, int):
            value = [value] * (step + 1)
        else:
            value = [value, value] if isinstance(step, Star) else {step: value}
    found: Argument = compile_value(f"${{{{ {ref_text(ref)} }}}}", Scope())
    if not any(isinstance(step, Star) for step in path):
        assert found == ref
    assert filled(found, looking({name: value})) == follow(value, path, "it")
