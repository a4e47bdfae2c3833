"""What goes into the next pass, going by what those who are seated want?

It does not know slots' contents, the context or what becomes of scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from llmcompiler.engine.batcher import Batch, Row, Waiting, next_batch
from llmcompiler.engine.live import Live

__all__ = ["next_pass"]

_single = attrgetter("single")


def next_pass(
    lives: Sequence[Live],
    budget: int,
    fail: Callable[[Live, Exception], None],
    *,
    alone: bool = False,
) -> Batch | None:
    """Return a batch of at most `budget` tokens for `lives`, the most urgent first; None without any.

    Whoever cannot say what it wants is told to `fail`. `alone` is that of `next_batch`.
    """
    if len(lives) <= budget and all(map(_single, lives)):
        return _one_each(lives, budget, fail)
    pending = [each.pending for each in lives if each.decoding]
    width = sum(pending)
    waiting: list[Waiting] = []
    for each in lives:
        try:
            waiting.append(each.waiting(budget, width, len(pending)))
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            fail(each, error)
            continue
        width += len(waiting[-1].drafts)
    return next_batch(waiting, budget, alone=alone) if waiting else None


def _one_each(
    lives: Sequence[Live], budget: int, fail: Callable[[Live, Exception], None]
) -> Batch | None:
    """Return the batch of those who all decode with one token, as most passes are."""
    rows: list[Row] = []
    requests = width = len(lives)
    left = budget - requests  # for drafts, of each all or none
    for each in lives:
        try:
            row = each.row(width, requests)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any request
            fail(each, error)
            continue
        drafts = row.outputs - 1
        if drafts:
            width += drafts
            if drafts > left:
                row = Row(row.slot, row.position, row.tokens[:1], 1)
            else:
                left -= drafts
        rows.append(row)
    return Batch(tuple(rows)) if rows else None
