from __future__ import annotations

import pytest

from llmcompiler.engine.gbnf_syntax import check_gbnf
from llmcompiler.errors import ConfigurationError


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "a"',
        'root ::= [a-z]+ x?\nx ::= [^\\n"\\x00-\\x1F] | .',
        'root ::= (\n  "a" | # first\n  b{2}\n)\n\nb ::= "b"{0,3} "c"{1,} "d"{ 2 , 4 }\n',
        'root ::= "a" root | ""',
        'root ::= ("a"?)* "b"',
        'root ::=\n  "a" |\n  "b"\r\n# the end',
        'root ::= "\\"\\\\\\n\\u00e9\\U0001F600é" [\\]\\[]',
        "root ::= " + "(" * 100 + '"a"' + ")" * 100,
        'root ::= x "(" root ")" | "q"\nx ::= "é"',
    ],
)
def test_a_grammar_is_taken(grammar: str) -> None:
    check_gbnf(grammar)


@pytest.mark.parametrize(
    ("grammar", "problem"),
    [
        ("", "no rule 'root'"),
        ("# nothing", "no rule 'root'"),
        ('other ::= "a"', "no rule 'root'"),
        ('root ::= "a"\n  other ::= x y', "line 2: there is no rule 'x'"),
        ('root ::= "a"\nroot ::= "b"', "written twice"),
        ('root ::= "a" "b', "line 1: '\"b' cannot be read"),
        ("root ::= [a-", "cannot be read"),
        ("root ::= []", "cannot be read"),
        ('root ::= "\\q"', "cannot be read"),
        ("root ::= <|user|>", "cannot be read"),
        ('root ::= "a"\0', "NUL"),
        ('root ::= "\ud800"', "not Unicode"),
        ('root ::= "a" | *', "nothing before it"),
        ('root ::= ("a"', "not closed"),
        ('root ::= "a")', "stands where a newline should"),
        ('root "a"', "stands where a define should"),
        ('::= "a"', "stands where a name should"),
        ('root ::= "a"{3,1}', "no number of times"),
        ('root ::= "a"{2001}', "no number of times"),
        ('root ::= "a"{,2}', "cannot be read"),
        ("root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000, "nested"),
        ('root ::= root "a" | "b"', "left recursion: root"),
        ('root ::= x "a"\nx ::= "c"? root', "left recursion: root, x"),
        ('root ::= z\nz ::= y z "a" | "q"\ny ::= w\nw ::= "k" | ""', "left recursion: z"),
        ('root ::= ("a"* root)? "b"', "left recursion: root"),
        ('root ::= "a"{0,3} ("x" | root)', "left recursion: root"),
    ],
)
def test_what_is_no_grammar_is_refused_with_the_reason(grammar: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match="the grammar cannot be used") as caught:
        check_gbnf(grammar)
    assert problem in str(caught.value)


def test_a_long_chain_of_rules_is_refused_and_a_long_list_is_not() -> None:
    chain = [f"r{n} ::= r{n + 1}" for n in range(1000)]
    with pytest.raises(ConfigurationError, match="begin with one another"):
        check_gbnf("\n".join(["root ::= r0", *chain, 'r1000 ::= "a"']))
    check_gbnf("root ::= " + " | ".join(f"r{n}" for n in range(1000)) + "\n"
               + "\n".join(f'r{n} ::= "{n}"' for n in range(1000)))  # fmt: skip
