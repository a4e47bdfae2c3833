"""Which expressions stand in a value, what they read, and every mistake with its place."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.plan import Outlook, Ref, TaskId
from llmcompiler.workflow.names import Names, Read
from llmcompiler.workflow.written import Formula, Mixed, escaped, written

NAMES = Names(
    steps=["geo", "news", "my-step"],
    inputs=["cities", "x", "i", "two-words"],
    env=["HOME"],
    secrets=["KEY"],
)


def mistakes(value: Any, names: Names = NAMES) -> list[tuple[int, str]]:
    """Return where in the text each mistake is, and what is said of it."""
    return [(one.offset, one.message) for one in written(value, names).mistakes]


@pytest.mark.parametrize(
    "text", ["", "plain", "{% if x %}", "{# note #}", "{{ x }}", "}}", "$ {{ x }}", "${x}", "$1"]
)
def test_text_without_an_expression_is_itself(text: str) -> None:
    found = written(text, NAMES)
    assert (found.value, found.formulas, found.mistakes) == (text, (), ())


def test_two_dollar_signs_write_the_mark_itself() -> None:
    assert written("a $${{ b }} c", NAMES).value == "a ${{ b }} c"
    found = written("$${{ ${{ inputs.x }} }}", NAMES).value
    assert isinstance(found, Mixed)
    assert [part if isinstance(part, str) else part.text for part in found.parts] == [
        "${{ ",
        "${{ inputs.x }}",
        " }}",
    ]


@given(st.text(alphabet="a$ {}%#'\"\n", max_size=30))
def test_escaped_text_is_read_as_it_was(text: str) -> None:
    found = written(escaped(text), NAMES)
    assert (found.value, found.mistakes) == (text, ())


def test_an_expression_ends_at_its_own_brackets_only() -> None:
    text = """${{ {'a': {'b': "}}"}} }} and '}}'"""
    found = written(text, NAMES).value
    assert isinstance(found, Mixed)
    assert [part if isinstance(part, str) else part.text for part in found.parts] == [
        """${{ {'a': {'b': "}}"}} }}""",
        " and '}}'",
    ]


def test_expressions_are_found_at_any_depth_with_their_places() -> None:
    value = {"a": ["no", "so ${{ inputs.x }}"], "b": {"c": "${{ steps.geo.output.lat }}"}, "d": 1}
    found = written(value, NAMES, ("with",))
    assert [(one.path, one.offset, one.reads) for one in found.formulas] == [
        (("with", "a", 1), 3, (Read("inputs", ("x",)),)),
        (("with", "b", "c"), 0, (Read("steps", ("geo", "output", "lat")),)),
    ]
    assert [read.offset for one in found.formulas for read in one.reads] == [7, 4]


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a ${{ inputs.x", 2, "the '${{' has no '}}' after it"),
        ("${{ }}", 3, "there is nothing between '${{' and '}}'"),
        ("${{ 'x }}", 4, "the text that begins with ' has no end"),
        ("${{ 1 + }}", 6, "cannot be read: it ends too early"),
        ("${{ (1 }}", 5, "cannot be read: it ends too early, expected ')'"),
        ("${{ 1) }}", 5, "cannot be read: unexpected ')'"),
        ("${{ inputs.x $ }}", 13, "cannot be read: unexpected char '$'"),
        ("${{ 1 2 }}", 6, "the expression has ended, and '2' comes after it"),
        ("${{ 'a' if inputs.x }}", 4, "an 'if' in an expression needs an 'else'"),
        ("${{ 1e999 }}", 4, "this number is too large"),
        ("${{ {1: 2} }}", 5, "a name in an object is a text in quotes"),
        ("${{ [inputs.x for x in y] }}", 14, "cannot be read: expected token ',', got 'for'"),
        (
            "${{ inptus.x }}",
            4,
            "unknown name 'inptus'; did you mean 'inputs'?",
        ),
        ("${{ zzz }}", 4, "unknown name 'zzz'; there are env, inputs, secrets, steps"),
        ("${{ geo.lat }}", 4, "unknown name 'geo'; write steps.geo.output"),
        ("${{ cities }}", 4, "unknown name 'cities'; write inputs.cities"),
        ("${{ steps.goe.output }}", 10, "there is no step 'goe'; did you mean 'geo'?"),
        ("${{ inputs.city }}", 11, "there is no input 'city'; did you mean 'cities'?"),
        ("${{ env.HOEM }}", 8, "'env' does not declare 'HOEM'; did you mean 'HOME'?"),
        ("${{ secrets.TOKEN }}", 12, "'secrets' does not declare 'TOKEN'"),
        ("${{ steps }}", 4, "write steps.NAME.output"),
        ("${{ steps[inputs.x].output }}", 10, "write steps.NAME.output"),
        ("${{ inputs }}", 4, "write inputs.NAME"),
        (
            "${{ steps.geo }}",
            10,
            "steps.geo is a step, not a value; write steps.geo.output, .status or .error",
        ),
        ("${{ steps.geo.outputs }}", 14, "a step has no 'outputs'; did you mean 'output'?"),
        (
            "${{ steps.geo.lat }}",
            14,
            "a step has no 'lat'; to read from its result, write steps.geo.output.lat",
        ),
        ("${{ steps.geo.status.x }}", 21, "steps.geo.status is a text, with nothing inside"),
        (
            "${{ steps.my-step.output }}",
            10,
            """'my-step' has a dash in its name; write steps["my-step"]""",
        ),
        (
            "${{ inputs.two-words }}",
            11,
            """'two-words' has a dash in its name; write inputs["two-words"]""",
        ),
        (
            "${{ item.x }}",
            4,
            "'item' is known only in the 'with' of a step that has 'for_each'",
        ),
        ("${{ output }}", 4, "'output' is known only in 'repeat.until'"),
        ("${{ failure() }}", 4, "failure() can be asked only in an 'if'"),
        ("${{ inputs.x | jion }}", 15, "there is no filter 'jion'; did you mean 'join'?"),
        ("${{ inputs.x is strnig }}", 13, "there is no test 'strnig'; did you mean 'string'?"),
        ("${{ inputs.x | map('uper') }}", 19, "there is no filter 'uper'; did you mean 'upper'?"),
        ("${{ inputs.x | map(inputs.i) }}", 15, "'map' takes the name of a filter, in quotes"),
        ("${{ inputs.x | replace }}", 15, "filter 'replace': missing a required argument: 'old'"),
        (
            "${{ inputs.x | map('replace', 'a') }}",
            15,
            "filter 'replace': missing a required argument: 'new'",
        ),
        (
            "${{ inputs.x | join(*inputs.i) }}",
            15,
            "filter 'join': '*' cannot be used in an expression",
        ),
        ("${{ inputs.x._id }}", 13, "what begins with '_' is a name in data: write [\"_id\"]"),
        ("${{ inputs.x.upper() }}", 13, "upper() cannot be called; write | upper"),
        ("${{ upper(inputs.x) }}", 4, "upper() cannot be called; 'upper' is a filter: … | upper"),
    ],
)
def test_a_mistake_is_said_with_its_place(text: str, offset: int, message: str) -> None:
    assert mistakes(text) == [(offset, message)]


def test_all_mistakes_of_a_value_are_found_at_once() -> None:
    value = {"a": "${{ inputs.y1 }} ${{ nope }}", "b": ["${{ x | nope2 }}", "${{"], "${{ x }}": 1}
    found = written(value, NAMES).mistakes
    assert [(one.path, one.offset) for one in found] == [
        (("${{ x }}",), 0),
        (("a",), 11),
        (("a",), 21),
        (("b", 0), 8),
        (("b", 1), 0),
    ]


@pytest.mark.parametrize(
    "deep",
    [
        "(" * 40 + "1" + ")" * 40,
        "-" * 5000 + "1",
        "not " * 2000 + "1",
        "+".join("1" * 500),
        "1" + "|abs" * 300,
    ],
)
def test_an_expression_that_is_too_deep_is_refused(deep: str) -> None:
    assert len(mistakes(f"${{{{ {deep} }}}}")) == 1


def test_an_expression_that_is_too_long_is_refused() -> None:
    text = "${{ '" + "x" * 20_000 + "' }}"
    assert mistakes(text) == [(0, "an expression has at most 10,000 characters")]


def test_what_reads_a_step_is_a_reference() -> None:
    assert Read("steps", ("geo", "output", "a b", 0)).ref() == Ref(TaskId("geo"), ("a b", 0))
    assert Read("steps", ("geo", "output", "x")).ref(soft=True) == Outlook(TaskId("geo"), ("x",))
    assert Read("steps", ("geo", "status")).ref() == Outlook(TaskId("geo"), (), "status")
    assert Read("steps", ("geo", "error")).ref() == Outlook(TaskId("geo"), (), "error")


# -- the references are exactly those that were written ----------------------------------------

KEYS = st.sampled_from(["lat", "a b", "x-y", "ünï", 'q"q', "_id", "0"]) | st.integers(-3, 9)


@st.composite
def reads(draw: st.DrawFn) -> tuple[str, list[Read]]:
    """Write something that reads, in one of the ways there are."""
    root = draw(st.sampled_from(["steps", "inputs", "env"]))
    if root == "steps":
        name = draw(st.sampled_from(["geo", "news", "my-step"]))
        base: tuple[str | int, ...] = (name, draw(st.sampled_from(["output", "status", "error"])))
    else:
        base = (draw(st.sampled_from({"inputs": ["x", "two-words"], "env": ["HOME"]}[root])),)
    path = base
    if root != "env" and base[-1] not in ("status", "error"):
        path += tuple(draw(st.lists(KEYS, max_size=3)))
    text = root
    for step in path:
        plain = isinstance(step, str) and step.isidentifier() and not step.startswith("_")
        if plain and draw(st.booleans()):
            text += f".{step}"
        elif isinstance(step, str):
            text += "['" + step + "']" if "'" not in step else f'["{step}"]'
        else:
            text += f"[{step}]"
    return text, [Read(root, path)]


def _joined(template: str) -> Any:
    def join(parts: list[tuple[str, list[Read]]]) -> tuple[str, list[Read]]:
        texts = [text for text, _ in parts]
        return template.format(*texts), [read for _, found in parts for read in found]

    return join


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    two = st.lists(inner, min_size=2, max_size=2)
    templates = ["{0} + {1}", "[{0}, {1}]", "({0}) == ({1})", "{0} ~ {1}", "{0} and not {1}"]
    templates += ["({0}) | default({1})", "{{'k': {0}, 'l': {1}}}", "({0}) if ({1}) else 3"]
    templates += [
        "({0}) | join(', ') ~ {1}",
        "[{0}][{1} ~ 'k']",
        "[{0}][1:{1}]",
        "({0}) is in ({1})",
    ]
    return st.sampled_from(templates).flatmap(lambda template: two.map(_joined(template)))


WRITTEN = st.recursive(reads() | st.just(("'steps.x.output'", [])), _larger, max_leaves=6)


@given(WRITTEN)
def test_the_references_found_are_those_written(built: tuple[str, list[Read]]) -> None:
    text, expected = built
    found = written(f"${{{{ {text} }}}}", NAMES)
    assert found.mistakes == ()
    assert isinstance(found.value, Formula)
    # `a if b else c` is written in another order than it is read.
    assert set(found.value.reads) == set(expected)
    assert len(found.value.reads) == len(set(expected))


def test_a_computed_subscript_reads_the_whole() -> None:
    (found,) = written("${{ steps.geo.output.days[inputs.i].rain[0] }}", NAMES).formulas
    assert [str(read) for read in found.reads] == ["steps.geo.output.days", "inputs.i"]


def test_a_thousand_expressions_are_read_quickly() -> None:
    texts = [
        f"${{{{ steps.geo.output.a{at} }}}}, ${{{{ inputs.x | join(', ') }}}}" for at in range(500)
    ]
    began = time.process_time()
    found = [written(text, NAMES) for text in texts]
    assert time.process_time() - began < 2, "0.06 s where it was written"
    assert sum(len(one.formulas) for one in found) == 1000
