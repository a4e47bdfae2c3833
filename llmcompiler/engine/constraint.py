"""Which tokens may follow, by the grammar of a reply and by what it must quote?

It does not know where the scores come from or what becomes of the tokens that it chooses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from llmcompiler.engine.gbnf import GbnfCompiler
from llmcompiler.engine.guidance import GuidanceCompiler
from llmcompiler.engine.model import VocabularyTable
from llmcompiler.engine.quotes import Quotes
from llmcompiler.engine.sampler import Logits, Sampler
from llmcompiler.errors import ConfigurationError, MissingExtraError, ModelError
from llmcompiler.messages import Grammar

__all__ = ["Constraint", "GrammarCompiler", "Matcher", "Vocabulary"]

_KEPT = 64  # grammars: a line's is wanted again by the next plan of the same tools
_WIDE = 4  # where a quarter of all tokens is allowed, the best one is soon met from the top
_LOOKS = 16


class Vocabulary(Protocol):
    """What of a model a grammar is about; `piece` gives a token's bytes."""

    n_vocab: int
    end_tokens: frozenset[int]

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token's text."""
        ...

    def table(self) -> VocabularyTable:
        """List all tokens."""
        ...


class Matcher(Protocol):
    """Where in one grammar a text is. `admits` and `advance` are never given a token that ends a
    turn; `allowed` has those that do where the grammar may end. `tries` is how many tokens it is
    cheaper to ask about one by one than to look at the whole vocabulary.
    """

    tries: ClassVar[int]

    @property
    def accepting(self) -> bool:
        """Whether the text may end here."""
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing more may follow."""
        ...

    @property
    def complaint(self) -> str:
        """What went wrong, or nothing."""
        ...

    def copy(self) -> Matcher:
        """Return another that goes on from the same place."""
        ...

    def admits(self, tokens: Sequence[int]) -> int:
        """Count how many of `tokens`, from the first on, may follow."""
        ...

    def allowed(self) -> NDArray[np.bool_]:
        """Say which tokens may follow, shape (n_vocab,)."""
        ...

    def forced(self) -> Sequence[int]:
        """Return the tokens that must follow; nothing is written by that."""
        ...

    def advance(self, token: int) -> None:
        """Note that `token` was written."""
        ...


class GrammarCompiler:
    """Makes constraints for one vocabulary: by llguidance, or without it by llama.cpp's own grammars.

    Grammars that were read are kept, the last `_KEPT` of them. For one thread at a time.
    """

    __slots__ = ("_compiler", "_kept", "_scratch", "vocabulary")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._compiler: GuidanceCompiler | GbnfCompiler | None = None
        self._kept: OrderedDict[str, Matcher] = OrderedDict()
        self._scratch: Logits = np.zeros(0, np.float32)

    def prepare(self) -> None:
        """Read the vocabulary now and not at the first grammar: 0.3 s for 128k tokens.

        Nothing else of Python runs for most of that time, whatever the thread.
        """
        self._chosen().prepare()

    def open(
        self,
        grammar: str | Grammar | None = None,
        schema: dict[str, object] | None = None,
        quotes: Quotes | None = None,
    ) -> Constraint | None:
        """Begin a reply that is held to `grammar` or else to JSON of `schema`, and to `quotes`.

        None says that it is held to nothing.

        Raises:
            ConfigurationError: the grammar or the schema cannot be used.
            MissingExtraError: the grammar is a text for llguidance, which is not installed.
        """
        if grammar is None and schema is None:
            return None if quotes is None else Constraint(self, None, quotes)
        compiler = self._chosen()
        if grammar is None or isinstance(grammar, str):
            fixed = compiler.schema(schema or {}) if grammar is None else compiler.text(grammar)
            return Constraint(self, _once(fixed), quotes)
        stretches = grammar
        return Constraint(self, lambda written: compiler.stretch(stretches, written), quotes)

    def matcher(self, grammar: str) -> Matcher:
        """Read a grammar, or take the one that was read before, at its beginning.

        Raises:
            ConfigurationError: it is not one.
        """
        found = self._kept.get(grammar)
        if found is None:
            found = self._kept[grammar] = self._chosen().matcher(grammar)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(grammar)
        return found.copy()

    def scratch(self, size: int) -> Logits:
        """Return room for one score a token, shape (size,), which the next call gives away again."""
        if self._scratch.size != size:
            self._scratch = np.empty(size, np.float32)
        return self._scratch

    def _chosen(self) -> GuidanceCompiler | GbnfCompiler:
        if self._compiler is None:
            try:
                self._compiler = GuidanceCompiler(self.vocabulary.table)
            except MissingExtraError:
                self._compiler = GbnfCompiler(self.vocabulary.table)
        return self._compiler


class Constraint:
    """What one reply is held to: a grammar, stretch by stretch, or quotes, or both.

    A stretch is over where its grammar allows nothing more; the next one is asked for at once.
    No token reaches from one into the next. A token that ends the turn is allowed where the
    grammar may end and no other stretch would follow, and no quoted number is half written.

    `complete` says that nothing but the end may follow; `seconds` is the time spent in here.
    """

    __slots__ = (
        "_compiler",
        "_end_tokens",
        "_matcher",
        "_piece",
        "_quotes",
        "_stretch",
        "_written",
        "complete",
        "seconds",
    )

    def __init__(
        self,
        compiler: GrammarCompiler,
        stretch: Callable[[str], str | None] | None,
        quotes: Quotes | None,
    ) -> None:
        start = perf_counter()
        self._compiler = compiler
        self._end_tokens = compiler.vocabulary.end_tokens
        self._piece = compiler.vocabulary.piece
        self._quotes = quotes
        self._stretch = stretch
        self._written = b""
        self._matcher: Matcher | None = None
        self.complete = False
        if stretch is not None:
            self._begin(stretch)
        self.seconds = perf_counter() - start

    def choose(self, logits: Logits, sampler: Sampler) -> int:
        """Choose a token that may follow; `logits` has one score for each token.

        The sampler's own choice is checked first; if it is greedy, a few next best ones are too.
        Only then is the whole vocabulary looked at. If nothing that the grammar allows is a quote,
        the grammar alone decides. Where the reply is complete, a token that ends the turn is given.

        Raises:
            ModelError: the grammar allows nothing.
        """
        start = perf_counter()
        try:
            return self._choose(logits, sampler)
        finally:
            self.seconds += perf_counter() - start

    def advance(self, token: int) -> None:
        """Note that `token`, which does not end the turn, was chosen.

        Raises:
            ModelError: it may not follow, or the grammar gave up, as it does on texts that cost
                too much to follow.
            ConfigurationError: the grammar of the next stretch cannot be used.
        """
        start = perf_counter()
        try:
            self._advance(token)
        finally:
            self.seconds += perf_counter() - start

    def forced(self) -> tuple[int, ...]:
        """Return the tokens that must follow, over the ends of stretches; none ends the turn.

        They count as written when this returns: do not `advance` by them. Where a text is forced
        that the quotes refuse, nothing is: the model then chooses how to go on.

        Raises:
            ConfigurationError: the grammar of the next stretch cannot be used.
        """
        start = perf_counter()
        try:
            return tuple(self._forced())
        finally:
            self.seconds += perf_counter() - start

    def admit(self, tokens: Sequence[int]) -> int:
        """Count how many of `tokens`, from the first on, may follow; nothing is written by that.

        A token that ends the turn is never counted, nor anything behind the end of a stretch.
        """
        start = perf_counter()
        count = next(
            (n for n, token in enumerate(tokens) if token in self._end_tokens), len(tokens)
        )
        if self.complete:
            count = 0
        if count and self._matcher is not None:
            count = self._matcher.admits(tokens[:count])
        if count and self._quotes is not None:
            count = self._quotes.admitted(self._piece(token) for token in tokens[:count])
        self.seconds += perf_counter() - start
        return count

    def _choose(self, logits: Logits, sampler: Sampler) -> int:
        if self.complete:
            return max(self._end_tokens, key=lambda token: float(logits[token]))
        choice = sampler.pick(logits)
        if self._allows(choice):
            return choice
        scores = self._compiler.scratch(logits.size)
        np.copyto(scores, logits)
        if sampler.greedy and self._matcher is not None:
            for _ in range(self._matcher.tries):
                scores[choice] = -np.inf
                choice = int(scores.argmax())
                if self._allows(choice):
                    return choice
        allowed = self._allowed(logits.size)
        count = np.count_nonzero(allowed)
        if not count:
            complaint = "" if self._matcher is None else self._matcher.complaint
            raise ModelError(f"the grammar allows nothing here{complaint}")
        if self._quotes is not None:
            masked = np.where(allowed, logits, np.float32(-np.inf))
            order = [*sampler.order(masked), int(allowed.argmax())]
            return next((token for token in order if self._quoted(token)), order[0])
        if sampler.greedy and count * _WIDE > logits.size:
            for _ in range(_LOOKS):
                if allowed[choice] and scores[choice] > -np.inf:
                    return choice
                scores[choice] = -np.inf
                choice = int(scores.argmax())
        return sampler.pick(logits, np.flatnonzero(allowed))

    def _advance(self, token: int) -> None:
        if self._matcher is not None:
            self._matcher.advance(token)
        piece = self._piece(token)
        if self._quotes is not None:
            self._quotes.advance(piece)
        if self._stretch is not None and self._matcher is not None:
            self._written += piece
            if self._matcher.ended:
                self._begin(self._stretch)

    def _forced(self) -> list[int]:
        tokens: list[int] = []
        while not self.complete and self._matcher is not None:
            run = self._matcher.forced()
            if not run:
                break
            for token in run:
                if token in self._end_tokens or not self._quoted(token):
                    return tokens
                self._advance(token)
                tokens.append(token)
        return tokens

    def _begin(self, stretch: Callable[[str], str | None]) -> None:
        """Go on to the next stretch, if there is one."""
        grammar = stretch(self._text())
        if grammar is None:
            self._matcher, self.complete = None, True
            return
        self._matcher = self._compiler.matcher(grammar)
        if self._matcher.accepting and self._end_tokens.issuperset(
            np.flatnonzero(self._matcher.allowed()).tolist()
        ):
            if stretch(self._text()) is not None:
                raise ConfigurationError(
                    f"the grammar of what follows {self._text()[-60:]!r} allows an empty text "
                    f"alone: give None where the reply is over"
                )
            self._matcher, self.complete = None, True

    def _text(self) -> str:
        return self._written.decode("utf-8", "replace")

    def _allows(self, token: int) -> bool:
        if token in self._end_tokens:
            return self._may_end() and self._quoted(token)
        return (self._matcher is None or self._matcher.admits((token,)) == 1) and self._quoted(
            token
        )

    def _may_end(self) -> bool:
        """Say whether the grammar may end here, and with it the reply."""
        if self._matcher is None or self._stretch is None:
            return True
        return self._matcher.accepting and self._stretch(self._text()) is None

    def _quoted(self, token: int) -> bool:
        if self._quotes is None:
            return True
        if token in self._end_tokens:
            return self._quotes.admits_end()
        return self._quotes.admits(self._piece(token))

    def _allowed(self, count: int) -> NDArray[np.bool_]:
        """Return which of `count` tokens the grammar allows, shape (count,)."""
        if self._matcher is None:
            return np.ones(count, np.bool_)
        allowed = self._matcher.allowed()
        if self._matcher.accepting and not self._may_end():
            allowed[list(self._end_tokens)] = False
        return allowed


def _once(grammar: str) -> Callable[[str], str | None]:
    """Make a grammar of one stretch."""
    rest = [grammar]
    return lambda written: rest.pop() if rest else None
