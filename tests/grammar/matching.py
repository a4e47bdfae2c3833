"""Does a text match a turn's grammar, stretch by stretch, and what else would the grammar allow?

Lark is followed by llguidance and GBNF by llama.cpp itself, a byte at a time.
"""

from __future__ import annotations

import atexit
import random
import tempfile
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from llmcompiler.engine.gbnf import GbnfCompiler, GbnfMatcher
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.messages import Grammar
from tests.engine.tiny_model import write_tiny_model

pytest.importorskip("llama_cpp")
guidance = pytest.importorskip("llguidance")

BYTES = guidance.LLTokenizer("byte")
Form = Literal["lark", "gbnf"]
FORMS: tuple[Form, ...] = ("lark", "gbnf")


class Follower(Protocol):
    """Where in the grammar of one stretch a text is."""

    @property
    def accepting(self) -> bool:
        """Whether the text may end here."""
        ...

    @property
    def ended(self) -> bool:
        """Whether it must."""
        ...

    def take(self, text: bytes) -> int:
        """Go on by as much of `text` as is allowed, and return how much that was."""
        ...

    def allowed(self) -> Sequence[int]:
        """List the bytes that may follow."""
        ...


class _Lark:
    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    @property
    def accepting(self) -> bool:
        return bool(self._matcher.is_accepting())

    @property
    def ended(self) -> bool:
        return bool(self._matcher.is_stopped())

    def take(self, text: bytes) -> int:
        taken: int = self._matcher.try_consume_tokens(list(text))
        return taken

    def allowed(self) -> Sequence[int]:
        mask = self._matcher.compute_bitmask()
        return [n for n in range(256) if mask[n // 8] >> (n % 8) & 1]


class _Gbnf:
    def __init__(self, matcher: GbnfMatcher, tokens: dict[int, int]) -> None:
        self._matcher = matcher
        self._tokens = tokens

    @property
    def accepting(self) -> bool:
        return self._matcher.accepting

    @property
    def ended(self) -> bool:
        return self._matcher.ended

    def take(self, text: bytes) -> int:
        tokens = [self._tokens[byte] for byte in text]
        count = self._matcher.admits(tokens)
        for token in tokens[:count]:
            self._matcher.advance(token)
        return count

    def allowed(self) -> Sequence[int]:
        """List those of ASCII: in the middle of a character llama.cpp allows what no text has."""
        return [byte for byte in range(128) if self._matcher.admits((self._tokens[byte],))]


@lru_cache(maxsize=256)
def _read(text: str) -> Any:
    matcher = guidance.LLMatcher(BYTES, text, log_level=0)
    assert not matcher.is_error(), f"{matcher.get_error()}\n{text}"
    return matcher


@cache
def _llama() -> tuple[GbnfCompiler, dict[int, int]]:
    """Return llama.cpp's reader of grammars, and the token of each byte."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_tiny_model(Path(folder) / "tiny.gguf")
        model = Model(read_header(path), EngineOptions(n_ctx=512, threads=1))
    atexit.register(model.close)
    pieces = {model.piece(token): token for token in reversed(range(model.n_vocab))}
    tokens = {byte: pieces[bytes([byte])] for byte in range(256) if bytes([byte]) in pieces}
    return GbnfCompiler(model.table), tokens


def begin(grammar: Grammar, written: str, form: Form) -> Follower | None:
    """Return a follower at the beginning of the next stretch, None where the reply is over."""
    text = grammar.lark(written) if form == "lark" else grammar.gbnf(written)
    if text is None:
        return None
    if form == "lark":
        return _Lark(_read(text).deep_copy())
    compiler, tokens = _llama()
    return _Gbnf(compiler.matcher(text), tokens)


def accepts(grammar: Grammar, text: str, form: Form = "lark") -> bool:
    """Whether the reply may be `text`."""
    rest = text.encode()
    written = b""
    while (follower := begin(grammar, written.decode(), form)) is not None:
        if not rest:
            return False
        taken = follower.take(rest)
        written, rest = written + rest[:taken], rest[taken:]
        if not follower.ended:
            return not rest and follower.accepting
    return not rest


def walk(grammar: Grammar, rng: random.Random, longest: int, form: Form = "lark") -> str | None:
    """Write what the grammar allows, letter by letter at random, in a hurry to end.

    None comes back where the end was not reached in `longest` bytes.
    """
    written = b""
    while (follower := begin(grammar, written.decode(), form)) is not None:
        while not follower.ended:
            allowed = follower.allowed()
            if follower.accepting and (not allowed or rng.random() < 0.2):
                return written.decode()
            closing = [n for n in b')"]}\n$1' if n in allowed]
            byte = rng.choice(closing if closing and rng.random() < 0.4 else list(allowed))
            assert follower.take(bytes((byte,))) == 1
            written += bytes((byte,))
            if len(written) >= longest:
                return None
    return written.decode()
