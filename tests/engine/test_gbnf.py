from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.engine.binding import binding
from llmcompiler.engine.gbnf import GbnfCompiler
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError

_PLAN = r"""
root ::= (line "\n")* "join()"   # a plan
line ::= [1-9] ". " (add | "find(place=" text ")")
add ::= "add(a=" number (
  ", b=" number ")")
number ::= "-"? [0-9]{1,3}
text ::= "\"" [^"\n\x00-\x1F]{0,8} "\""
"""
_SHAPE = re.compile(
    # Up to four bytes of a random walk are no character but count as one.
    r'([1-9]\. (add\(a=-?\d{1,3}, b=-?\d{1,3}\)|find\(place="[^"\n\x00-\x1f]{0,32}"\))\n)*join\(\)'
)


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[Model]:
    """Return the tiny model, for as many examples as there are."""
    model = Model(read_header(tiny_gguf), EngineOptions(n_ctx=512, threads=1))
    yield model
    model.close()


@pytest.fixture(scope="module")
def compiler(model: Model) -> GbnfCompiler:
    """Return a compiler for as many examples as there are."""
    return GbnfCompiler(model.table)


def _bytes(model: Model, text: str) -> list[int]:
    """Return tokens of `text`, one for each of its bytes."""
    by_byte = {model.piece(token): token for token in reversed(range(model.n_vocab))}
    return [by_byte[bytes([byte])] for byte in text.encode()]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_random_walk_through_what_is_allowed_matches_the_grammar(
    model: Model, compiler: GbnfCompiler, seed: int
) -> None:
    random = np.random.default_rng(seed)
    matcher, written = compiler.matcher(_PLAN), b""
    while not matcher.ended and len(written) < 500:
        token = int(random.choice(np.flatnonzero(matcher.allowed())))
        assert token not in model.end_tokens, "this grammar may not end before its end"
        written += model.piece(token)
        matcher.advance(token)
    if matcher.ended:
        assert _SHAPE.fullmatch(written.decode("utf-8", "replace"))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 60), seed=st.integers(0, 2**32))
def test_what_is_allowed_is_what_is_admitted(
    model: Model, compiler: GbnfCompiler, cut: int, seed: int
) -> None:
    text = '1. find(place="é ä€🎉 x")\n2. add(a=-10, b=7)\njoin()'
    matcher = compiler.matcher(_PLAN)
    for token in _bytes(model, text)[:cut]:
        matcher.advance(token)
    allowed = set(np.flatnonzero(matcher.allowed()).tolist())
    others = set(range(model.n_vocab)) - set(model.end_tokens)
    assert {token for token in others if matcher.admits((token,))} == allowed - model.end_tokens
    assert matcher.accepting == bool(allowed & model.end_tokens)
    assert matcher.ended == (not allowed - model.end_tokens)


def test_tokens_in_a_row_are_admitted_as_far_as_they_go(
    model: Model, compiler: GbnfCompiler
) -> None:
    matcher = compiler.matcher('root ::= "join(" [a-z]+ ")"')
    right = model.tokenize("join(place)", special=False)
    assert matcher.admits(right) == len(right)
    assert matcher.admits([*right, right[0]]) == len(right)
    assert matcher.admits([*right[:2], right[0], right[1]]) == 3
    assert matcher.admits(right) == len(right)
    assert matcher.admits([]) == 0
    assert matcher.forced() == ()


def test_a_copy_goes_its_own_way(model: Model, compiler: GbnfCompiler) -> None:
    matcher = compiler.matcher('root ::= "ab" | "ac"')
    a, b, c = _bytes(model, "abc")
    matcher.advance(a)
    other = matcher.copy()
    other.advance(b)
    assert other.ended
    assert not matcher.ended
    assert matcher.admits((c,)) == 1


@pytest.mark.parametrize("token", [-1, 1 << 30, 0, 1, 3])
def test_a_token_that_llama_cpp_would_die_of_is_refused(
    model: Model, compiler: GbnfCompiler, token: int
) -> None:
    for grammar in ("root ::= .*", 'root ::= "ab"'):
        matcher = compiler.matcher(grammar)
        assert matcher.admits((token,)) == 0
        with pytest.raises(ModelError, match="cannot be followed further"):
            matcher.advance(token)


def test_after_the_end_nothing_is_admitted(model: Model, compiler: GbnfCompiler) -> None:
    matcher = compiler.matcher('root ::= "a"')
    (a,) = _bytes(model, "a")
    matcher.advance(a)
    assert matcher.ended
    assert matcher.accepting
    assert np.flatnonzero(matcher.allowed()).tolist() == sorted(model.end_tokens)
    with pytest.raises(ModelError, match="cannot be followed further"):
        matcher.advance(a)


def test_a_grammar_that_llama_cpp_refuses_is_a_configuration_error(compiler: GbnfCompiler) -> None:
    for grammar in ("", "root ::= nothing", 'root ::= ("a"{0,2000}){0,2000}'):
        with pytest.raises(ConfigurationError, match="the grammar cannot be used"):
            compiler.matcher(grammar)


def test_a_grammar_for_llguidance_says_what_to_install(compiler: GbnfCompiler) -> None:
    with pytest.raises(MissingExtraError, match="llguidance"):
        compiler.text('start: "a"')


def test_matchers_that_are_dropped_are_freed(
    compiler: GbnfCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    llama = binding()
    free = llama.llama_sampler_free
    freed: list[object] = []

    def noting(sampler: object) -> None:
        freed.append(sampler)
        free(sampler)

    monkeypatch.setattr(llama, "llama_sampler_free", noting)
    matcher = compiler.matcher('root ::= "ab"')
    other = matcher.copy()
    assert not freed
    del other
    assert len(freed) == 1
    del matcher
    assert len(freed) == 2
