"""Are the parsing defects of the original gone? Each test is named for one of them.

It does not know how a plan is run; what becomes of references is tested with the frontier.
"""

from __future__ import annotations

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.language import TurnReader, parse_line, parse_plan
from llmcompiler.plan import Ref, Star, Task, TaskId, Template
from llmcompiler.roles import AnswerText, Ignored, Read, Sealed, TurnItem, Unreadable


def read(*pieces: str) -> list[TurnItem]:
    reader = TurnReader()
    return [item for piece in pieces for item in reader.feed(piece)] + reader.close("stop")


def tasks(items: list[TurnItem]) -> list[Task]:
    return [item.task for item in items if isinstance(item, Read)]


def test_10_several_lines_in_one_piece_lose_no_task() -> None:
    text = '1. a(x="1")\n2. b(x="2")\n3. c(x="3")\n4. join()'
    assert [task.tool for task in tasks(read(text))] == ["a", "b", "c"]
    assert [task.tool for task in tasks(read(text[:15], text[15:]))] == ["a", "b", "c"]


def test_11_blanks_at_the_edge_of_a_piece_are_kept() -> None:
    (task,) = tasks(read('1. search("New York ', 'city")\n'))
    assert task.positional == ("New York city",)


@pytest.mark.parametrize(
    "line",
    [
        '1. search("Oslo"',
        '1) search("Oslo")',
        '1: search("Oslo")',
        '   1. search("Oslo")',
        '1.search( "Oslo" , )',
        '1. search(\n  "Oslo"\n)',
    ],
)
def test_12_a_line_in_another_style_is_read(line: str) -> None:
    plan = parse_plan(line + "\n2. other(x=$1)\n3. join()")
    assert [(task.id, task.tool) for task in plan] == [("1", "search"), ("2", "other")]
    assert plan["1"].positional == ("Oslo",)


@pytest.mark.parametrize("name", ["maps.search", "get-weather", "größe"])
def test_12_other_tool_names_are_read_and_left_to_the_check(name: str) -> None:
    assert parse_line(f"1. {name}(x=1)").tool == name


@pytest.mark.parametrize(
    ("line", "column"),
    [("1. search Oslo", 1), ('1. search("Oslo', 11), ("1. search(Oslo)", 11), ("search(1)", 1)],
)
def test_12_a_line_that_cannot_be_read_says_so(line: str, column: int) -> None:
    items = read(f"{line}\n2. b(x=1)\n3. join()")
    (error,) = [item.error for item in items if isinstance(item, Unreadable)]
    assert (error.line, error.column) == (1, column)
    assert [task.id for task in tasks(items)] == ["2"]
    assert any(isinstance(item, Sealed) for item in items)


def test_13_numbers_may_begin_anywhere_and_have_gaps() -> None:
    plan = parse_plan("4. a(x=$2)\n9. b(x=$4)\n12. join()")
    assert [task.id for task in plan] == ["4", "9"]
    assert plan["4"].needs == ("2",)


def test_14_a_reference_forward_is_a_dependency() -> None:
    assert parse_plan("3. a(x=$5)\n5. b(x=1)")["3"].needs == ("5",)


def test_14_both_lines_of_one_number_come_out() -> None:
    assert [task.tool for task in tasks(read("1. a(x=1)\n1. b(x=2)\n"))] == ["a", "b"]


def test_15_an_action_inside_a_thought_is_no_task() -> None:
    items = read("Thought: I could do 1. search(x=1) first\nor 2. search(x=2).\n3. a(x=1)\n")
    assert [task.id for task in tasks(items)] == ["3"]
    assert len([item for item in items if isinstance(item, Ignored)]) == 2


def test_16_one_list_stays_one_argument() -> None:
    assert parse_line('1. most(["a", "b"])').positional == (["a", "b"],)


def test_16_a_named_argument_is_named() -> None:
    assert parse_line('1. search(query="v")').args == {"query": "v"}


def test_16_values_without_quotes_stay_two_values() -> None:
    assert parse_line("1. add($1, 2)").positional == (Ref(TaskId("1")), 2)


def test_16_a_nested_call_is_refused_with_advice() -> None:
    with pytest.raises(PlanError, match="write the inner call as a step of its own") as raised:
        parse_line('2. add(search("a"), 1)')
    assert raised.value.column == 8
    assert raised.value.task == "2"


def test_17_a_comment_behind_a_call_is_not_its_argument() -> None:
    assert parse_line('1. search("x") # note (hi)').positional == ("x",)


def test_18_a_whole_reference_keeps_its_type() -> None:
    args = parse_line('3. f(a=$1, b=[$1, $2], c="${1} of ${2}")').args
    one, two = Ref(TaskId("1")), Ref(TaskId("2"))
    assert args == {"a": one, "b": [one, two], "c": Template((one, " of ", two))}


def test_19_a_reference_inside_a_mapping_is_one() -> None:
    task = parse_line('3. f(x={"a": {"b": $1.c}})')
    assert task.args == {"x": {"a": {"b": Ref(TaskId("1"), ("c",))}}}
    assert task.needs == ("1",)


def test_20_references_are_recognised_once_in_the_text_as_written() -> None:
    assert parse_line(r'2. f(x="\u0024{1}", y="\u00241")').args == {"x": "${1}", "y": "$1"}


def test_21_a_price_is_no_reference() -> None:
    task = parse_line('7. f(x="$5 million", y="from $1 to $12", z="$ ${ $")')
    assert task.args == {"x": "$5 million", "y": "from $1 to $12", "z": "$ ${ $"}
    assert task.needs == ()


def test_21_twelve_is_not_one_and_a_two() -> None:
    assert parse_line("13. f(x=$12)").needs == ("12",)


def test_22_a_reference_reaches_into_a_result() -> None:
    ref = parse_line("4. f(x=$1.links[0].at)").args["x"]
    assert ref == Ref(TaskId("1"), ("links", 0, "at"))
    assert parse_line("4. f(x=$1[*].name)").args["x"] == Ref(TaskId("1"), (Star(), "name"))


def test_23_an_answer_keeps_its_parentheses_and_all_its_lines() -> None:
    items = read("Answer: Arthur (magazine) Co\nReplan the trip?\n")
    text = "".join(item.text for item in items if isinstance(item, AnswerText))
    assert text == "Arthur (magazine) Co\nReplan the trip?"


def test_the_papers_own_dialect_is_read() -> None:
    text = (
        'Thought: I need both.\n1. search("Mount Everest")\n2. search("K2")\n'
        'Thought: now compare.\n3. math("${1} - ${2}")\n4. math("${3}", ["$1", "$2"])\n'
        "5. join()<END_OF_PLAN>"
    )
    items = read(text)
    one, two, three = (Ref(TaskId(number)) for number in "123")
    assert [task.positional for task in tasks(items)] == [
        ("Mount Everest",),
        ("K2",),
        (Template((one, " - ", two)),),
        (Template((three,)), [Template((one,)), Template((two,))]),
    ]
    assert [item for item in items if isinstance(item, Sealed)] == [Sealed(None)]
    assert [item.text for item in items if isinstance(item, Ignored)] == [
        "Thought: I need both.",
        "Thought: now compare.",
        "<END_OF_PLAN>",
    ]
