"""Whole toolboxes that nobody thought of, and plans for them, as hypothesis strategies.

It does not know grammars.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from llmcompiler.plan import Argument, Each, Ref, Star, Task, TaskId, Template
from llmcompiler.toolbox import Tool, Toolbox
from tests.grammar.painting import made_tool

NAMES = st.from_regex(r"[a-z_]{1,4}", fullmatch=True).filter(lambda name: name != "join")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text(
    "${}1a.[]\"'\\ \n", max_size=8
)
STEPS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,3}", fullmatch=True) | st.integers(0, 99) | TEXTS


def refs(below: int) -> st.SearchStrategy[Ref]:
    """Draw references to steps with a number below `below`, with any path."""
    return st.builds(
        Ref,
        st.integers(1, below - 1).map(lambda number: TaskId(str(number))),
        st.lists(STEPS | st.just(Star()), max_size=2).map(tuple),
    )


# Plans begin at 10, so that there are steps to refer to.
FIRST = 10
REFS = refs(FIRST)
TEMPLATES = st.tuples(TEXTS, REFS, TEXTS).map(
    lambda parts: Template(tuple(part for part in parts if part != ""))
)
INTEGERS = st.integers(-(10**17), 10**17)
NUMBERS = INTEGERS | st.floats(-1e307, 1e307)
SIMPLE: list[tuple[dict[str, Any], st.SearchStrategy[Any]]] = [
    ({"type": "string"}, TEXTS | TEMPLATES),
    ({"type": "integer"}, INTEGERS),
    ({"type": "number"}, NUMBERS),
    ({"type": "boolean"}, st.booleans()),
    ({"type": "null"}, st.none()),
    ({"enum": ["a", 1, None, "$1"]}, st.sampled_from(["a", 1, None, "$1"])),
    ({"const": "c"}, st.just("c")),
    ({"type": ["string", "null"]}, TEXTS | st.none()),
    ({}, TEXTS | NUMBERS | st.lists(st.dictionaries(TEXTS, st.booleans(), max_size=2), max_size=2)),
]


@st.composite
def typed(draw: st.DrawFn, depth: int = 2) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    """Draw a JSON Schema and what makes values of it, references among them."""
    kind = draw(st.sampled_from(["simple", "array", "object", "map", "union", "pair"]))
    if depth == 0 or kind == "simple":
        schema, values = draw(st.sampled_from(SIMPLE))
        return schema, values | REFS
    inner, values = draw(typed(depth - 1))
    match kind:
        case "array":
            return {"type": "array", "items": inner}, st.lists(values, max_size=3) | REFS
        case "map":
            schema = {"type": "object", "additionalProperties": inner}
            return schema, st.dictionaries(TEXTS, values, max_size=3) | REFS
        case "union":
            other, others = draw(typed(depth - 1))
            return {"anyOf": [inner, other]}, values | others
        case "pair":
            schema = {"type": "array", "prefixItems": [inner, inner], "minItems": 2, "maxItems": 2}
            return schema, st.tuples(values, values).map(list) | REFS
        case _:
            schema, members = draw(members_of(st.just((inner, values))))
            return {"type": "object", **schema}, members | REFS


@st.composite
def members_of(
    draw: st.DrawFn, kinds: st.SearchStrategy[tuple[dict[str, Any], st.SearchStrategy[Any]]]
) -> tuple[dict[str, Any], st.SearchStrategy[dict[str, Any]]]:
    """Draw properties, some of them required, and what makes members of them in their order."""
    drawn = draw(st.dictionaries(NAMES, kinds, max_size=4))
    required = [name for name in drawn if draw(st.booleans())]
    schema = {"properties": {name: kind for name, (kind, _) in drawn.items()}, "required": required}
    made = st.fixed_dictionaries(
        {name: drawn[name][1] for name in required},
        optional={name: values for name, (_, values) in drawn.items() if name not in required},
    )
    return schema, made.map(lambda found: {name: found[name] for name in drawn if name in found})


@st.composite
def toolboxes_and_plans(draw: st.DrawFn) -> tuple[Toolbox, list[Task]]:
    """Draw tools and calls of them that fit; the steps before them gave what nobody knows."""
    tools: dict[str, tuple[Tool[..., Any], st.SearchStrategy[dict[str, Any]]]] = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        schema, members = draw(members_of(typed()))
        returns = draw(schemas())
        made = made_tool(name, schema["properties"], schema["required"], returns, DEFS)
        tools[name] = made, members
    tasks = []
    for number in range(FIRST, FIRST + draw(st.integers(1, 3))):
        name = draw(st.sampled_from(list(tools)))
        args: dict[str, Argument] = draw(tools[name][1])
        if args and draw(st.booleans()):
            args[draw(st.sampled_from(list(args)))] = Each(draw(REFS))
        tasks.append(Task(TaskId(str(number)), name, args))
    return Toolbox([tool for tool, _ in tools.values()]), tasks


def schemas() -> st.SearchStrategy[dict[str, Any] | None]:
    """Draw what is known of a result: a JSON Schema, or nothing."""
    return typed().map(lambda drawn: drawn[0]) | st.none() | st.sampled_from(NODES)


# Types that hold themselves, with the definitions that they name.
DEFS: dict[str, Any] = {
    "Node": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "below": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        },
        "required": ["name"],
    }
}
NODES: list[dict[str, Any] | None] = [
    {"$ref": "#/$defs/Node"},
    {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "array", "items": {"type": "string"}}]},
]
