"""Does the grammar allow a call with values of its parameters' types, and refuse what is wrong?"""

from __future__ import annotations

import pytest

from llmcompiler.grammar import plan_grammar
from llmcompiler.toolbox import Toolbox
from tests.grammar.matching import FORMS, Form, accepts
from tests.grammar.painting import TOOLBOX, made_tool, plan


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "call",
    [
        'search(query="Oslo")',
        "search(query=$1)",
        'search(query=$1.links[0][*].name["a b"])',
        "search(query=each $1.links)",
        'search(query="a ${1} and ${2.x[0]}, $5, $, ${ and $${3}")',
        'search(query="${1[\\"a \\\\\\"b\\\\\\"\\"]}")',
        'search(query="\\u0024{1} \\"so\\" \\\\ \\n \\u001f é 日本")',
        'search(query="", limit=-12, exact=null)',
        "search(query=$1, exact=true)",
        "now()",
        'paint(color="red", kind=3, who={"name": "x", "children": [{"name": $1}, $2]})',
        'paint(color="\\u00241", kind="a", who=$1, extra={"a": 1.5, "b c": 1e+16, "d": -2e-07})',
        'paint(color=$1, kind=$2, who=$3, pair=[1, "a"], anything={"a": [1, {"b": null}]})',
        'paint(color=$1, kind=$2, who=$3, anything=["${1}", $2], names=[])',
        "paint(color=$1, kind=$2, who=$3, names=each $4)",
    ],
)
def test_a_call_that_fits_its_tool_is_allowed(call: str, form: Form) -> None:
    assert accepts(plan_grammar(TOOLBOX, next_id=10), plan(call, first=10), form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "call",
    [
        'find(query="Oslo")',
        'search(text="Oslo")',
        'search("Oslo")',
        "search()",
        "search(limit=3)",
        "search(query=3)",
        'search(query=["Oslo"])',
        'search(query="a", limit="3")',
        'search(query="a", limit=1.5)',
        'search(query="a", exact=True)',
        'search(limit=3, query="a")',
        'search(query="a", query="b")',
        'search(query="a",limit=3)',
        'search(query="a" )',
        'search(query="a\nb")',
        'search(query="${1")',
        'search(query="${1.a-b}")',
        'search(query="\\d")',
        "search(query=$x)",
        "search(query=each 3)",
        "search(query=[each $1])",
        "search(query=now())",
        'paint(color="blue", kind=3, who=$1)',
        "paint(color=$1, kind=4, who=$1)",
        'paint(color=$1, kind=3, who={"age": 3})',
        'paint(color=$1, kind=3, who={"name": "x", "size": 3})',
        "paint(color=$1, kind=3, who=$1, pair=[1])",
        'paint(color=$1, kind=3, who=$1, extra={"a": "b"})',
        'paint(color=$1, kind=3, who=$1, extra={"${1}": 1})',
        'paint(color=$1, kind=3, who=$1, extra={"$1": 1})',
    ],
)
def test_a_call_that_does_not_fit_is_refused(call: str, form: Form) -> None:
    assert not accepts(plan_grammar(TOOLBOX, next_id=10), plan(call, first=10), form)


@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_would_be_read_as_a_reference_is_one_or_is_none(form: Form) -> None:
    grammar = plan_grammar(TOOLBOX, next_id=2)
    for text in (
        "$1",
        "$1.name",
        "$5 million",
        "$5.00",
        "$5, no",
        "$$1",
        "$x",
        "$",
        "a $9",
        "$5\\n",
    ):
        assert accepts(grammar, plan(f'search(query="{text}")', first=2), form), text
    for text in ("$5", "$5.name", "$5[0]", "$05"):
        assert not accepts(grammar, plan(f'search(query="{text}")', first=2), form), text


@pytest.mark.parametrize("form", FORMS)
def test_a_schema_that_leads_nowhere_allows_anything(form: Form) -> None:
    tool = made_tool("f", {"x": {"$ref": "#/$defs/Lost"}, "y": {"type": "strange"}}, ["x"])
    assert accepts(plan_grammar(Toolbox([tool])), plan('f(x=[1, {"a": "b"}], y=null)'), form)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
            "[] [1] [1, 2]",
            "[1, 2, 3]",
        ),
        (
            {"type": "array", "items": {"type": "integer"}, "minItems": 2},
            "[1, 2] [1, 2, 3]",
            "[] [1]",
        ),
        ({"type": "array", "items": {"type": "null"}, "maxItems": 0}, "[]", "[null]"),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "null"}},
            "[] [1] [1, null] [1, null, null]",
            "[null] [1, 2]",
        ),
        (
            {
                "prefixItems": [{"type": "integer"}] * 2,
                "type": "array",
                "items": False,
                "minItems": 1,
            },
            "[1] [1, 2]",
            "[] [1, 2, 3]",
        ),
        ({"enum": ["a", 1, None, [1, 2]]}, '"a" 1 null [1, 2]', '"b" 2 [1]'),
        ({"enum": [{"title": "a"}]}, '{"title": "a"}', '{} {"title": "b"}'),
        ({"allOf": [{"type": "integer"}, {"minimum": 0}]}, "1", '1.5 "a"'),
        ({"type": ["integer", "null"]}, "1 null", '1.5 "a"'),
        ({"anyOf": [{"type": "number"}, {"type": "integer"}]}, "1 1.5", '"a"'),
        ({"type": "object", "properties": {}}, '{} {"a": 1}', "[]"),
        ({"type": "object", "additionalProperties": False}, "{}", '{"a": 1}'),
        (
            {"type": "object", "properties": {"title": {"type": "string", "title": "T"}}},
            '{} {"title": "a"}',
            '{"a": "a"} {"title": 1}',
        ),
    ],
)
def test_a_value_is_of_its_type(schema: dict[str, object], good: str, bad: str) -> None:
    for form in FORMS:
        grammar = plan_grammar(Toolbox([made_tool("f", {"x": schema})]))
        for value in _apart(good):
            assert accepts(grammar, plan(f"f(x={value})"), form), value
        for value in _apart(bad):
            assert not accepts(grammar, plan(f"f(x={value})"), form), value


def _apart(values: str) -> list[str]:
    """Cut values apart at the blanks that stand between them, not at those inside one."""
    parts, depth, begun = [], 0, 0
    for at, sign in enumerate(values):
        depth += (sign in "[{") - (sign in "]}")
        if sign == " " and not depth:
            parts.append(values[begun:at])
            begun = at + 1
    return [*parts, values[begun:]]


def test_parameters_that_differ_only_in_what_is_said_of_them_share_their_rules() -> None:
    def size(tools: int) -> int:
        made = [
            made_tool(
                f"f{n}", {"x": {"type": "array", "items": {"type": "string"}, "title": f"T{n}"}}
            )
            for n in range(tools)
        ]
        return len((plan_grammar(Toolbox(made), next_id=2).lark("") or "").splitlines())

    assert size(20) == size(1)
