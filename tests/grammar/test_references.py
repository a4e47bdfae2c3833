"""Does the grammar let a reference stand exactly where `check` does?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.check import Scope, check
from llmcompiler.errors import PlanError
from llmcompiler.grammar import plan_grammar
from llmcompiler.language import parse_line, write_task
from llmcompiler.plan import Argument, Each, PathStep, Ref, Star, Task, TaskId, Template
from llmcompiler.toolbox import Toolbox
from tests.grammar.drawing import DEFS, NAMES, schemas, typed
from tests.grammar.matching import FORMS, Form, accepts
from tests.grammar.painting import made_tool, plan

TEXT = {"type": "string"}
SHOP = {
    "type": "object",
    "properties": {"name": TEXT, "price": {"type": "number"}, "a b": TEXT},
    "required": ["name"],
}


def shops(parameter: Any) -> Toolbox:
    return Toolbox(
        [
            made_tool("shop", {}, returns=SHOP),
            made_tool("shops", {}, returns={"type": "array", "items": SHOP}),
            made_tool("prices", {}, returns={"type": "object", "additionalProperties": {"type": "number"}}),
            made_tool("pair", {}, returns={"type": "array", "prefixItems": [TEXT, {"type": "number"}], "minItems": 2, "maxItems": 2}),
            made_tool("whatever", {}, returns={}),
            made_tool("silent", {}),
            made_tool("use", {"x": parameter}, returns=TEXT),
        ]
    )  # fmt: skip


GIVEN = ("shop()", "shops()", "prices()", "pair()", "whatever()", "silent()")


NUMBERS = {"type": "array", "items": {"type": "number"}}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (
            {"type": "number"},
            ["$1.price", "$2[3].price", "$3.any", '$3["a b"]', "$4[1]", "$5", "$5.x[0]", "$6"],
            ["$1", "$1.name", "$1.size", "$1.price.x", "$2", "$2[*].price", "$3", "$4[0]", "$4[2]"],
        ),
        (
            {"type": "number"},
            ["$6[*].y", "each $2[*].price", "each $4", "each $5[*].x", "each $6"],
            ["$5[*]", "$4", "each $1", "each $2", "each $2[*].name", "each $3.a"],
        ),
        (
            TEXT,
            ["$1.name", '$1["a b"]', "$2[0].name", "$4[0]", "each $2[*].name", "each $4"],
            ["$1", "$1.price", "$2[*].name", "$1.a", '$1["name"]', "$7"],
        ),
        (
            TEXT,
            ['"${1}"', '"a ${1.price} b"', '"${2[*][\\"a b\\"]}"', '"${5.x}${6[0]}"'],
            ['"${1.size}"', '"${4[2]}"', '"${1.name.x}"', '"${3.a.b}"', '"${7}"', '"${2[a]}"'],
        ),
        (
            NUMBERS,
            ["$2[*].price", "[$1.price, $4[1]]", "[]", "$6", "$4"],
            ["$2", "$2[*].name", "[$1]", "[$1.name]", "$3"],
        ),
        ({"type": "array", "items": TEXT}, ["$2[*].name", "[$1.name]"], ["$2[*].price", "[$2]"]),
        (
            SHOP,
            ["$1", "$2[0]", '{"name": $1.name}', '{"name": "${1}", "price": $4[1]}', "each $2"],
            ["$2", "$1.name", '{"name": $1.price}'],
        ),
        ({}, ["$1", "$2", '[$1, {"a": $2}]', "each $2"], ["$1.x", "$7", "each $1"]),
    ],
)
def test_a_reference_stands_where_its_type_fits(
    parameter: Any, good: list[str], bad: list[str], form: Form
) -> None:
    grammar = plan_grammar(shops(parameter))
    for values, fits in ((good, True), (bad, False)):
        for value in values:
            assert accepts(grammar, plan(*GIVEN, f"use(x={value})"), form) is fits, value


def test_the_types_of_earlier_steps_are_those_that_are_known() -> None:
    toolbox = shops({"type": "number"})
    known = {TaskId("1"): SHOP, TaskId("2"): {"type": "array", "items": SHOP}, TaskId("3"): None}
    grammar = plan_grammar(toolbox, next_id=4, known=known)
    for value in ("$1.price", "each $2[*].price", "$3.x"):
        assert accepts(grammar, plan(f"use(x={value})", first=4))
    for value in ("$1", "$2", "$1.x"):
        assert not accepts(grammar, plan(f"use(x={value})", first=4))


def test_paths_into_a_type_that_holds_itself_go_deep_but_not_for_ever() -> None:
    node = {"$ref": "#/$defs/Node"}
    toolbox = Toolbox(
        [
            made_tool("tree", {}, returns=node, defs=DEFS),
            made_tool("use", {"x": TEXT}),
        ]
    )
    grammar = plan_grammar(toolbox)
    assert accepts(grammar, plan("tree()", "use(x=$1.below[0].below[2].name)"))
    assert not accepts(grammar, plan("tree()", "use(x=$1.below[0].below[2].size)"))
    assert not accepts(grammar, plan("tree()", f"use(x=$1{'.below[0]' * 9}.name)"))


# The same rule as that of `check`, for types that nobody thought of


@st.composite
def situations(draw: st.DrawFn) -> tuple[Toolbox, list[str], Argument]:
    """Draw tools that give something, calls of them, and an argument that refers to them."""
    schema, _ = draw(typed())
    tools = [made_tool("list", {}, returns={"type": "array"}), made_tool("use", {"x": schema})]
    calls = ["list()"]
    for number in range(draw(st.integers(1, 2))):
        tools.append(made_tool(f"give{number}", {"of": {}}, [], draw(schemas()), DEFS))
        calls.append(f"give{number}({draw(st.sampled_from(['', 'of=1', 'of=each $1']))})")
    steps: st.SearchStrategy[PathStep] = (
        st.integers(0, 3) | st.just(Star()) | NAMES | st.sampled_from(["name", "below", "a b"])
    )
    ref = Ref(
        TaskId(str(draw(st.integers(1, len(calls))))),
        tuple(draw(st.lists(_steps_of(tools, steps), max_size=3))),
    )
    form = draw(st.sampled_from(["whole", "each", "text", "list", "object"]))
    argument: Argument = ref
    match form:
        case "each":
            argument = Each(ref)
        case "text":
            argument = Template(("a ", ref))
        case "list":
            argument = [ref]
        case "object":
            argument = {draw(NAMES): ref}
        case _:
            pass
    return Toolbox(tools), calls, argument


def _steps_of(tools: list[Any], steps: st.SearchStrategy[PathStep]) -> st.SearchStrategy[PathStep]:
    """Draw mostly names that occur in what the tools give."""
    names: set[str] = set()

    def gather(schema: Any) -> None:
        if isinstance(schema, dict):
            names.update(schema.get("properties", {}))
            for inner in schema.values():
                gather(inner)
        elif isinstance(schema, list):
            for inner in schema:
                gather(inner)

    for tool in tools:
        gather(tool.returns)
    return steps | st.sampled_from(sorted(names)) if names else steps


@given(situations(), st.sampled_from(FORMS))
@settings(max_examples=200, deadline=None)
def test_a_reference_is_allowed_where_check_allows_it(
    drawn: tuple[Toolbox, list[str], Argument], form: Form
) -> None:
    toolbox, calls, argument = drawn
    scope = Scope()
    for number, call in enumerate(calls, 1):
        scope.accept(check(parse_line(f"{number}. {call}"), toolbox, scope))
    task = Task(TaskId(str(len(calls) + 1)), "use", {"x": argument})
    try:
        check(task, toolbox, scope)
    except PlanError:
        legal = False
    else:
        legal = True
    lines = [f"{number}. {call}" for number, call in enumerate(calls, 1)]
    text = "\n".join([*lines, write_task(task), f"{len(calls) + 2}. join()"])
    allowed = accepts(plan_grammar(toolbox), text, form)
    # The grammar is narrower in two points that are not about references: no text is put together
    # where one of a few is asked for, and an object has no members beside those of its type.
    schema = json.dumps(toolbox["use"].parameters)
    texts = isinstance(argument, Template) and ("enum" in schema or "const" in schema)
    assert allowed == legal or (legal and (texts or isinstance(argument, dict))), text
