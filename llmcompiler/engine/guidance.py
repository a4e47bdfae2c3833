"""Which tokens may follow, by a grammar that llguidance reads?

It does not know scores, replies of several grammars, or a model beyond its vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from llmcompiler.engine.model import VocabularyTable
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError
from llmcompiler.messages import Grammar

__all__ = ["GuidanceCompiler", "GuidanceMatcher"]

# Whatever a text of the plan language may hold without a thought: of tokens made of these alone,
# llguidance knows without looking that they may stand inside a text. Measured at 128k tokens: a
# mask in a text costs 0.1 ms with this slice and 0.3 ms with the library's own, which the plan
# language's dollar signs defeat; and the table is built in 0.2 s, not 0.35 s.
_SLICES = [r'[^"\\$\x00-\x1F]+']


class GuidanceCompiler:
    """Reads grammars in llguidance's Lark dialect or its JSON form, for one vocabulary.

    `table` is called at the first need, or by `prepare`.

    Raises:
        MissingExtraError: llguidance is not installed.
    """

    __slots__ = ("_guidance", "_mask", "_n_vocab", "_table", "_tokenizer")

    def __init__(self, table: Callable[[], VocabularyTable]) -> None:
        self._guidance = _guidance()
        self._table = table
        self._tokenizer: Any = None
        self._n_vocab = 0
        self._mask: NDArray[np.uint32] = np.zeros(0, np.uint32)

    def prepare(self) -> None:
        """Read the vocabulary, if that has not been done: 0.3 s for 128k tokens."""
        if self._tokenizer is not None:
            return
        table = self._table()
        self._n_vocab = len(table.texts)
        self._mask = np.zeros((self._n_vocab + 31) // 32, np.uint32)
        self._tokenizer = self._guidance.LLTokenizer.from_llamacpp(
            tokens=list(table.texts),
            vocab_ptr=table.vocabulary,
            tokenize_fptr=table.tokenize,
            eos_token=sorted(table.end_tokens),
            slices=_SLICES,
        )

    def text(self, grammar: str) -> str:
        """Return a grammar that is written as a text as this compiler reads it."""
        return grammar

    def stretch(self, grammar: Grammar, written: str) -> str | None:
        """Return the grammar of what follows `written`; None where the reply is over."""
        return grammar.lark(written)

    def schema(self, schema: dict[str, object]) -> str:
        """Write a grammar for JSON of a JSON Schema, blanks after commas and colons only."""
        style = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar: str = self._guidance.LLMatcher.grammar_from_json_schema(schema, defaults=style)
        return grammar

    def matcher(self, grammar: str) -> GuidanceMatcher:
        """Read `grammar`; about 1 ms for a plan line of a few tools.

        Raises:
            ConfigurationError: the grammar is not one.
        """
        self.prepare()
        matcher = self._guidance.LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise ConfigurationError(f"the grammar cannot be used: {_error(matcher)}")
        return GuidanceMatcher(matcher, self._mask, self._n_vocab)


class GuidanceMatcher:
    """Where in its grammar a text is. `mask` is room for one bit a token, shared and overwritten."""

    __slots__ = ("_mask", "_matcher", "_n_vocab")

    tries: ClassVar[int] = 2

    def __init__(self, matcher: Any, mask: NDArray[np.uint32], n_vocab: int) -> None:
        self._matcher = matcher
        self._mask = mask
        self._n_vocab = n_vocab

    @property
    def accepting(self) -> bool:
        """Whether the grammar may end here."""
        return bool(self._matcher.is_accepting())

    @property
    def ended(self) -> bool:
        """Whether something was written and nothing may follow it."""
        return bool(self._matcher.is_stopped())

    @property
    def complaint(self) -> str:
        """Why the grammar gave up, after a colon; empty if it did not."""
        return f": {_error(self._matcher)}" if self._matcher.is_error() else ""

    def copy(self) -> GuidanceMatcher:
        """Return another at the same place; 5 us."""
        return GuidanceMatcher(self._matcher.deep_copy(), self._mask, self._n_vocab)

    def admits(self, tokens: Sequence[int]) -> int:
        """Count how many of `tokens`, one after the other, may follow; none of them ends a turn."""
        return int(self._matcher.validate_tokens(tokens))

    def allowed(self) -> NDArray[np.bool_]:
        """Return which tokens may follow, those that end a turn among them, shape (n_vocab,)."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        bits = np.unpackbits(self._mask.view(np.uint8), count=self._n_vocab, bitorder="little")
        return bits.view(np.bool_)

    def forced(self) -> Sequence[int]:
        """Return tokens that must follow, as the model's own tokenizer would split their text.

        Of a text that is forced, what might be the beginning of a longer token is left out.
        """
        forced: list[int] = self._matcher.compute_ff_tokens()
        return forced

    def advance(self, token: int) -> None:
        """Note that `token` was written.

        Raises:
            ModelError: it may not follow, or the grammar gave up, as it does on texts that cost
                too much to follow.
        """
        if not self._matcher.consume_token(token):
            raise ModelError(f"the grammar cannot be followed further{self.complaint}")


def _error(matcher: Any) -> str:
    """Return what went wrong without the matcher's own state, which may be pages long."""
    message: str = matcher.get_error()
    return message.split("\n<state>")[0].strip()


def _guidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise MissingExtraError("llguidance, which holds a reply to a grammar,", "local") from error
    return llguidance
