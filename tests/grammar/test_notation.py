"""Are expressions written so that both formats read them as they are meant?"""

from __future__ import annotations

import pytest

from llmcompiler.grammar.notation import (
    EMPTY,
    Chars,
    Gbnf,
    Lark,
    Name,
    Node,
    Text,
    choice,
    many,
    names_in,
    optional,
    sequence,
)

AB = choice("a", "b")


@pytest.mark.parametrize(
    ("node", "lark", "gbnf"),
    [
        (Text('say "\\"\n\x01é'), '"say \\"\\\\\\"\\n\\u0001é"', '"say \\"\\\\\\"\\n\\x01é"'),
        (sequence("a.", Chars("0-9")), r"/a\.[0-9]/", '"a." [0-9]'),
        (sequence(AB, "c"), "/(a|b)c/", '("a" | "b") "c"'),
        (many(AB, 1), "/(a|b)+/", '("a" | "b")+'),
        (many(Text("ab"), 2, 3), "/(ab){2,3}/", '"ab"{2,3}'),
        (many(many(AB), 2, 2), "/((a|b)*){2}/", '(("a" | "b")*){2}'),
        (many(Chars("x"), 2), "/[x]{2,}/", "[x]{2,}"),
        (optional(sequence("a", Name("N"))), '("a" N)?', '("a" N)?'),
        (sequence(choice("a", Name("N")), AB), '("a" | N) /a|b/', '("a" | N) ("a" | "b")'),
        (sequence("a", sequence("b", "c")), '"abc"', '"abc"'),
        (choice("a", "a"), '"a"', '"a"'),
        (many(Name("N"), 1, 1), "N", "N"),
    ],
)
def test_an_expression_is_written_in_both_formats(node: Node, lark: str, gbnf: str) -> None:
    assert Lark().expression(node) == lark
    assert Gbnf().expression(node) == gbnf


def test_nothing_adds_nothing() -> None:
    assert sequence("a", EMPTY, Text("b")) == Text("ab")
    assert many(EMPTY) == many(Text("a"), 0, 0) == sequence() == EMPTY


def test_a_recursive_rule_has_a_small_name_in_lark_only() -> None:
    lark = Lark(frozenset(("DEEP",)))
    assert lark.expression(choice(Name("DEEP"), Name("FLAT"))) == "deep | FLAT"
    assert lark.rule("DEEP", "x") == "deep: x\n"
    assert Gbnf().rule("DEEP", "x") == "DEEP ::= x\n"


def test_an_expression_knows_the_rules_that_it_needs() -> None:
    node = sequence("a", many(choice(Name("A"), optional(Name("B")))), Chars("x"))
    assert names_in(node) == {"A", "B"}
