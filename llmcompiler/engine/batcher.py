"""Which tokens go into the next forward pass?

It does not know the model, the sampler or a clock: tokens and counts in, a batch out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Batch", "Row", "Waiting", "next_batch"]


class Row(NamedTuple):
    """Tokens of one sequence for one forward pass; the first stands at `position`.

    Scores are wanted behind the last `outputs` of them. The last `filling` are nobody's guess: they
    only make the pass one of a size that costs less.
    """

    slot: int
    position: int
    tokens: tuple[int, ...]
    outputs: int = 0
    filling: int = 0


class Batch(NamedTuple):
    """Rows for one forward pass, at most one of each sequence."""

    rows: tuple[Row, ...]

    @property
    def size(self) -> int:
        """How many tokens are in it."""
        return sum([len(row.tokens) for row in self.rows])

    def bare(self) -> Batch:
        """Return it without drafts: of each row what comes before its first choice."""
        return Batch(
            tuple(
                row
                if row.outputs < 2
                else Row(row.slot, row.position, row.tokens[: 1 - row.outputs], 1)
                for row in self.rows
            )
        )

    def filled(self, size: int, n_ctx: int) -> Batch:
        """Return it with `size` tokens, if a sequence of at most `n_ctx` has room for more of them.

        A token is repeated as if it were a guess: should it be right, so much the better.
        """
        count = size - self.size
        place = min(
            (place for place, row in enumerate(self.rows) if row.outputs),
            key=lambda place: self.rows[place].position,
            default=None,
        )
        if count <= 0 or place is None:
            return self
        row = self.rows[place]
        if row.position + len(row.tokens) + count > n_ctx:
            return self
        tokens = (*row.tokens, *row.tokens[-1:] * count)
        longer = Row(row.slot, row.position, tokens, row.outputs + count, count)
        return Batch((*self.rows[:place], longer, *self.rows[place + 1 :]))


class Waiting(NamedTuple):
    """What of one sequence is not computed yet.

    `tokens` stand from `position` on; a choice follows the last of them, unless `choice` is False.
    `drafts` are guesses of what comes behind. `decoding` says that somebody reads along.
    """

    slot: int
    position: int
    tokens: Sequence[int]
    drafts: tuple[int, ...] = ()
    decoding: bool = False
    choice: bool = True


def next_batch(waiting: Sequence[Waiting], budget: int, *, alone: bool = False) -> Batch:
    """Take what is computed next: at most `budget` tokens, of the most urgent sequences first.

    Whoever is decoding comes first, each with all it has, if that leaves a token for each of the
    others who decode; what then is left of the budget goes to prompts, in the order given. So a
    long prompt never holds up an answer for more than one pass of `budget` tokens. Drafts are
    taken whole or not at all. `alone` puts one sequence in a pass, for results that do not depend
    on company.
    """
    rows: list[Row] = []
    left = budget
    decoding = [each for each in waiting if each.decoding]
    prompts = [each for each in waiting if not each.decoding]
    for place, each in enumerate([*decoding, *prompts]):
        if left <= 0 or (alone and rows):
            break
        behind = 0 if alone else max(0, len(decoding) - place - 1)
        row = _row(each, max(1, left - behind))
        rows.append(row)
        left -= len(row.tokens)
    if not rows:
        raise ValueError("nothing waits to be computed")
    return Batch(tuple(rows))


def _row(waiting: Waiting, most: int) -> Row:
    count = len(waiting.tokens)
    if count > most:
        return Row(waiting.slot, waiting.position, tuple(waiting.tokens[:most]))
    if not waiting.choice:
        return Row(waiting.slot, waiting.position, tuple(waiting.tokens))
    drafts = waiting.drafts if count + len(waiting.drafts) <= most else ()
    tokens = (*waiting.tokens, *drafts)
    return Row(waiting.slot, waiting.position, tokens, 1 + len(drafts))
