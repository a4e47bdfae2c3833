from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.engine.constraint import GrammarCompiler
from llmcompiler.engine.model import Model
from llmcompiler.engine.quotes import Quotes
from llmcompiler.engine.sampler import Sampler
from llmcompiler.errors import ConfigurationError, ModelError
from llmcompiler.messages import Grammar, Sampling
from tests.engine.held import (
    LINE_SHAPE,
    PLAN,
    PLAN_GBNF,
    PLAN_SHAPE,
    Lines,
    Stretches,
    eager_for,
    open_constraint,
    random_scores,
    scores_by_text,
    token_of,
    write_text,
    written_reply,
)


def test_whatever_the_scores_the_reply_matches_the_grammar(
    model: Model, compiler: GrammarCompiler
) -> None:
    ended = 0
    for seed in range(20):
        grammar = Stretches([(PLAN, PLAN_GBNF)])
        reply = written_reply(
            model,
            open_constraint(compiler, grammar),
            random_scores(model, seed),
            jump=seed % 2 == 0,
        )
        if reply is not None:
            ended += 1
            assert PLAN_SHAPE.fullmatch(reply), reply
    assert ended > 12


def test_whatever_the_scores_each_line_is_held_to_the_lines_before_it(
    model: Model, compiler: GrammarCompiler
) -> None:
    lengths = set()
    for seed in range(30):
        reply = written_reply(
            model,
            open_constraint(compiler, Lines()),
            random_scores(model, seed),
            jump=seed % 2 == 0,
        )
        assert reply is not None
        assert reply.endswith("join()")
        lines = reply.splitlines()
        lengths.add(len(lines))
        for number, line in enumerate(lines, 1):
            found = LINE_SHAPE.fullmatch(line)
            assert found, line
            assert int(found[1]) == number
            assert found[3] is None or int(found[3]) < number
    assert lengths == {1, 2, 3, 4}


def test_whatever_the_scores_the_reply_is_json_of_the_schema(
    model: Model, compiler: GrammarCompiler
) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "on": {"enum": ["a", "b"]}},
        "required": ["n", "on"],
        "additionalProperties": False,
    }
    for seed in range(10):
        constraint = compiler.open(None, schema)
        assert constraint is not None
        reply = written_reply(model, constraint, random_scores(model, seed))
        assert reply is not None
        value = json.loads(reply)
        assert set(value) == {"n", "on"}
        assert reply == json.dumps(value)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), lines=st.booleans())
def test_forced_text_is_what_would_have_been_chosen(
    model: Model, guided: GrammarCompiler, seed: int, lines: bool
) -> None:
    grammar = Lines() if lines else PLAN
    scores = scores_by_text(model, seed)
    alone = written_reply(model, open_constraint(guided, grammar), scores, limit=2000)
    jumping = written_reply(model, open_constraint(guided, grammar), scores, jump=True, limit=2000)
    assert alone is not None
    assert jumping == alone


def test_forced_tokens_count_as_written_and_cross_from_one_stretch_to_the_next(
    model: Model, guided: GrammarCompiler
) -> None:
    grammar = Stretches(['start: /[ab]/ ")\\n"', 'start: "2. join" /[ab]/'])
    constraint = open_constraint(guided, grammar)
    assert constraint.forced() == ()
    constraint.advance(token_of(model, "a"))
    forced = constraint.forced()
    assert b"".join(map(model.piece, forced)) == b")\n2. join"
    assert forced[-1] == token_of(model, "join")
    assert constraint.forced() == ()
    assert grammar.asked == ["", "a)\n"]
    assert constraint.admit([token_of(model, "b")]) == 1


def test_a_reply_that_is_forced_to_its_end_is_complete(
    model: Model, guided: GrammarCompiler
) -> None:
    constraint = open_constraint(guided, Stretches(['start: "a"', 'start: "b"']))
    assert b"".join(map(model.piece, constraint.forced())) == b"ab"
    assert constraint.complete
    assert constraint.forced() == ()
    assert constraint.admit([token_of(model, "a")]) == 0
    assert constraint.choose(eager_for(model, 5), Sampler(Sampling())) in model.end_tokens


def test_the_end_of_a_turn_is_never_forced(model: Model, guided: GrammarCompiler) -> None:
    constraint = open_constraint(guided, 'start: "a" ("b" "c")?')
    assert constraint.forced() == (token_of(model, "a"),)
    assert constraint.forced() == ()
    assert constraint.choose(eager_for(model, 1), Sampler(Sampling())) == 1


def test_text_that_the_quotes_refuse_is_not_forced(model: Model, guided: GrammarCompiler) -> None:
    quotes = Quotes(("find.place",), ("abc",))
    constraint = open_constraint(guided, 'start: "1. find(place=\\"abd\\")" /[xy]/', quotes)
    assert b"".join(map(model.piece, constraint.forced())) == b'1. find(place="ab'
    # No quote can follow, so the grammar alone decides, and forces what comes after.
    token = constraint.choose(eager_for(model, token_of(model, "c")), Sampler(Sampling()))
    assert model.piece(token) == b"d"
    constraint.advance(token)
    assert b"".join(map(model.piece, constraint.forced())) == b'")'


def test_no_token_reaches_from_one_stretch_into_the_next(
    model: Model, compiler: GrammarCompiler
) -> None:
    wide = token_of(model, "join")
    whole = Stretches([('start: "join"', 'root ::= "join"')])
    assert open_constraint(compiler, whole).admit([wide]) == 1
    parts = Stretches([('start: "jo"', 'root ::= "jo"'), ('start: "in"', 'root ::= "in"')])
    constraint = open_constraint(compiler, parts)
    assert constraint.admit([wide]) == 0
    token = constraint.choose(eager_for(model, wide), Sampler(Sampling()))
    assert b"jo".startswith(model.piece(token))


def test_a_turn_ends_only_when_the_grammar_is_complete(
    model: Model, compiler: GrammarCompiler
) -> None:
    grammar = Stretches([('start: "ab" "c"?', 'root ::= "ab" "c"?')])
    constraint = open_constraint(compiler, grammar)
    sampler = Sampler(Sampling())
    written = b""
    while (token := constraint.choose(eager_for(model, 1), sampler)) != 1:
        constraint.advance(token)
        written += model.piece(token)
    assert written == b"ab"
    assert not constraint.complete


def test_a_turn_does_not_end_where_another_stretch_would_follow(
    model: Model, compiler: GrammarCompiler
) -> None:
    grammar = Stretches(
        [('start: "ab" "c"?', 'root ::= "ab" "c"?'), ('start: "d"', 'root ::= "d"')]
    )
    constraint = open_constraint(compiler, grammar)
    write_text(model, constraint, "ab")
    for logits in (eager_for(model, 1), -np.arange(model.n_vocab, dtype=np.float32)):
        assert constraint.choose(logits, Sampler(Sampling())) == token_of(model, "c")


def test_a_stretch_that_may_go_on_is_not_over(model: Model, compiler: GrammarCompiler) -> None:
    grammar = Stretches([('start: "a" "b"?', 'root ::= "a" "b"?'), ('start: "c"', 'root ::= "c"')])
    constraint = open_constraint(compiler, grammar)
    write_text(model, constraint, "a")
    assert grammar.asked == [""]
    assert constraint.admit([token_of(model, "c")]) == 0
    write_text(model, constraint, "b")
    assert constraint.admit([token_of(model, "c")]) == 1


def test_a_reply_that_can_only_end_is_complete(model: Model, compiler: GrammarCompiler) -> None:
    constraint = open_constraint(compiler, Stretches([('start: "ab"', 'root ::= "ab"')]))
    for letter in "ab":
        assert not constraint.complete
        constraint.advance(token_of(model, letter))
    assert constraint.complete
    assert open_constraint(compiler, Stretches([])).complete


def test_a_grammar_of_an_empty_text_is_complete_at_once(guided: GrammarCompiler) -> None:
    assert open_constraint(guided, 'start: ""').complete


def test_a_stretch_that_allows_an_empty_text_alone_is_refused(compiler: GrammarCompiler) -> None:
    class Stuck(Grammar):
        def lark(self, written: str) -> str | None:
            return 'start: ""'

        def gbnf(self, written: str) -> str | None:
            return 'root ::= ""'

    with pytest.raises(ConfigurationError, match="give None where the reply is over"):
        open_constraint(compiler, Stuck())


def test_a_grammar_that_is_none_says_why(model: Model, compiler: GrammarCompiler) -> None:
    bad = ("start: nothing_of_the_kind", "root ::= nothing-of-the-kind")
    with pytest.raises(ConfigurationError, match="the grammar cannot be used"):
        open_constraint(compiler, Stretches([bad]))
    constraint = open_constraint(compiler, Stretches([('start: "a"', 'root ::= "a"'), bad]))
    with pytest.raises(ConfigurationError, match="the grammar cannot be used"):
        write_text(model, constraint, "a")


def test_a_token_that_does_not_fit_is_an_error_and_no_crash(
    model: Model, compiler: GrammarCompiler
) -> None:
    for token in (token_of(model, "z"), 2):
        constraint = open_constraint(compiler, Stretches([('start: "ab"', 'root ::= "ab"')]))
        with pytest.raises(ModelError, match="cannot be followed further"):
            constraint.advance(token)


def test_control_tokens_never_pass_a_grammar(model: Model, compiler: GrammarCompiler) -> None:
    anything = Stretches([("start: /(?s:.)*/", "root ::= .*")])
    constraint = open_constraint(compiler, anything)
    for seed in range(5):
        logits = random_scores(model, seed)(b"")
        logits[[0, 2, 3, 4]] = 9.0
        assert constraint.choose(logits, Sampler(Sampling())) not in (0, 2, 3, 4)
    assert constraint.admit([2]) == 0
