"""Which tokens may follow, by a grammar that llama.cpp itself reads?

For where llguidance is not installed: it is slower and forces nothing. It does not know scores or
replies of several grammars. llama.cpp kills the process when it is told of a token that its grammar
does not allow, so each one is checked before.
"""

from __future__ import annotations

import ctypes
import re
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from llmcompiler.engine.binding import binding
from llmcompiler.engine.gbnf_schema import schema_gbnf
from llmcompiler.engine.gbnf_syntax import check_gbnf
from llmcompiler.engine.model import VocabularyTable
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError
from llmcompiler.messages import Grammar

__all__ = ["GbnfCompiler", "GbnfMatcher"]

_ASCII = 128
# Bytes that no text has: llama.cpp lets some of them pass. Control tokens begin with one here.
_NEVER = re.compile(rb"[\xc0\xc1\xf5-\xff]")
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class GbnfCompiler:
    """Reads grammars in llama.cpp's GBNF, for one vocabulary.

    `table` is called at the first need, or by `prepare`.
    """

    __slots__ = ("_table", "_tokens")

    def __init__(self, table: Callable[[], VocabularyTable]) -> None:
        self._table = table
        self._tokens: _Tokens | None = None

    def prepare(self) -> None:
        """Read the vocabulary, if that has not been done."""
        self._read()

    def text(self, grammar: str) -> str:
        """Refuse a grammar that is written as a text: only llguidance reads those.

        Raises:
            MissingExtraError: always.
        """
        raise MissingExtraError("llguidance, which holds a reply to a grammar,", "local")

    def stretch(self, grammar: Grammar, written: str) -> str | None:
        """Return the grammar of what follows `written`; None where the reply is over."""
        return grammar.gbnf(written)

    def schema(self, schema: dict[str, object]) -> str:
        """Write a grammar for JSON of a JSON Schema, blanks after commas and colons only.

        Raises:
            ConfigurationError: the schema cannot be written as one.
        """
        return schema_gbnf(schema)

    def matcher(self, grammar: str) -> GbnfMatcher:
        """Read `grammar`.

        Raises:
            ConfigurationError: the grammar is not one.
        """
        check_gbnf(grammar)
        tokens = self._read()
        sampler = tokens.llama.llama_sampler_init_grammar(
            tokens.vocabulary, grammar.encode(), b"root"
        )
        if not sampler:
            raise ConfigurationError("the grammar cannot be used: llama.cpp refuses it")
        return GbnfMatcher(tokens, sampler)

    def _read(self) -> _Tokens:
        if self._tokens is None:
            self._tokens = _Tokens(self._table())
        return self._tokens


class GbnfMatcher:
    """Where in its grammar a text is; `sampler` is llama.cpp's and freed with this."""

    __slots__ = ("__weakref__", "_sampler", "_tokens")

    tries: ClassVar[int] = 16

    def __init__(self, tokens: _Tokens, sampler: Any) -> None:
        self._tokens = tokens
        self._sampler = sampler
        weakref.finalize(self, tokens.llama.llama_sampler_free, sampler).atexit = False

    @property
    def accepting(self) -> bool:
        """Whether the grammar may end here."""
        ends = self._tokens.ends
        return bool(ends.size) and self._tokens.fits(self._sampler, int(ends[0]))

    @property
    def ended(self) -> bool:
        """Whether nothing may follow."""
        if self._tokens.ends.size and not self.accepting:
            return False
        return not any(
            self._tokens.filter(self._sampler, group).size
            for group in (self._tokens.short, self._tokens.long)
        )

    @property
    def complaint(self) -> str:
        """Nothing: llama.cpp does not say why it refuses."""
        return ""

    def copy(self) -> GbnfMatcher:
        """Return another at the same place."""
        return GbnfMatcher(self._tokens, self._tokens.llama.llama_sampler_clone(self._sampler))

    def admits(self, tokens: Sequence[int]) -> int:
        """Count how many of `tokens`, one after the other, may follow; none of them ends a turn."""
        if not tokens or not self._fits(tokens[0]):
            return 0
        if len(tokens) == 1:
            return 1
        trial = self.copy()
        for count, token in enumerate(tokens):
            if not trial.admits((token,)):
                return count
            trial.advance(token)
        return len(tokens)

    def allowed(self) -> NDArray[np.bool_]:
        """Return which tokens may follow, those that end a turn among them, shape (n_vocab,)."""
        tokens = self._tokens
        short = tokens.filter(self._sampler, tokens.short)
        groups = [tokens.groups[byte] for byte in tokens.bytes_of(short)]
        candidates = np.concatenate([*groups, tokens.long, tokens.ends])
        allowed = np.zeros(tokens.count, np.bool_)
        allowed[tokens.filter(self._sampler, candidates)] = True
        return allowed

    def forced(self) -> Sequence[int]:
        """Return nothing: to find what must follow would cost more than to choose it."""
        return ()

    def advance(self, token: int) -> None:
        """Note that `token` was written.

        Raises:
            ModelError: it may not follow.
        """
        if not self._fits(token):
            raise ModelError("the grammar cannot be followed further")
        self._tokens.llama.llama_sampler_accept(self._sampler, token)

    def _fits(self, token: int) -> bool:
        return token not in self._tokens.end_tokens and self._tokens.fits(self._sampler, token)


class _Tokens:
    """A vocabulary in the order in which grammars are asked about it.

    `short` are the tokens of one ASCII character. What none of them may begin, no longer token of
    that `groups` does, so that few of a large vocabulary need to be looked at. `long` are those
    that begin otherwise or have no such token, `ends` those that end a turn. Control tokens are in
    none of them: their texts are not meant when a grammar allows such a text.
    """

    def __init__(self, table: VocabularyTable) -> None:
        self.llama = binding()
        self.vocabulary = table.vocabulary
        self.count = len(table.texts)
        self.end_tokens = table.end_tokens
        self.ends: NDArray[np.intp] = np.array(sorted(table.end_tokens), np.intp)
        by_byte: dict[int, list[int]] = {}
        short: dict[int, int] = {}
        for token, text in enumerate(table.texts):
            if not text or _NEVER.search(text) or token in table.end_tokens:
                continue
            by_byte.setdefault(text[0], []).append(token)
            if len(text) == 1 and text[0] < _ASCII:
                short[text[0]] = token
        self.groups = {byte: np.array(by_byte[byte], np.intp) for byte in short}
        self.short = np.array(list(short.values()), np.intp)
        rest = [token for byte, group in by_byte.items() if byte not in short for token in group]
        self.long = np.array(sorted(rest), np.intp)
        self._byte = {token: byte for byte, token in short.items()}
        self._known = np.zeros(len(table.texts), np.bool_)
        for group in (*self.groups.values(), self.long, self.ends):
            self._known[group] = True
        self._candidates = np.zeros(len(table.texts), _CANDIDATE)
        self._array = self._wrapped(self._candidates)
        self._one = np.zeros(1, _CANDIDATE)
        self._one_array = self._wrapped(self._one)
        self._one_id, self._one_logit = self._one["id"], self._one["logit"]

    def bytes_of(self, short: NDArray[np.intp]) -> list[int]:
        """Return the characters of some of the `short` tokens."""
        return [self._byte[token] for token in short.tolist()]

    def fits(self, sampler: Any, token: int) -> bool:
        """Say whether one token may follow."""
        if not 0 <= token < self._known.size or not self._known[token]:
            return False
        self._one_id[0] = token
        self._one_logit[0] = 0
        self.llama.llama_sampler_apply(sampler, ctypes.byref(self._one_array))
        return bool(self._one_logit[0] == 0)

    def filter(self, sampler: Any, tokens: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return which of `tokens` may follow, in their order."""
        if not tokens.size:
            return tokens
        candidates = self._candidates[: tokens.size]
        candidates["id"] = tokens
        candidates["logit"] = 0
        self._array.size = tokens.size
        self.llama.llama_sampler_apply(sampler, ctypes.byref(self._array))
        fitting: NDArray[np.intp] = tokens[candidates["logit"] == 0]
        return fitting

    def _wrapped(self, candidates: NDArray[np.void]) -> Any:
        llama = self.llama
        data = candidates.ctypes.data_as(ctypes.POINTER(llama.llama_token_data))
        return llama.llama_token_data_array(data, candidates.size, -1, False)
