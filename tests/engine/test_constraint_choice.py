from __future__ import annotations

import re
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.engine import constraint as module
from llmcompiler.engine.constraint import Constraint, GrammarCompiler
from llmcompiler.engine.guidance import GuidanceCompiler
from llmcompiler.engine.model import Model
from llmcompiler.engine.quotes import Quotes
from llmcompiler.engine.sampler import Sampler
from llmcompiler.errors import MissingExtraError
from llmcompiler.messages import Sampling
from tests.engine.held import (
    PLAN,
    Stretches,
    eager_for,
    open_constraint,
    random_scores,
    token_of,
    write_text,
    written_reply,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), quoted=st.booleans())
def test_drafts_are_admitted_exactly_as_far_as_they_could_be_chosen(
    model: Model, guided: GrammarCompiler, data: st.DataObject, quoted: bool
) -> None:
    def fresh(written: list[int]) -> Constraint:
        quotes = Quotes(("find.place",), ("a place", "ab Oslo")) if quoted else None
        constraint = open_constraint(guided, Stretches([PLAN]), quotes)
        for token in written:
            constraint.advance(token)
        return constraint

    text = '1. find(place="a place")\n2. add(a=1, b=-20)\njoin()'
    cut = data.draw(st.integers(0, len(text) - 1))
    written = [token_of(model, letter) for letter in text[:cut]]
    likely = [*model.tokenize(text[cut:], special=False)[:4], 1, 2, 69, 70, 71]
    draft = data.draw(st.lists(st.sampled_from(likely) | st.integers(0, model.n_vocab - 1)))
    if data.draw(st.booleans()):
        draft = model.tokenize(text[cut:], special=False) + draft
    constraint = fresh(written)
    count = constraint.admit(draft)
    assert constraint.admit(draft) == count

    sampler = Sampler(Sampling())
    for number, token in enumerate(draft):
        before = fresh([*written, *draft[:number]])
        fits = (
            not before.complete
            and token not in model.end_tokens
            and before.choose(eager_for(model, token), sampler) == token
        )
        assert fits == (number < count)
        if not fits:
            break


def test_drafts_reach_to_the_end_of_a_stretch_and_write_nothing(
    model: Model, compiler: GrammarCompiler
) -> None:
    grammar = Stretches([('start: "ab"', 'root ::= "ab"'), ('start: "cd"', 'root ::= "cd"')])
    constraint = open_constraint(compiler, grammar)
    draft = [token_of(model, letter) for letter in "abcd"]
    assert constraint.admit(draft) == 2
    assert constraint.admit(draft) == 2
    assert constraint.admit(draft[1:]) == 0
    assert constraint.admit([]) == 0
    write_text(model, constraint, "ab")
    assert constraint.admit([*draft[2:], 1]) == 2


def test_a_grammar_is_read_once_and_not_kept_for_ever(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = GuidanceCompiler.matcher

    def noting(self: GuidanceCompiler, grammar: str) -> module.Matcher:
        read.append(grammar)
        return original(self, grammar)

    monkeypatch.setattr(GuidanceCompiler, "matcher", noting)
    monkeypatch.setattr(module, "_KEPT", 2)
    compiler = GrammarCompiler(model)
    a, b, c = ('start: "a"', 'start: "b"', 'start: "c"')
    for grammar in (a, b, a, b, a, c, a, b):
        constraint = open_constraint(compiler, grammar)
        assert len(constraint.forced()) == 1
    assert read == [a, b, c, b]


def test_time_spent_is_counted(model: Model, guided: GrammarCompiler) -> None:
    constraint = open_constraint(guided, PLAN)
    last = constraint.seconds
    assert last > 0
    steps: list[Callable[[], object]] = [
        lambda: constraint.choose(eager_for(model, 5), Sampler(Sampling())),
        lambda: constraint.admit([5]),
        lambda: constraint.advance(token_of(model, "1")),
        constraint.forced,
    ]
    for step in steps:
        step()
        assert constraint.seconds > last
        last = constraint.seconds


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_best_of_what_is_allowed_is_found_however_far_down_it_stands(
    model: Model, compiler: GrammarCompiler, temperature: float
) -> None:
    grammar = Stretches([("start: /[ab]/", "root ::= [ab]")])
    a, b = token_of(model, "a"), token_of(model, "b")
    for above in (0, 1, 3, 5, 200):
        logits = np.full(model.n_vocab, -99, np.float32)
        others = [token for token in range(model.n_vocab) if token not in (a, b)][:above]
        logits[others] = 50 + np.arange(above)
        logits[b] = 10
        chosen = open_constraint(compiler, grammar).choose(
            logits, Sampler(Sampling(temperature, seed=1))
        )
        assert chosen == b
    logits = np.full(model.n_vocab, -np.inf, np.float32)
    chosen = open_constraint(compiler, grammar).choose(
        logits, Sampler(Sampling(temperature, seed=1))
    )
    assert chosen in (a, b)


def test_drawing_under_a_grammar_follows_the_scores_of_what_is_allowed(
    model: Model, compiler: GrammarCompiler
) -> None:
    constraint = open_constraint(compiler, Stretches([("start: /[ab]/", "root ::= [ab]")]))
    a, b = token_of(model, "a"), token_of(model, "b")
    logits = np.zeros(model.n_vocab, np.float32)
    logits[a] = np.log(3.0)
    sampler = Sampler(Sampling(temperature=1.0, seed=2))
    drawn = [constraint.choose(logits, sampler) for _ in range(2000)]
    assert set(drawn) == {a, b}
    assert drawn.count(a) / 2000 == pytest.approx(0.75, abs=0.04)


def test_what_is_held_to_nothing_has_no_constraint(guided: GrammarCompiler) -> None:
    assert guided.open() is None
    assert guided.open(None, None, Quotes((), ())) is not None


def test_with_quotes_a_value_is_a_span_of_the_sources(
    model: Model, guided: GrammarCompiler
) -> None:
    sources = ("from Oslo to the place Lima",)
    values = set()
    for seed in range(40):
        quotes = Quotes(("find.place",), sources)
        constraint = open_constraint(guided, 'start: "1. find(place=" /"[^"$]*"/ ")"', quotes)
        reply = written_reply(model, constraint, random_scores(model, seed), jump=seed % 2 == 0)
        assert reply is not None
        value = reply.removeprefix('1. find(place="').removesuffix('")')
        assert value in sources[0]
        assert set(value.split()) <= set(sources[0].split())
        values.add(value)
    assert len(values) > 5


def test_quotes_hold_without_a_grammar_too(model: Model, guided: GrammarCompiler) -> None:
    quotes = Quotes(("find.place",), ("Oslo",))
    constraint = open_constraint(guided, None, quotes)
    assert constraint.forced() == ()
    write_text(model, constraint, '1. find(place="')
    token = constraint.choose(np.zeros(model.n_vocab, np.float32), Sampler(Sampling()))
    assert b"Oslo".startswith(model.piece(token))
    assert constraint.admit(model.tokenize("Oslo)", special=False)) == 1
    assert not constraint.complete


def test_where_nothing_can_be_quoted_the_grammar_alone_decides(
    model: Model, guided: GrammarCompiler
) -> None:
    quotes = Quotes(("find.place",), ())
    constraint = open_constraint(guided, 'start: "1. find(place=" /"[abc]{3}"/ ")"', quotes)
    reply = written_reply(model, constraint, random_scores(model, 1))
    assert reply is not None
    assert re.fullmatch(r'1\. find\(place="[abc]{3}"\)', reply)


def test_where_nothing_can_be_quoted_the_best_of_the_grammar_is_taken(
    model: Model, guided: GrammarCompiler
) -> None:
    quotes = Quotes(("find.place",), ())
    constraint = open_constraint(guided, 'start: "1. find(place=\\"" /[abc]/', quotes)
    write_text(model, constraint, '1. find(place="')
    logits = np.zeros(model.n_vocab, np.float32)
    for rank, letter in enumerate("acb"):
        logits[token_of(model, letter)] = rank + 1
    assert constraint.choose(logits, Sampler(Sampling())) == token_of(model, "b")


def test_without_llguidance_a_grammar_as_text_says_what_to_install(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    compiler = GrammarCompiler(model)
    compiler.prepare()
    with pytest.raises(MissingExtraError, match=r"llmcompiler-runtime\[local\]"):
        compiler.open(PLAN)
