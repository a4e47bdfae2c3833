"""Is an argument list read as it is meant, and refused with advice where it cannot be?"""

from __future__ import annotations

import pytest

from llmcompiler.errors import PlanError
from llmcompiler.language import parse_line
from llmcompiler.plan import Argument, Each, Ref, Star, TaskId, Template

ONE = Ref(TaskId("1"))


def value(written: str) -> Argument:
    return parse_line(f"9. f(x={written})").args["x"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"a"', "a"),
        ("'a'", "a"),
        ("'it\\'s \"so\"'", 'it\'s "so"'),
        ('"it\\\'s"', "it's"),
        ('"a\\n\\u00e9\\ud83d\\ude00"', "a\né😀"),
        ('"a\tb"', "a\tb"),
        ("12", 12),
        ("-0.5", -0.5),
        ("+3", 3),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("9" * 300, int("9" * 300)),
        ("true", True),
        ("True", True),
        ("False", False),
        ("null", None),
        ("None", None),
        ("[]", []),
        ("[1, 'a', [true],]", [1, "a", [True]]),
        ("(1, 2)", [1, 2]),
        ("(1,)", [1]),
        ("(1)", 1),
        ("()", []),
        ("{}", {}),
        ("{'a': 1, \"b\": {\"c\": $1},}", {"a": 1, "b": {"c": ONE}}),
        ("$1", ONE),
        ("${1}", ONE),
        ("$01", ONE),
        ("${1.a[2]}", Ref(TaskId("1"), ("a", 2))),
        ('$1["a b"]', Ref(TaskId("1"), ("a b",))),
        ("$1['a']", Ref(TaskId("1"), ("a",))),
        ('$1["a\\"]"][*]', Ref(TaskId("1"), ('a"]', Star()))),
        ("$1.größe", Ref(TaskId("1"), ("größe",))),
        ("each $1", Each(ONE)),
        ("each $1.links", Each(Ref(TaskId("1"), ("links",)))),
        ('each "${1}"', Each(ONE)),
        ("each(${1})", Each(ONE)),
        ('"${1}"', Template((ONE,))),
        ('"$1"', Template((ONE,))),
        ("'$1.a'", Template((Ref(TaskId("1"), ("a",)),))),
        ('" $1"', " $1"),
        ('"$1.50"', "$1.50"),
        ('"$${1}"', Template(("$", ONE))),
        ('"${${1}"', Template(("${", ONE))),
        ('"\\\\${1}"', Template(("\\", ONE))),
        ('"a${1[\\"b c\\"]}"', Template(("a", Ref(TaskId("1"), ("b c",))))),
        ("\"a${1['b c']}\"", Template(("a", Ref(TaskId("1"), ("b c",))))),
        ('"${x} ${ 1}"', "${x} ${ 1}"),
        ('"${1[\\"${2}\\"]}"', Template((Ref(TaskId("1"), ("${2}",)),))),
    ],
)  # fmt: skip
def test_a_value_is_read(written: str, meant: Argument) -> None:
    read = value(written)
    assert read == meant
    assert type(read) is type(meant)


@pytest.mark.parametrize(
    ("written", "column", "advice"),
    [
        ("Oslo", 8, "put text in double quotes"),
        ("“Oslo”", 8, "plain double quotes"),
        ("2026-11-21", 8, "put text in double quotes"),
        ("1 + 2", 10, "not computed here"),
        ("$1 * 2", 11, "not computed here"),
        ("5*3", 8, "not computed"),
        ('"a" "b"', 12, "one text between one pair"),
        ('"""a"""', 10, "one text between one pair"),
        ('f"a{1}"', 8, "has no prefix 'f'"),
        ("NaN", 8, "not a JSON number"),
        ("1e999", 8, "too large"),
        ("9" * 301, 8, "at most 300 digits"),
        ("007", 8, "begins with a zero"),
        ("g(1)", 8, "refer to it with $n"),
        ("each 3", 13, "takes one reference"),
        ("[each $1]", 9, "in front of a whole argument"),
        ("$x", 8, "write $ and the number of a step"),
        ("$1.0", 10, "a path is .name, [0]"),
        ("$1[-1]", 10, "a path is .name, [0]"),
        ("$1234567890", 18, "cannot follow"),
        ('"${1.a-b}"', 9, "is not a reference"),
        ('"a ${1"', 11, "is not a reference"),
        ('"\\d"', 9, "not an escape"),
        ('"a\\${1}"', 10, "write \\u0024"),
        ('"\\ud800"', 9, "half a character"),
        ('"abc', 8, "is not closed"),
        ("[1, 2", 13, "']' is missing"),
        ("[1 2]", 11, "separate values with commas"),
        ("[,]", 9, "a value is missing"),
        ("{1: 2}", 9, "a key in { } is a text"),
        ('{"a" 1}', 13, "':' is missing"),
        ('{"a": 1, "a": 2}', 17, "given twice"),
        ('{"${1}": 2}', 9, "cannot hold a reference"),
        ('{"a": 1', 15, "'}' is missing"),
        ("[" * 65 + "]" * 65, 72, "more than 64 levels"),
        ("1, x=2", 11, "'x' is given twice"),
        ("1, 2", 11, "name it too"),
        (",", 8, "a value is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_place_and_advice(
    written: str, column: int, advice: str
) -> None:
    with pytest.raises(PlanError) as raised:
        value(written)
    error = raised.value
    assert advice in error.problem
    assert (error.line, error.column, error.task) == (1, column, "9")


def test_sixty_four_levels_are_read() -> None:
    value("[" * 64 + "]" * 64)


def test_a_call_over_several_lines_may_hold_comments() -> None:
    task = parse_line("1. f(  # why\n  a=1,  # it's (so\n  b=[2,\n  3],\n)")
    assert task.args == {"a": 1, "b": [2, 3]}


def test_an_error_in_a_later_line_of_a_call_is_placed_there() -> None:
    with pytest.raises(PlanError) as raised:
        parse_line("1. f(\n  a=1,\n  b=Oslo)", line=7)
    assert (raised.value.line, raised.value.column) == (9, 5)


def test_names_may_be_written_with_a_colon_and_blanks() -> None:
    assert parse_line("1. f(a : 1, left-hand = 2, each=3)").args == {
        "a": 1,
        "left-hand": 2,
        "each": 3,
    }
