"""Which tokens may follow, by the grammar of a request and by what it must quote?

It does not know where the scores come from or what becomes of the token that it chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcompiler.engine.model import VocabularyTable
from llmcompiler.engine.quotes import Quotes
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError

__all__ = ["Constraint", "GrammarCompiler", "schema_grammar"]


def schema_grammar(schema: dict[str, object]) -> str:
    """Turn a JSON Schema into a grammar for JSON of that type, blanks after commas and colons only.

    Raises:
        MissingExtraError: llguidance is not installed.
    """
    style = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    grammar: str = _guidance().LLMatcher.grammar_from_json_schema(schema, defaults=style)
    return grammar


class GrammarCompiler:
    """Makes matchers of grammars for one vocabulary, whose table is read at the first of them."""

    __slots__ = ("_table", "_tokenizer")

    def __init__(self, table: Callable[[], VocabularyTable]) -> None:
        self._table = table
        self._tokenizer: Any = None

    def matcher(self, grammar: str) -> Any:
        """Compile `grammar`, in llguidance's Lark dialect or its JSON form.

        Raises:
            ConfigurationError: the grammar is not one.
            MissingExtraError: llguidance is not installed.
        """
        guidance = _guidance()
        if self._tokenizer is None:
            table = self._table()
            self._tokenizer = guidance.LLTokenizer.from_llamacpp(
                tokens=list(table.texts),
                vocab_ptr=table.vocabulary,
                tokenize_fptr=table.tokenize,
                eos_token=sorted(table.end_tokens),
                slices=None,
            )
        matcher = guidance.LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise ConfigurationError(f"the grammar cannot be used: {matcher.get_error()}")
        return matcher


class Constraint:
    """What one reply is held to: a grammar, quotes, or both.

    `piece` gives a token's bytes. A token that ends the turn is allowed when the grammar is
    complete and no quoted number is half written.
    """

    __slots__ = ("_end_tokens", "_mask", "_matcher", "_piece", "_quotes")

    def __init__(
        self,
        matcher: Any,
        quotes: Quotes | None,
        *,
        n_vocab: int,
        end_tokens: Collection[int],
        piece: Callable[[int], bytes],
    ) -> None:
        self._matcher = matcher
        self._quotes = quotes
        self._end_tokens = frozenset(end_tokens)
        self._mask: NDArray[np.uint32] = np.zeros((n_vocab + 31) // 32, dtype=np.uint32)
        self._piece = piece

    @property
    def complete(self) -> bool:
        """Whether nothing but the end may follow."""
        return self._matcher is not None and bool(self._matcher.is_stopped())

    def choose(self, logits: Logits, sampler: Sampler) -> int:
        """Choose a token that may follow.

        The sampler's own choice is checked first, and only a miss costs a mask over the whole
        vocabulary. If nothing that the grammar allows is a quote, the grammar alone decides.

        Raises:
            ModelError: the grammar allows nothing.
        """
        choice = sampler.pick(logits)
        if self._allows(choice):
            return choice
        allowed = self._allowed(logits.size)
        masked = np.where(allowed, logits, np.float32(-np.inf))
        if not allowed.any():
            raise ModelError(f"the grammar allows nothing here{self._complaint()}")
        if self._quotes is None:
            return sampler.pick(masked)
        order = list(sampler.order(masked))
        return next((token for token in order if self._quoted(token)), order[0])

    def advance(self, token: int) -> None:
        """Note that `token` was chosen.

        Raises:
            ModelError: the grammar gave up, as it does on texts that cost too much to follow.
        """
        if self._matcher is not None and not self._matcher.consume_token(token):
            raise ModelError(f"the grammar cannot be followed further{self._complaint()}")
        if self._quotes is not None:
            self._quotes.advance(self._piece(token))

    def _allows(self, token: int) -> bool:
        fits = self._matcher is None or self._matcher.validate_tokens([token]) == 1
        return fits and self._quoted(token)

    def _quoted(self, token: int) -> bool:
        if self._quotes is None:
            return True
        if token in self._end_tokens:
            return self._quotes.admits_end()
        return self._quotes.admits(self._piece(token))

    def _allowed(self, count: int) -> NDArray[np.bool_]:
        """Return which tokens the grammar allows, shape (count,)."""
        if self._matcher is None:
            return np.ones(count, dtype=np.bool_)
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        bits = np.unpackbits(self._mask.view(np.uint8), count=count, bitorder="little")
        return bits.view(np.bool_)

    def _complaint(self) -> str:
        return f": {self._matcher.get_error()}" if self._matcher.is_error() else ""


def _guidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise MissingExtraError("llguidance, which holds a reply to a grammar,", "local") from error
    return llguidance
