"""What would the plainest prefix cache say?

It keeps a list of cells for each slot and looks through all of them every time: the reference that
`tree_cache` is compared with. It does not know the model, and it is not meant to be fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from llmcompiler.engine.cache import Match

__all__ = ["NaivePrefixCache"]


class NaivePrefixCache:
    """A `PrefixCache` in which a slot is a list of pairs: the number of a cell and its token."""

    def __init__(self) -> None:
        self._held: dict[int, list[tuple[int, int]]] = {}
        self._order: list[int] = []
        self._pins: list[int] = []
        self._numbers = count()

    @property
    def cells(self) -> int:
        """How many tokens are held; what slots share counts once."""
        return len({cell for run in self._held.values() for cell in run})

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that hold something, least recently used first."""
        return tuple(self._order)

    def match(self, tokens: Sequence[int], *, whole: bool = False) -> Match | None:
        """Find the slot with the longest common prefix with `tokens`; of equals the latest used."""
        best = Match(-1, 0)
        for slot in self._order:
            length = _common(self.tokens(slot), tokens)
            fits = not whole or length == self.length(slot)
            if fits and length >= max(best.length, 1):
                best = Match(slot, length)
        return best if best.length else None

    def tokens(self, slot: int) -> tuple[int, ...]:
        """Return what a slot holds."""
        return tuple(token for _, token in self._held[slot])

    def length(self, slot: int) -> int:
        """Count what a slot holds; 0 if it is free."""
        return len(self._held.get(slot, ()))

    def fork(self, source: int, target: int, length: int) -> None:
        """Note that `target`, which was free, now shares the first `length` of `source`."""
        run = self._held[source]
        if target in self._held or not 1 <= length <= len(run):
            raise ValueError(f"cannot fork {length} of {len(run)} tokens to the slot {target}")
        self._hold(source, run)
        self._hold(target, run[:length])

    def extend(self, slot: int, tokens: Sequence[int]) -> None:
        """Note that `tokens` were computed behind what the slot holds; of no tokens nothing."""
        new = [(next(self._numbers), token) for token in tokens]
        self._hold(slot, self._held.get(slot, []) + new)

    def trim(self, slot: int, length: int) -> None:
        """Note that a slot holds only its first `length` tokens from now on; 0 frees it."""
        run = self._held[slot]
        if not 0 <= length <= len(run):
            raise ValueError(f"cannot trim {len(run)} tokens to {length}")
        self._hold(slot, run[:length])

    def drop(self, slot: int) -> None:
        """Note that a slot holds nothing any more, and take all its pins; it may be free."""
        self._hold(slot, [])
        self._pins = [pinned for pinned in self._pins if pinned != slot]

    def pin(self, slot: int) -> None:
        """Keep a slot, free or not, from being a victim; pins are counted."""
        self._pins.append(slot)
        self._hold(slot, self._held.get(slot, []))

    def unpin(self, slot: int) -> None:
        """Take one pin away."""
        self._pins.remove(slot)
        self._hold(slot, self._held.get(slot, []))

    def victim(self) -> int | None:
        """Return the idle slot that is to go first: one without cells of its own, or the oldest."""
        idle = [slot for slot in self._order if slot not in self._pins]
        return next((slot for slot in idle if not self.freed_by(slot)), idle[0] if idle else None)

    @property
    def pinned(self) -> int:
        """How many cells pinned slots hold; what they share counts once."""
        return len({cell for slot in self._pins for cell in self._held.get(slot, ())})

    def freed_by(self, slot: int) -> int:
        """Count the cells that dropping a slot would free: those it shares with no other."""
        others = {cell for other in self._held if other != slot for cell in self._held[other]}
        return len(set(self._held.get(slot, ())) - others)

    def clear(self) -> None:
        """Note that nothing is held any more; pins stay."""
        self._held.clear()
        self._order.clear()

    def check(self) -> None:
        """Make sure that the ledger agrees with itself."""
        places = {pair: at for run in self._held.values() for at, pair in enumerate(run)}
        if sorted(self._order) != sorted(self._held) or not all(self._held.values()):
            raise AssertionError("a slot in use is not in order, or holds nothing")
        if len({cell for cell, _ in places}) != len(places):
            raise AssertionError("a cell holds two tokens")
        if any(places[pair] != at for run in self._held.values() for at, pair in enumerate(run)):
            raise AssertionError("a cell stands at two positions")

    def _hold(self, slot: int, run: list[tuple[int, int]]) -> None:
        """Let a slot hold `run`, as the one used last."""
        if slot in self._order:
            self._order.remove(slot)
            del self._held[slot]
        if run:
            self._order.append(slot)
            self._held[slot] = run


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = zip(first, second, strict=False)
    different = (index for index, (one, other) in enumerate(pairs) if one != other)
    return next(different, min(len(first), len(second)))
