"""Grammars, compilers and replies that are held to something, for tests."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from llmcompiler.engine.constraint import Constraint, GrammarCompiler
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.quotes import Quotes
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.messages import Grammar, Sampling

PLAN = r"""
start: line+ "join()"
line: /[1-9]/ ". " ("add(a=" number ", b=" number ")" | "find(place=" text ")") "\n"
number: /-?[0-9]{1,3}/
text: /"[a-z A-Z]{1,8}"/
"""
PLAN_GBNF = r"""
root ::= line+ "join()"
line ::= [1-9] ". " ("add(a=" number ", b=" number ")" | "find(place=" text ")") "\n"
number ::= "-"? [0-9]{1,3}
text ::= "\"" [a-z A-Z]{1,8} "\""
"""
PLAN_SHAPE = re.compile(
    r'([1-9]\. (add\(a=-?\d{1,3}, b=-?\d{1,3}\)|find\(place="[a-z A-Z]{1,8}"\))\n)+join\(\)'
)
LINE_SHAPE = re.compile(r'(\d+)\. (?:find\(place="([a-z]*)", after=\$(\d+)\)|join\(\))\n?')

Stretch = str | tuple[str, str] | None


@dataclass
class Stretches(Grammar):
    """Stretches one after the other, each as Lark, or as Lark and GBNF; `asked` notes the texts."""

    stretches: list[Stretch]
    asked: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def lark(self, written: str) -> str | None:
        return self._next(written, 0)

    def gbnf(self, written: str) -> str | None:
        return self._next(written, 1)

    def _next(self, written: str, form: int) -> str | None:
        self.asked.append(written)
        if written not in self.ends:
            self.ends.append(written)
        place = self.ends.index(written)
        found = self.stretches[place] if place < len(self.stretches) else None
        return found if found is None or isinstance(found, str) else found[form]


class Lines(Grammar):
    """Plan lines whose numbers count up and whose references name earlier lines; four at most."""

    def lark(self, written: str) -> str | None:
        if written.endswith("join()"):
            return None
        number, known = self._line(written)
        find = f'"find(place=" /"[a-z]{{0,9}}"/ ", after=$" ({known}) ")\\n"'
        return f'start: "{number}. " ({find if number < 4 else ""} {"|" if number < 4 else ""} "join()")'

    def gbnf(self, written: str) -> str | None:
        if written.endswith("join()"):
            return None
        number, known = self._line(written)
        find = f'"find(place=\\"" [a-z]{{0,9}} "\\", after=$" ({known}) ")\\n" |'
        return f'root ::= "{number}. " ({find if number < 4 else ""} "join()")'

    @staticmethod
    def _line(written: str) -> tuple[int, str]:
        number = written.count("\n") + 1
        return number, " | ".join(f'"{earlier}"' for earlier in range(number))


@pytest.fixture(scope="module")
def model(tiny_gguf: Path) -> Iterator[Model]:
    """Return the tiny model, for as many examples as there are."""
    model = Model(read_header(tiny_gguf), EngineOptions(n_ctx=512, threads=1))
    yield model
    model.close()


@pytest.fixture(params=["llguidance", "llama.cpp"])
def compiler(
    request: pytest.FixtureRequest, model: Model, monkeypatch: pytest.MonkeyPatch
) -> GrammarCompiler:
    """Return a compiler with llguidance, and one for where it is not installed."""
    if request.param == "llama.cpp":
        monkeypatch.setitem(sys.modules, "llguidance", None)
    return GrammarCompiler(model)


@pytest.fixture(scope="module")
def guided(model: Model) -> GrammarCompiler:
    """Return a compiler with llguidance, for as many examples as there are."""
    return GrammarCompiler(model)


def open_constraint(
    compiler: GrammarCompiler, grammar: str | Grammar | None, quotes: Quotes | None = None
) -> Constraint:
    constraint = compiler.open(grammar, None, quotes)
    assert constraint is not None
    return constraint


def written_reply(
    model: Model,
    constraint: Constraint,
    scores: Callable[[bytes], Logits],
    *,
    jump: bool = False,
    sampler: Sampler | None = None,
    limit: int = 400,
) -> str | None:
    """Write by `scores` of the text so far; return the text, or None if it did not end in time."""
    sampler = sampler or Sampler(Sampling())
    written = b""
    for _ in range(limit):
        if jump:
            written += b"".join(model.piece(token) for token in constraint.forced())
        if constraint.complete:
            return written.decode()
        token = constraint.choose(scores(written), sampler)
        if token in model.end_tokens:
            return written.decode()
        constraint.advance(token)
        written += model.piece(token)
    return None


def random_scores(model: Model, seed: int) -> Callable[[bytes], Logits]:
    random = np.random.default_rng(seed)
    return lambda written: random.standard_normal(model.n_vocab).astype(np.float32)


def scores_by_text(model: Model, seed: int) -> Callable[[bytes], Logits]:
    """Return scores that depend on the text so far alone, in which tokens of one byte stand first."""
    short = np.array([len(model.piece(token)) == 1 for token in range(model.n_vocab)])

    def scores(written: bytes) -> Logits:
        digest = hashlib.sha256(seed.to_bytes(8, "big") + written).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        drawn: Logits = random.standard_normal(model.n_vocab).astype(np.float32)
        drawn[short] += 100
        return drawn

    return scores


def eager_for(model: Model, *tokens: int) -> Logits:
    logits = np.zeros(model.n_vocab, np.float32)
    logits[list(tokens)] = 9.0
    return logits


def token_of(model: Model, letter: str) -> int:
    (token,) = model.tokenize(letter, special=False)
    return token


def write_text(model: Model, constraint: Constraint, text: str) -> None:
    for letter in text:
        constraint.advance(token_of(model, letter))
