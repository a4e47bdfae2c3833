"""Which tokens go into the next forward pass?

It does not know the model, the sampler or a clock: tokens and counts in, a batch out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Batch", "next_batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Tokens of one sequence for one forward pass; the first stands at `position`.

    `wants_logits` says that the last of them is followed by a choice.
    """

    tokens: tuple[int, ...]
    position: int
    wants_logits: bool


def next_batch(tokens: Sequence[int], evaluated: int, chunk: int) -> Batch:
    """Take the next tokens that were not evaluated, at most `chunk`; there must be one.

    A prompt goes through in chunks and a new token alone, and only what reaches the end of the
    sequence is worth computing logits for.
    """
    end = min(evaluated + chunk, len(tokens))
    if end <= evaluated:
        raise ValueError(f"nothing is left to evaluate after {evaluated} tokens")
    return Batch(tuple(tokens[evaluated:end]), evaluated, end == len(tokens))
