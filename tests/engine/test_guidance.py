from __future__ import annotations

import sys

import numpy as np
import pytest

from llmcompiler.engine.guidance import GuidanceCompiler
from llmcompiler.engine.model import Model
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError


def _texts(model: Model, tokens: object) -> list[bytes]:
    assert isinstance(tokens, list | tuple)
    return [model.piece(token) for token in tokens]


def test_forced_text_is_split_as_the_model_would(tiny_model: Model) -> None:
    matcher = GuidanceCompiler(tiny_model.table).matcher('start: "join(place)" /[a-z]/')
    forced = matcher.forced()
    assert list(forced) == tiny_model.tokenize("join(place)", special=False)


def test_what_may_be_the_beginning_of_a_longer_token_is_not_forced(tiny_model: Model) -> None:
    compiler = GuidanceCompiler(tiny_model.table)
    assert _texts(tiny_model, compiler.matcher('start: "(jo" /[a-z]+/').forced()) == [b"("]
    assert b"".join(_texts(tiny_model, compiler.matcher('start: "(jo" "!"').forced())) == b"(jo!"


def test_what_is_allowed_includes_the_end_where_the_grammar_may_end(tiny_model: Model) -> None:
    matcher = GuidanceCompiler(tiny_model.table).matcher("start: /[ab]?/")
    a, b = (tiny_model.tokenize(letter, special=False)[0] for letter in "ab")
    assert matcher.accepting
    assert np.flatnonzero(matcher.allowed()).tolist() == sorted([a, b, *tiny_model.end_tokens])
    matcher.advance(a)
    assert matcher.ended


def test_a_copy_goes_its_own_way(tiny_model: Model) -> None:
    matcher = GuidanceCompiler(tiny_model.table).matcher('start: "ab" | "ac"')
    a, b, c = (tiny_model.tokenize(letter, special=False)[0] for letter in "abc")
    matcher.advance(a)
    other = matcher.copy()
    other.advance(b)
    assert other.ended
    assert not matcher.ended
    assert matcher.admits((c,)) == 1


def test_a_refusal_is_short_and_names_the_problem(tiny_model: Model) -> None:
    compiler = GuidanceCompiler(tiny_model.table)
    with pytest.raises(ConfigurationError, match='unknown name: "x"'):
        compiler.matcher("start: x")
    matcher = compiler.matcher('start: "ab"')
    with pytest.raises(ModelError, match="cannot be followed further") as caught:
        matcher.advance(tiny_model.tokenize("z", special=False)[0])
    assert "state>" not in str(caught.value)


def test_without_llguidance_it_says_what_to_install(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError, match="llguidance"):
        GuidanceCompiler(tiny_model.table)
