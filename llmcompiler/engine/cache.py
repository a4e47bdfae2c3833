"""Which prefixes does the key-value cache hold, in which sequences, and what goes first when it is full?

The contract of a prefix cache; `naive_cache` is the plainest one and `tree_cache` the fast one. It
is a ledger: it does not know the model, and whoever moves tokens in or out of the real cache says
so here. A slot is the number of one of llama.cpp's sequences. Slots that were forked from one
another share the cells of what they have in common; equal tokens computed twice are held twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Match", "PrefixCache", "common_prefix"]


@dataclass(frozen=True, slots=True)
class Match:
    """The longest prefix of a prompt that is held: the first `length` tokens of `slot`."""

    slot: int
    length: int


class PrefixCache(Protocol):
    """What each slot holds, position by position from 0 on.

    A slot that holds nothing is free. A pinned slot is in use, or must stay; any other that holds
    something is idle and may be dropped. Every method that names a slot counts as a use of it,
    except those that only ask: `tokens`, `length` and `freed_by`; of the two that `fork` names the
    target is the later one. A slot that holds nothing raises `KeyError` in `tokens`, `trim` and
    `fork`.
    """

    @property
    def cells(self) -> int:
        """How many tokens are held; what slots share counts once."""
        ...

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that hold something, least recently used first."""
        ...

    def match(self, tokens: Sequence[int], *, whole: bool = False) -> Match | None:
        """Find the slot with the longest common prefix with `tokens`; of equals the latest used.

        `whole` asks for slots of which everything is a prefix of `tokens`, for architectures that
        cannot drop a part of a sequence. None where not even one token is common. Finding is not
        using.
        """
        ...

    def tokens(self, slot: int) -> tuple[int, ...]:
        """Return what a slot holds."""
        ...

    def length(self, slot: int) -> int:
        """Count what a slot holds; 0 if it is free."""
        ...

    def fork(self, source: int, target: int, length: int) -> None:
        """Note that `target`, which was free, now shares the first `length` >= 1 tokens of `source`.

        Raises:
            KeyError: `source` holds nothing.
            ValueError: `target` holds something, or `source` holds fewer, or `length` is below 1.
        """
        ...

    def extend(self, slot: int, tokens: Sequence[int]) -> None:
        """Note that `tokens` were computed behind what the slot holds; of no tokens nothing."""
        ...

    def trim(self, slot: int, length: int) -> None:
        """Note that a slot holds only its first `length` tokens from now on; 0 frees it.

        Its pins stay.

        Raises:
            KeyError: it holds nothing.
            ValueError: it holds fewer, or `length` is negative.
        """
        ...

    def drop(self, slot: int) -> None:
        """Note that a slot holds nothing any more, and take all its pins; it may be free."""
        ...

    def pin(self, slot: int) -> None:
        """Keep a slot, free or not, from being a victim; pins are counted."""
        ...

    def unpin(self, slot: int) -> None:
        """Take one pin away.

        Raises:
            ValueError: the slot is not pinned.
        """
        ...

    def victim(self) -> int | None:
        """Return the idle slot that is to go first: the least recently used one.

        Idle slots whose tokens another slot holds in the same cells cost nothing and help nobody:
        they come before all others. None where every slot is pinned or free.
        """
        ...

    @property
    def pinned(self) -> int:
        """How many cells pinned slots hold: what stays however many victims are dropped."""
        ...

    def freed_by(self, slot: int) -> int:
        """Count the cells that dropping a slot would free: those it shares with no other.

        0 for a free slot.
        """
        ...

    def clear(self) -> None:
        """Note that nothing is held any more; pins stay."""
        ...

    def check(self) -> None:
        """Make sure that the ledger agrees with itself; it takes time in proportion to its size.

        Raises:
            AssertionError: it does not, which is a bug here.
        """
        ...


def common_prefix(first: array[int], second: array[int]) -> int:
    """Count the tokens in which two runs agree before they differ or one ends.

    Both are of one type code: then slices are compared as blocks of memory.
    """
    low, high = 0, min(len(first), len(second))
    if first[:high] == second[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
