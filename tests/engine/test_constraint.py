from __future__ import annotations

import json
import re

import numpy as np
import pytest

from llmcompiler.engine.constraint import Constraint, GrammarCompiler, schema_grammar
from llmcompiler.engine.model import Model
from llmcompiler.engine.quotes import Quotes
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.errors import ConfigurationError, ModelError
from llmcompiler.messages import Sampling

_PLAN = r"""
start: line+ "join()"
line: /[1-9]/ ". " ("add(a=" number ", b=" number ")" | "find(place=" text ")") "\n"
number: /-?[0-9]{1,3}/
text: /"[a-z A-Z]{1,8}"/
"""
_PLAN_SHAPE = re.compile(
    r'([1-9]\. (add\(a=-?\d{1,3}, b=-?\d{1,3}\)|find\(place="[a-z A-Z]{1,8}"\))\n)+join\(\)'
)


def _constraint(
    model: Model, grammar: str | None = None, quotes: Quotes | None = None
) -> Constraint:
    compiler = GrammarCompiler(model.table)
    return Constraint(
        None if grammar is None else compiler.matcher(grammar),
        quotes,
        n_vocab=model.n_vocab,
        end_tokens=model.end_tokens,
        piece=model.piece,
    )


def _random_reply(
    model: Model, constraint: Constraint, seed: int, *, bias: Logits | None = None, limit: int = 400
) -> str | None:
    """Write with random scores; return the text, or None if it did not end in time."""
    random, sampler = np.random.default_rng(seed), Sampler(Sampling())
    written = b""
    for _ in range(limit):
        logits = random.standard_normal(model.n_vocab).astype(np.float32)
        token = constraint.choose(logits if bias is None else logits + bias, sampler)
        if token in model.end_tokens:
            return written.decode()
        constraint.advance(token)
        written += model.piece(token)
        if constraint.complete:
            return written.decode()
    return None


def test_whatever_the_scores_the_reply_matches_the_grammar(tiny_model: Model) -> None:
    ended = 0
    for seed in range(30):
        reply = _random_reply(tiny_model, _constraint(tiny_model, _PLAN), seed)
        if reply is not None:
            ended += 1
            assert _PLAN_SHAPE.fullmatch(reply), reply
    assert ended > 20


def test_whatever_the_scores_the_reply_is_json_of_the_schema(tiny_model: Model) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "on": {"enum": ["a", "b"]}},
        "required": ["n", "on"],
        "additionalProperties": False,
    }
    for seed in range(10):
        reply = _random_reply(tiny_model, _constraint(tiny_model, schema_grammar(schema)), seed)
        assert reply is not None
        value = json.loads(reply)
        assert set(value) == {"n", "on"}
        assert reply == json.dumps(value)


def test_a_turn_ends_only_when_the_grammar_is_complete(tiny_model: Model) -> None:
    constraint = _constraint(tiny_model, 'start: "ab" "c"?')
    sampler = Sampler(Sampling())
    eager = np.zeros(tiny_model.n_vocab, np.float32)
    eager[1] = 9.0
    written = b""
    while (token := constraint.choose(eager, sampler)) != 1:
        constraint.advance(token)
        written += tiny_model.piece(token)
    assert written == b"ab"
    assert not constraint.complete


def test_a_reply_that_can_only_end_is_complete(tiny_model: Model) -> None:
    constraint = _constraint(tiny_model, 'start: "ab"')
    for byte in b"ab":
        assert not constraint.complete
        (token,) = tiny_model.tokenize(chr(byte), special=False)
        constraint.advance(token)
    assert constraint.complete


def test_control_tokens_never_pass_a_grammar(tiny_model: Model) -> None:
    constraint = _constraint(tiny_model, "start: /.*/")
    eager = np.zeros(tiny_model.n_vocab, np.float32)
    eager[[0, 2, 3, 4]] = 9.0
    assert constraint.choose(eager, Sampler(Sampling())) not in (0, 2, 3, 4)


def test_drawing_under_a_grammar_follows_the_scores_of_what_is_allowed(tiny_model: Model) -> None:
    constraint = _constraint(tiny_model, "start: /[ab]/")
    (a,), (b,) = (tiny_model.tokenize(letter, special=False) for letter in "ab")
    logits = np.zeros(tiny_model.n_vocab, np.float32)
    logits[a] = np.log(3.0)
    sampler = Sampler(Sampling(temperature=1.0, seed=2))
    drawn = [constraint.choose(logits, sampler) for _ in range(2000)]
    assert set(drawn) == {a, b}
    assert drawn.count(a) / 2000 == pytest.approx(0.75, abs=0.04)


def test_a_grammar_that_is_none_says_why(tiny_model: Model) -> None:
    with pytest.raises(ConfigurationError, match="the grammar cannot be used"):
        _constraint(tiny_model, "start: nothing_of_the_kind")


def test_a_token_that_does_not_fit_is_an_error_and_no_crash(tiny_model: Model) -> None:
    constraint = _constraint(tiny_model, 'start: "ab"')
    with pytest.raises(ModelError, match="cannot be followed further"):
        constraint.advance(tiny_model.tokenize("z", special=False)[0])


def test_with_quotes_a_value_is_a_span_of_the_sources(tiny_model: Model) -> None:
    sources = ("from Oslo to the place Lima",)
    values = set()
    for seed in range(40):
        quotes = Quotes(("find.place",), sources)
        constraint = _constraint(tiny_model, 'start: "1. find(place=" /"[^"$]*"/ ")"', quotes)
        reply = _random_reply(tiny_model, constraint, seed)
        assert reply is not None
        value = reply.removeprefix('1. find(place="').removesuffix('")')
        assert value in sources[0]
        assert set(value.split()) <= set(sources[0].split())
        values.add(value)
    assert len(values) > 5


def test_quotes_hold_without_a_grammar_too(tiny_model: Model) -> None:
    quotes = Quotes(("find.place",), ("Oslo",))
    constraint = _constraint(tiny_model, None, quotes)
    for byte in b'1. find(place="':
        constraint.advance(tiny_model.tokenize(chr(byte), special=False)[0])
    token = constraint.choose(np.zeros(tiny_model.n_vocab, np.float32), Sampler(Sampling()))
    assert b"Oslo".startswith(tiny_model.piece(token))
    assert not constraint.complete


def test_where_nothing_can_be_quoted_the_grammar_alone_decides(tiny_model: Model) -> None:
    quotes = Quotes(("find.place",), ())
    constraint = _constraint(tiny_model, 'start: "1. find(place=" /"[abc]{3}"/ ")"', quotes)
    reply = _random_reply(tiny_model, constraint, 1)
    assert reply is not None
    assert re.fullmatch(r'1\. find\(place="[abc]{3}"\)', reply)
