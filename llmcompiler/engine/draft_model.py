"""Which tokens probably follow, going by a small model beside the large one?

It does not know the large model's cache or what becomes of a guess; the two share a vocabulary and
nothing else.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.cache import common_prefix
from llmcompiler.engine.context import Context, NoRoom
from llmcompiler.engine.cost import measure
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.sampler import Logits
from llmcompiler.errors import ConfigurationError, ModelError

__all__ = ["DraftEngine", "ModelDrafts"]

_log = logging.getLogger("llmcompiler.engine")
_PADDING: Final = 128  # tokens by which vocabularies of one family may differ at their end
_UNSURE: Final = 0.4  # a guess less likely than that ends there


class DraftEngine:
    """A small model that guesses for many texts, one after another, on one thread.

    It owns `model` and a context of `n_slots` sequences on it, which share `n_cells`; `target` is
    the model that is guessed for. `n_ctx` is the most tokens of one text. `price` is what one guessed token costs, in seconds. What a text left behind is
    gone on from by the next that begins alike.

    Raises:
        ConfigurationError: the vocabularies differ, or the small model cannot take tokens back.
    """

    def __init__(
        self,
        model: Model,
        target: Model,
        options: EngineOptions,
        *,
        n_slots: int = 4,
        n_cells: int | None = None,
    ) -> None:
        self.known = _shared(model, target)
        self._model = model
        self._context = Context(model, options, n_cells=n_cells, n_slots=n_slots)
        self.n_ctx = self._context.n_ctx
        self._held = [array("i") for _ in range(n_slots)]
        self._idle = list(range(n_slots))  # the longest unused first
        self.price = measure(self._context, widths=(1,), budget=0.2).seconds(1)

    def open(self, prompt: Sequence[int] = ()) -> ModelDrafts:
        """Begin to guess for a text that begins with `prompt`."""
        return ModelDrafts(self, prompt)

    def take(self, tokens: array[int]) -> int | None:
        """Return a slot for a text, with as much of it computed as is known; None if all are taken.

        Give it back with `leave`.
        """
        if not self._idle:
            return None
        known = [common_prefix(held, tokens) for held in self._held]
        empty = [slot for slot in self._idle if not self._held[slot]]
        source: int = max([*self._idle, *range(len(known))], key=lambda slot: known[slot])
        if source in self._idle and (not empty or 2 * known[source] >= len(self._held[source])):
            self._idle.remove(source)
            return source
        slot = empty[0] if empty else self._idle[0]
        self._idle.remove(slot)
        self._forget(slot)
        if known[source]:
            self._context.fork(source, slot, known[source])
            self._held[slot] = self._held[source][: known[source]]
        return slot

    def leave(self, slot: int) -> None:
        """Give a slot back; what it holds stays until its room is needed."""
        self._idle.append(slot)

    def scores(self, slot: int, tokens: array[int]) -> Logits | None:
        """Compute a text as far as one pass goes: the scores behind it, or None before its end.

        What the slot holds beyond `tokens` is dropped. The scores are overwritten by the next call.

        Raises:
            ModelError: the text does not fit, or the model could not compute it.
        """
        held = self._held[slot]
        kept = min(common_prefix(held, tokens), len(tokens) - 1)
        if not self._context.trim(slot, kept):
            self._context.clear(slot)
            kept = 0
        del held[kept:]
        now = tuple(tokens[kept : kept + self._context.batch])
        whole = kept + len(now) == len(tokens)
        self._evaluate(Row(slot, kept, now, int(whole)))
        held.extend(now)
        return self._context.logits()[-1][: self.known] if whole else None

    def ends(self, token: int) -> bool:
        """Say whether nothing follows a token."""
        return token in self._model.end_tokens

    def close(self) -> None:
        """Free the memory; doing it again is harmless."""
        self._context.close()
        self._model.close()

    def _evaluate(self, row: Row) -> None:
        """Compute a row, at the cost of what idle slots still hold."""
        while True:
            try:
                self._context.evaluate(Batch((row,)))
            except NoRoom:
                full = [slot for slot in self._idle if self._held[slot]]
                if not full:
                    raise
                self._forget(full[0])
            else:
                return

    def _forget(self, slot: int) -> None:
        self._context.clear(slot)
        del self._held[slot][:]


class ModelDrafts:
    """Guesses what the small model would write; where it is unsure, the guess ends.

    Nothing is computed before a guess is asked for, and then a chunk at most: a long prompt is
    caught up with over several guesses, which are empty until then. Where the small model runs out
    of room, or fails, they stay so for this text: that must not stop a request.
    """

    __slots__ = ("_chances", "_closed", "_engine", "_slot", "_tokens")

    def __init__(self, engine: DraftEngine, prompt: Sequence[int]) -> None:
        self._engine = engine
        self._tokens = array("i", prompt)
        self._slot: int | None = None
        self._closed = False
        self._chances: tuple[float, ...] = ()

    @property
    def chances(self) -> tuple[float, ...]:
        """How likely the small model holds each token of the last guess, if all before it stand."""
        return self._chances

    @property
    def price(self) -> float:
        """What guessing costs, in seconds a token."""
        return self._engine.price

    def extend(self, tokens: Sequence[int]) -> None:
        """Note that `tokens` were accepted."""
        self._tokens.extend(tokens)

    def draft(self, most: int) -> tuple[int, ...]:
        """Guess up to `most` tokens that follow; nothing where there is no good guess."""
        self._chances = ()
        most = min(most, self._engine.n_ctx - len(self._tokens))
        if self._closed or most < 1 or not self._tokens:
            return ()
        try:
            if self._slot is None:
                self._slot = self._engine.take(self._tokens)
            return () if self._slot is None else self._guess(self._slot, most)
        except NoRoom:
            self.close()
            return ()
        except ModelError as error:
            _log.warning("the draft model is of no use for this request: %s", error)
            self.close()
            return ()

    def close(self) -> None:
        """Give the slot back; doing it again is harmless."""
        self._closed = True
        if self._slot is not None:
            self._engine.leave(self._slot)
            self._slot = None

    def _guess(self, slot: int, most: int) -> tuple[int, ...]:
        text = self._tokens[:]
        chances: list[float] = []
        while len(chances) < most:
            scores = self._engine.scores(slot, text)
            if scores is None:
                break
            token = int(scores.argmax())
            chance = 1.0 / float(np.exp(scores - scores[token]).sum())
            if chance < _UNSURE:
                break
            text.append(token)
            chances.append(chance)
            if self._engine.ends(token):
                break
        self._chances = tuple(chances)
        return tuple(text[len(self._tokens) :])


def _shared(model: Model, target: Model) -> int:
    """Count the tokens that both models know, which must be the same but for padding at the end."""
    if not model.partial:
        raise ConfigurationError(
            f"{model.header.path.name!r} cannot take tokens back and so cannot draft: "
            f"take a draft model without recurrent layers"
        )
    if not target.partial:
        raise ConfigurationError(
            f"{target.header.path.name!r} cannot take tokens back and so cannot try drafts: "
            f"leave draft_model out"
        )
    ours, theirs = model.table().texts, target.table().texts
    known = min(len(ours), len(theirs))
    if ours[:known] != theirs[:known] or max(len(ours), len(theirs)) > known + _PADDING:
        raise ConfigurationError(
            f"the vocabulary of {model.header.path.name!r} is not that of "
            f"{target.header.path.name!r}: take a draft model of the same family"
        )
    return known
