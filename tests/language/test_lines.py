"""Is it known what one line of a plan is, and where a call ends?"""

from __future__ import annotations

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.language.lines import Brackets, parse_line, read_joins
from llmcompiler.plan import Ref, Task, TaskId


def test_a_line_is_a_task() -> None:
    assert parse_line("3. forecast(at=$1, hours=24)", line=5) == Task(
        TaskId("3"), "forecast", {"at": Ref(TaskId("1")), "hours": 24}, line=5
    )


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("1. search", "write N. tool(name=value)"),
        ("search(x=1)", "write N. search(...)"),
        ("- search(x=1)", "write N. search(...)"),
        ("Step 2: search(x=1)", "write N. search(...)"),
        ("x = search(x=1)", "write N. search(...) and refer to its result with $N"),
        ("4. x = search(x=1)", "write N. search(...) and refer to its result with $N"),
        ("$4 = search(x=1)", "write N. search(...) and refer to its result with $N"),
        ("12345678901. search(x=1)", "at most nine digits"),
        ("1. search(x=1) and more", "one line holds one call"),
        ("1. a(x=1) 2. b(x=2)", "one line holds one call"),
        ("1. search(x=1", "')' is missing"),
        ("1. join()", "not a step"),
        ("1. " + "a" * 200 + "(x=1)", "write N. tool(name=value)"),
    ],
)
def test_a_line_that_is_no_step_says_what_to_write(line: str, advice: str) -> None:
    with pytest.raises(PlanError) as raised:
        parse_line(line)
    assert advice in raised.value.problem


@pytest.mark.parametrize("behind", ["", " ", "  # so (it is)", "; // so", ",", ".", "\n"])
def test_a_comment_or_a_mark_behind_a_call_does_no_harm(behind: str) -> None:
    assert parse_line(f"1. f(x=1){behind}").args == {"x": 1}


@pytest.mark.parametrize(
    ("line", "joins"),
    [
        ("join()", None),
        ("5. join()", None),
        ("5) join($4, $2, $4)", ("4", "2")),
        ('join("$4", ${2})', ("4", "2")),
        ("join([$4])", ("4",)),
        ("join(results=[$4, $1.a])", ("4", "1")),
    ],
)
def test_join_names_what_matters(line: str, joins: tuple[str, ...] | None) -> None:
    assert read_joins(line) == joins


def test_join_takes_references_only() -> None:
    with pytest.raises(PlanError, match=r"as in join\(\$4, \$5\)"):
        read_joins('5. join("the best")')


@pytest.mark.parametrize(
    "call", ["(a)", "(\"(\", ')')", '("\\"(")', "([{}], # :)\n )", "('it\\'s (')", "(((())))"]
)
def test_a_call_ends_at_its_own_parenthesis_however_it_is_cut(call: str) -> None:
    text = call + ") (rest"
    whole = Brackets()
    assert whole.feed(text) == len(call)
    assert whole.closed
    single = Brackets()
    taken = sum(single.feed(sign) for sign in text[: len(call)])
    assert taken == len(call)
    assert single.closed


@pytest.mark.parametrize("call", ['("a\n', "(]", "([)", "(" * 66, '("a\\\n'])
def test_a_call_that_can_end_no_more_is_broken(call: str) -> None:
    brackets = Brackets()
    brackets.feed(call)
    assert brackets.broken
    assert not brackets.closed
    assert not brackets.lacks_one_parenthesis


def test_an_open_call_lacks_one_parenthesis_only_outside_its_values() -> None:
    for call, lacks in (('("a", 1', True), ("([1", False), ('("a', False)):
        brackets = Brackets()
        brackets.feed(call)
        assert brackets.lacks_one_parenthesis is lacks
