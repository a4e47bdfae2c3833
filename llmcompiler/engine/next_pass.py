"""What goes into the next pass, going by what those who are seated want?

It does not know slots' contents, the context or what becomes of scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmcompiler.engine.batcher import Batch, Row, Waiting, next_batch
from llmcompiler.engine.live import Live

__all__ = ["next_pass"]


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
    rows = _plain(lives) if len(lives) <= budget else None
    if rows is not None:
        return Batch(rows)
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


def _plain(lives: Sequence[Live]) -> tuple[Row, ...] | None:
    """Return a row of one token for each, the common case of many streams; None if it is another."""
    rows: list[Row] = []
    for each in lives:
        row = each.plain(len(lives))
        if row is None:
            return None
        rows.append(row)
    return tuple(rows) or None
