"""What is no YAML, and what would take long to read, is refused in one sentence."""

from __future__ import annotations

import time

import pytest

from llmcompiler.workflow.problems import WorkflowError
from llmcompiler.workflow.reading import read


def refused(text: str) -> str:
    with pytest.raises(WorkflowError) as raised:
        read(text, "w.yaml")
    return str(raised.value)


# What is no YAML

_COLON = "a ':' cannot stand here: "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: b: c",
            f"1:5: {_COLON}put a text that holds ': ' in quotes, or check the indentation",
        ),
        ("a: ${{ {'x': 1} }}", f"1:12: {_COLON}put the whole expression in quotes"),
        ("a:\n\tb: 1", "2:1: a tab cannot indent a line: use spaces"),
        ("a: 'x\nb: 1\n", "1:4: this quote is never closed"),
        ("a: [1, 2\nb: 3", "1:4: this '[' is never closed"),
        ("a: {b: 1\n", "1:4: this '{' is never closed"),
        (
            "a: [1, 2}",
            "1:9: the list that begins at line 1, column 4 goes on with ',' or ends with ']', "
            "and here stands '}'",
        ),
        (
            "a: {p: ${{ item }}}",
            '1:8: an expression inside { must be in quotes: "${{ … }}"',
        ),
        (
            "a: [${{ item }}]",
            '1:5: an expression inside [ must be in quotes: "${{ … }}"',
        ),
        ("a: @x", "1:4: a value cannot begin with '@': put it in quotes"),
        ("a: `x`", "1:4: a value cannot begin with '`': put it in quotes"),
        (
            r'a: "\q"',
            "1:6: there is no escape '\\q' in double quotes: write the backslash twice, "
            "or use single quotes",
        ),
        ("a: |x\n  b", "1:5: after '|' or '>' the text begins on the next line"),
        (
            "a:\n  b: 1\n c: 2",
            "3:2: this does not go on with the mapping that begins at line 1, column 1: "
            "check the indentation",
        ),
        (
            "- a\nb: c",
            "2:1: this does not go on with the list that begins at line 1, column 1: "
            "check the indentation",
        ),
        ('a: "x" y', "1:8: a second text follows the value: put the whole value in quotes"),
        (
            "a: - b",
            "1:4: a list cannot begin here: begin it on the next line, or write it as [a, b]",
        ),
        ("'a': 1\n'b' 2", "2:1: the key that begins here has no ':' after it"),
        ("a: ]", "1:4: a value is missing here: there is ']' in its place"),
        (
            "a: & b",
            "1:5: a name must follow '&' and '*': put a text that begins with one in quotes",
        ),
        ("%A\na: 1", "2:1: a line that begins with '%' is followed by '---': leave it out"),
        ("%YAML 1.1\n---\na: no", "1:1: workflows are YAML 1.2, not 1.1: leave out '%YAML'"),
        (
            "a: *.md",
            "1:4: there is no anchor '.md' above; put a text that begins with '*' in quotes",
        ),
        ("a: &base 1\nb: *bas", "2:4: there is no anchor 'bas' above; did you mean 'base'?"),
        ("a: x\x07", "1:5: the character '\\x07' may not stand in YAML"),
        ("a: b\n---\nc: d", "2:1: a second document begins here: write each into its own file"),
        ("", "1:1: the file is empty: a workflow needs at least 'steps: …'"),
        ("# nothing\n---\n", "3:1: the file is empty: a workflow needs at least 'steps: …'"),
        ("- a", "1:1: a workflow must be a mapping, as 'steps: …', not a list"),
        ("\n hello", "2:2: a workflow must be a mapping, as 'steps: …', not a text"),
        ("a: &a [*a]", "1:8: the alias '*a' stands inside what it stands for"),
        ("a: &a {<<: *a}", "1:12: the alias '*a' stands inside what it stands for"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence_with_its_position(text: str, said: str) -> None:
    assert refused(text) == f"w.yaml:{said}"


# What is refused quickly

_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
_HALVES = "x: &x " + "[" * 30 + "]" * 30 + "\ny: " + "[" * 25 + "*x" + "]" * 25


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_LAUGHS, "6:10: the file has more than 100,000 values: split it"),
        (
            "a: &a {" + ", ".join(f"k{i}: 1" for i in range(500)) + "}\nb: [" + "{<<: *a}, " * 999,
            "2:990: the file has more than 100,000 values: split it",
        ),
        (
            "a" * 50_000_000,
            "1:1: the file has 50,000,000 bytes, and a workflow may have 1,000,000: split it",
        ),
        (
            "é" * 600_000,
            "1:1: the file has 1,200,000 bytes, and a workflow may have 1,000,000: split it",
        ),
        ("[" * 900_000, "1:51: this is nested deeper than 50 levels"),
        ("{a: " * 200_000, "1:201: this is nested deeper than 50 levels"),
        ("- " * 400_000, "1:101: this is nested deeper than 50 levels"),
        (_HALVES, "2:29: this is nested deeper than 50 levels"),
    ],
    ids=["laughs", "merges", "50 MB", "bytes", "brackets", "braces", "dashes", "halves"],
)
def test_what_would_take_long_is_refused_quickly(text: str, said: str) -> None:
    began = time.process_time()
    assert refused(text) == f"w.yaml:{said}"
    assert time.process_time() - began < 2


def test_fifty_levels_are_read() -> None:
    assert read("a: " + "[" * 49 + "]" * 49, "w.yaml").problems == ()
