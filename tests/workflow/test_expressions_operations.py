"""What operators, filters and tests make of values."""

from typing import Any

import pytest

from tests.workflow.expressing import later, now, wrong

ROWS = [{"n": "b", "v": 2}, {"n": "A", "v": 3}, {"n": "b", "v": 1}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4 / 2", 5.0),
        ("7 // 2 * 2 + 7 % 2", 7),
        ("2 ** 10", 1024),
        ("-(3) + +1", -2),
        ("[1] + [2]", [1, 2]),
        ("'a' + 'b'", "ab"),
        ("1 ~ 'a' ~ none ~ [true]", "1anull[true]"),
        ("1 < 2 < 3", True),
        ("1 < 2 > 3", False),
        ("'a' in 'cat' and 2 not in [1]", True),
        ("'n' in inputs.rows[0]", True),
        ("not (true or false)", False),
        ("(1, 2)", [1, 2]),
        ("inputs.rows[-1].v", 1),
        ("inputs.rows[1:] | length", 2),
        ("'abcdef'[::2]", "ace"),
        ("'abc'[1]", "b"),
        ("inputs.rows | map(attribute='v') | join('-')", "2-3-1"),
        ("['a', 'b'] | map('upper')", ["A", "B"]),
        ("[['a', 'b']] | map('join', '+')", ["a+b"]),
        ("inputs.rows | map(attribute='w', default=0)", [0, 0, 0]),
        ("[{'a': [{'b': 1}, {'b': 2}]}] | map(attribute='a.*.b')", [[1, 2]]),
        ("[1, 2, 3] | select('gt', 1)", [2, 3]),
        ("[0, 1, none] | select", [1]),
        ("[{'ok': true, 'n': 1}, {'ok': false}] | select(attribute='ok') | length", 1),
        ("inputs.rows | sort(attribute='v') | map(attribute='v')", [1, 2, 3]),
        ("['b', 'A', 'c'] | sort", ["A", "b", "c"]),
        ("['b', 'A'] | sort(case_sensitive=true, reverse=true)", ["b", "A"]),
        ("inputs.rows | unique(attribute='n') | length", 2),
        ("[1, true, 1.0, '1', 1] | unique", [1, True, 1.0, "1"]),
        ("inputs.rows | sum(attribute='v')", 6),
        ("[] | sum", 0),
        ("[3, 1, 2] | min", 1),
        ("inputs.rows | max(attribute='v')", {"n": "A", "v": 3}),
        ("[] | max | default('none')", "none"),
        ("[1, 2] | first + ([1, 2] | last)", 3),
        ("[] | first | default(7)", 7),
        ("none | default(1)", 1),
        ("'' | default('x')", ""),
        ("'' | default('x', true)", "x"),
        ("{'a': 1, 'b': 2} | keys", ["a", "b"]),
        ("{'a': 1, 'b': 2} | values", [1, 2]),
        ("' a ' | trim ~ ('xax' | trim('x'))", "aa"),
        ("'aXa' | lower | replace('a', 'b') | replace('b', 'c', 1)", "cxb"),
        ("'42' | int + ('4.5' | float) + ('4.9' | int)", 50.5),
        ("'x' | int(0) + ('' | float(1.5))", 1.5),
        ("2.55 | round(1) ~ ' ' ~ (2.1 | round(method='ceil'))", "2.5 3.0"),
        ("[1, {'a': 'ü'}] | tojson", '[1, {"a": "ü"}]'),
        ("1 | string + 'a'", "1a"),
        ("3 is odd and 4 is even and 9 is divisibleby 3", True),
        ("'a' is string and 1 is number and 1.5 is float and 1 is integer", True),
        ("none is none and true is boolean and {} is mapping and [] is sequence", True),
        ("true is number or 'a' is sequence or 1 is in [2]", False),
        ("inputs.rows[0].zzz is undefined", True),
    ],
)
def test_what_an_expression_can_compute(text: str, expected: Any) -> None:
    found = now(f"${{{{ {text} }}}}", rows=ROWS)
    assert found == expected
    assert type(found) is type(expected)
    waiting = text.replace("inputs.rows", "steps.geo.output")
    assert later(f"${{{{ [{waiting}, steps.geo.output][0] }}}}", geo=ROWS) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 + true", "'+' cannot take a number and true or false"),
        ("-'a'", "'-' cannot take a text"),
        ("'a' * 3", "'*' cannot take a text and a number"),
        ("'%d' % 3", "'%' cannot take a text and a number"),
        ("1 % 0", "'%' divides by zero"),
        ("0 ** -1", "'**' divides by zero"),
        ("(-1) ** 0.5", "'**' has no real result"),
        ("1 in 2", "'in' cannot compare a number with a number"),
        ("{'a': 1}[1:]", "only a list or a text has a part [:], not an object"),
        ("[1]['a':]", "a part [:] goes from one whole number to another"),
        ("[1][::0]", "a part [:] cannot go in steps of 0"),
        ("'abc' | int", "'int' cannot make a whole number of this text"),
        ("none | float", "'float' cannot make a number of null"),
        ("[1, 'a'] | sort", "'sort' needs elements that can be compared with each other"),
        ("[1, 'a'] | sum", "'sum' needs numbers, not a text"),
        ("5 | length", "'length' needs a text, a list or an object, not a number"),
        ("[] | first", "the value before 'first' has 0 elements and no [0]"),
        ("5 | upper", "'upper' needs a text, not a number"),
        ("[{}] | map(attribute='a')", "what 'map' reads has no such name"),
        ("1.5 | round('a')", "'round' takes a whole number here, not a text"),
    ],
)
def test_what_an_expression_cannot_compute(text: str, message: str) -> None:
    assert wrong(f"${{{{ {text} }}}}") == message
