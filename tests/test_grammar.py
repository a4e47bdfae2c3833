"""Does the grammar allow what the writer writes, refuse what is wrong, and bound what it allows?"""

from __future__ import annotations

import random
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from llmcompiler.grammar import plan_grammar
from llmcompiler.language import TurnReader, write_plan, write_task
from llmcompiler.plan import Argument, Each, Ref, Star, Task, TaskId, Template
from llmcompiler.roles import AnswerText, Ignored, Read, Sealed, Unreadable
from llmcompiler.toolbox import Tool, Toolbox

guidance = pytest.importorskip("llguidance")
TOKENIZER = guidance.LLTokenizer("byte")
END = TOKENIZER.eos_token


class Color(Enum):
    """Colours, one of which looks like a reference."""

    red = "red"
    price = "$1"


class Person(BaseModel):
    """A person, who may have children."""

    name: str
    age: int = 3
    children: list[Person] = []


def search(query: str, limit: int = 3, exact: bool | None = None) -> str:
    """Search."""
    return query


def now() -> str:
    """Tell the time."""
    return ""


def paint(
    color: Color,
    kind: Literal["a", 3],
    who: Person,
    extra: dict[str, float] = {},  # noqa: B006
    pair: tuple[int, str] = (1, "a"),
    anything: Any = None,
    names: list[str] = [],  # noqa: B006
) -> None:
    """Paint."""


TOOLBOX = Toolbox([search, now, paint])


def matcher(grammar: str) -> Any:
    made = guidance.LLMatcher(TOKENIZER, grammar, log_level=0)
    assert not made.is_error(), made.get_error()
    return made


def accepts(grammar: str, text: str) -> bool:
    made = matcher(grammar)
    tokens = TOKENIZER.tokenize_bytes(text.encode())
    taken: int = made.try_consume_tokens(tokens)
    return taken == len(tokens) and bool(made.is_accepting())


def plan(*calls: str) -> str:
    lines = [f"{number}. {call}" for number, call in enumerate(calls, 1)]
    return "\n".join([*lines, f"{len(calls) + 1}. join()"])


@pytest.mark.parametrize("allow", ["any", "join", "answer", "lines"])
def test_the_grammar_of_every_form_is_one_without_complaints(
    allow: Literal["any", "join", "answer", "lines"],
) -> None:
    for toolbox in (TOOLBOX, Toolbox()):
        for schema in (None, Person.model_json_schema()):
            grammar = plan_grammar(toolbox, allow, next_id=3, answer_schema=schema)
            failed, messages = guidance.LLMatcher.validate_grammar_with_warnings(grammar, TOKENIZER)
            assert not failed, messages
            assert not messages


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
def test_a_call_that_fits_its_tool_is_allowed(call: str) -> None:
    assert accepts(plan_grammar(TOOLBOX), plan(call))


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
        f'search(query="{"x" * 2001}")',
    ],
)
def test_a_call_that_does_not_fit_is_refused(call: str) -> None:
    assert not accepts(plan_grammar(TOOLBOX), plan(call))


def test_a_first_turn_is_a_plan_or_an_answer() -> None:
    grammar = plan_grammar(TOOLBOX, "any")
    assert accepts(grammar, "1. now()\n2. now()\n3. join($1, $2)")
    assert accepts(grammar, "Answer: Hello!\n\n* (how) are you?")
    for text in ("Answer: ", "Answer:x", "2. now()\n3. join()", "1. join()", "1. now()", "Hello!"):
        assert not accepts(grammar, text)
    assert not accepts(grammar, "Replan: so\n1. now()\n2. join()")


def test_a_turn_after_observations_is_an_answer_or_a_replan_that_goes_on_counting() -> None:
    grammar = plan_grammar(TOOLBOX, "join", next_id=7)
    assert accepts(grammar, "Answer: 3")
    assert accepts(grammar, "Replan: no such place (yet).\n7. now()\n8. join()")
    for text in ("7. now()\n8. join()", "Replan: so\n8. now()\n9. join()", "Replan: so"):
        assert not accepts(grammar, text)


def test_a_last_turn_is_an_answer() -> None:
    grammar = plan_grammar(TOOLBOX, "answer")
    assert accepts(grammar, "Answer: 3")
    assert not accepts(grammar, "1. now()\n2. join()")


def test_a_repair_turn_is_lines_with_their_own_numbers() -> None:
    grammar = plan_grammar(TOOLBOX, "lines")
    for text in ("3. now()", "3. now()\n1. now()", "3. now()\n4. join()", "9. join($3)"):
        assert accepts(grammar, text)
    for text in ("Answer: 3", "3. now()\n", "", "3. join()\n4. now()"):
        assert not accepts(grammar, text)


def test_an_answer_may_have_a_type() -> None:
    grammar = plan_grammar(TOOLBOX, "join", answer_schema=Person.model_json_schema())
    assert accepts(grammar, 'Answer: {"name": "x", "age": 3, "children": []}')
    assert accepts(grammar, "Replan: so\n1. now()\n2. join()")
    for text in ("Answer: x", 'Answer: {"age": 3}', 'Answer: {"name":"x"}', 'Answer: {"name": $1}'):
        assert not accepts(grammar, text)


def test_without_tools_there_is_only_an_answer() -> None:
    grammar = plan_grammar(Toolbox())
    assert accepts(grammar, "Answer: 3")
    assert not accepts(grammar, "1. join()")


def test_a_plan_is_bounded() -> None:
    grammar = plan_grammar(Toolbox([now]))
    assert accepts(grammar, plan(*["now()"] * 200))
    assert not accepts(grammar, plan(*["now()"] * 201))


def test_an_answer_of_a_type_is_json_with_one_blank_after_commas_and_colons() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array"}}}
    grammar = plan_grammar(Toolbox([now]), "answer", answer_schema=schema)
    assert accepts(grammar, 'Answer: {"a": [1, "x"]}')
    assert not accepts(grammar, 'Answer: {"a":[1]}')
    assert not accepts(grammar, 'Answer: {"a": 3}')


def test_a_schema_that_leads_nowhere_allows_anything() -> None:
    tool = made_tool("f", {"x": {"$ref": "#/$defs/Lost"}, "y": {"type": "strange"}}, ["x"])
    assert accepts(plan_grammar(Toolbox([tool])), plan('f(x=[1, {"a": "b"}], y=null)'))


# Whole toolboxes that nobody thought of, and plans for them


def made_tool(name: str, properties: dict[str, Any], required: list[str]) -> Tool[..., Any]:
    return Tool(
        fn=now,
        name=name,
        description="",
        parameters={"type": "object", "properties": properties, "required": required},
        returns=None,
    )


NAMES = st.from_regex(r"[a-z_]{1,4}", fullmatch=True).filter(lambda name: name != "join")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text(
    "${}1a.[]\"'\\ \n", max_size=8
)
STEPS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,3}", fullmatch=True) | st.integers(0, 99) | TEXTS
REFS = st.builds(
    Ref,
    st.integers(0, 300).map(lambda number: TaskId(str(number))),
    st.lists(STEPS | st.just(Star()), max_size=2).map(tuple),
)
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
    tools: dict[str, tuple[Tool[..., Any], st.SearchStrategy[dict[str, Any]]]] = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        schema, members = draw(members_of(typed()))
        tools[name] = made_tool(name, schema["properties"], schema["required"]), members
    tasks = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        name = draw(st.sampled_from(list(tools)))
        args: dict[str, Argument] = draw(tools[name][1])
        if args and draw(st.booleans()):
            args[draw(st.sampled_from(list(args)))] = Each(draw(REFS))
        tasks.append(Task(TaskId(str(number)), name, args))
    return Toolbox([tool for tool, _ in tools.values()]), tasks


@given(toolboxes_and_plans())
@settings(max_examples=150, deadline=None)
def test_every_canonical_plan_that_fits_its_tools_is_allowed(
    drawn: tuple[Toolbox, list[Task]],
) -> None:
    toolbox, tasks = drawn
    text = write_plan(tasks)
    assert accepts(plan_grammar(toolbox), text), text


@given(toolboxes_and_plans(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_a_plan_with_a_wrong_name_or_type_is_refused(
    drawn: tuple[Toolbox, list[Task]], rng: random.Random
) -> None:
    toolbox, tasks = drawn
    index = rng.randrange(len(tasks))
    task = tasks[index]
    written = write_task(task)
    wrong = [
        written.replace(f". {task.tool}(", f". {task.tool}x(", 1),
        written.replace(")", ", zzzzzz=1)", 1) if not task.args else written[:-1] + ", zzzzzz=1)",
        written[:-1],
    ]
    properties: dict[str, Any] = dict(toolbox[task.tool].parameters["properties"])
    for name in task.args:
        wrong.append(written.replace(f"{name}=", f"{name}x=", 1))
        if properties[name] in ({"type": "boolean"}, {"type": "null"}, {"type": "integer"}):
            others = dict(task.args) | {name: "text"}
            wrong.append(write_task(Task(task.id, task.tool, others)))
    for name in toolbox[task.tool].parameters["required"]:
        rest = {other: value for other, value in task.args.items() if other != name}
        wrong.append(write_task(Task(task.id, task.tool, rest)))
    lines = write_plan(tasks).split("\n")
    broken = "\n".join([*lines[:index], rng.choice(wrong), *lines[index + 1 :]])
    assume("\n".join(lines) != broken)
    assert not accepts(plan_grammar(toolbox), broken), broken


def walk(grammar: str, rng: random.Random, longest: int) -> bytes | None:
    """Write what the grammar allows, letter by letter at random, in a hurry to end."""
    made = matcher(grammar)
    tokens: list[int] = []
    while len(tokens) < longest and not made.is_stopped():
        mask = made.compute_bitmask()
        allowed = [n for n in range(256) if mask[n // 8] >> (n % 8) & 1]
        if made.is_accepting() and (not allowed or rng.random() < 0.2):
            return bytes(tokens)
        closing = [n for n in b')"]}\n$1' if n in allowed]
        token = rng.choice(closing if closing and rng.random() < 0.4 else allowed)
        assert made.consume_token(token)
        tokens.append(token)
    return bytes(tokens) if made.is_accepting() else None


@pytest.mark.parametrize("allow", ["any", "join", "lines"])
def test_whatever_the_grammar_allows_can_be_read(
    allow: Literal["any", "join", "lines"],
) -> None:
    grammar = plan_grammar(TOOLBOX, allow)
    written = [text for seed in range(60) if (text := walk(grammar, random.Random(seed), 2000))]
    assert len(written) > 20
    for raw in written:
        text = raw.decode()
        reader = TurnReader(allow=allow)
        items = reader.feed(text) + reader.close("stop")
        assert not [item for item in items if isinstance(item, Unreadable | Ignored)], text
        assert [item for item in items if isinstance(item, Read | AnswerText | Sealed)], text
        for item in items:
            if isinstance(item, Read):
                canonical = write_task(item.task)
                assert not set(item.task.args) - set(
                    TOOLBOX[item.task.tool].parameters["properties"]
                )
                assert item.task == reread(canonical, item.task.line)


def reread(line: str, number: int) -> Task:
    reader = TurnReader(first_line=number)
    (task,) = [item.task for item in reader.feed(line + "\n") if isinstance(item, Read)]
    return task
