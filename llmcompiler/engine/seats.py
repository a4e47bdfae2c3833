"""Where does a request go on from: which slot, which known prefix, and what must make room for it?

Keeps the ledger of the cache and the real one in step. It does not know tokens' meaning, batches or
time; nothing is computed here, only found, shared, moved and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from llmcompiler.engine.cache import Match, PrefixCache
from llmcompiler.engine.context import Context
from llmcompiler.engine.store import StateStore
from llmcompiler.errors import ModelError

__all__ = ["Seats"]

_log = logging.getLogger("llmcompiler.engine")
_WORTH = 64  # tokens; fewer are computed sooner than they are saved and restored


class Seats:
    """The slots of a context: who sits where, and what the empty ones still remember.

    `cache` is the ledger; it is for looking at.
    """

    def __init__(self, context: Context, cache: PrefixCache, store: StateStore | None) -> None:
        self._context = context
        self.cache = self._cache = cache
        self._store = store
        self._taken: set[int] = set()
        self._kept: set[int] = set()

    @property
    def taken(self) -> frozenset[int]:
        """The slots in which somebody sits."""
        return frozenset(self._taken)

    def known(self, tokens: Sequence[int]) -> int:
        """Count the tokens of a prompt that a slot holds, from its beginning on."""
        match = self._match(tokens)
        return match.length if match else 0

    def take(self, tokens: Sequence[int], reserved: int) -> tuple[int, int] | None:
        """Seat a prompt: return its slot and how many of its tokens are held there.

        At least one token is left to compute, since the choice behind a prompt needs its scores.
        `reserved` cells are spoken for by others. None says that others must go first.
        """
        match = self._match(tokens)
        stored = self._restored(tokens, match, reserved)
        if stored is not None:
            return stored
        match = self._match(tokens)  # room for what could not be restored may have cost it
        source, length = (match.slot, match.length) if match else (-1, 0)
        need = len(tokens) - length + reserved
        idle = source >= 0 and source not in self._taken and source not in self._kept
        whole = idle and length == self._cache.length(source)
        # What goes on from a state overwrites it: where there is a place, it is left for others.
        lasts = self._context.partial or self._empty() is None
        if whole and lasts and self._room(need, spare=source):
            return self._sit(source), length
        slot = self._free_slot(spare=source) if self._room(need, spare=source) else None
        if slot is not None:
            if length:
                self._context.fork(source, slot, length)
                self._cache.fork(source, slot, length)
            return self._sit(slot), length
        if idle and self._shorten(source, length) and self._room(need, spare=source):
            return self._sit(source), length
        return None

    def _sit(self, slot: int) -> int:
        self._taken.add(slot)
        self._cache.pin(slot)
        return slot

    def leave(self, slot: int) -> None:
        """Give a slot back; what it holds stays known until its room is needed."""
        self._taken.remove(slot)
        self._cache.unpin(slot)

    def extend(self, slot: int, tokens: Sequence[int], computed: int) -> None:
        """Note that `tokens` were computed, and that of all `computed` ones only they are wanted.

        Raises:
            ModelError: the others cannot be dropped; the slot is empty then.
        """
        self._cache.extend(slot, tokens)
        if computed > len(tokens) and not self._cut(slot, self._cache.length(slot)):
            raise ModelError("what was computed too much cannot be dropped")

    def forget(self, slot: int) -> None:
        """Empty a slot whose contents are unknown or of no use."""
        self._context.clear(slot)
        self._cache.drop(slot)
        self._kept.discard(slot)
        if slot in self._taken:
            self._cache.pin(slot)

    def spare(self, count: int) -> int | None:
        """Return an empty slot, if `count` more cells are free without dropping anything."""
        if self._context.unified and self._context.n_cells - self._cache.cells < count:
            return None
        return self._empty()

    def _empty(self) -> int | None:
        empty = set(range(self._context.n_slots)) - self._taken - set(self._cache.slots)
        return max(empty, default=None)

    def keep(self, slot: int) -> None:
        """Hold what a slot knows from now on, and write it to disk where there is a folder."""
        tokens = self._cache.tokens(slot)
        if len(tokens) >= _WORTH and self._store is not None and self._store.lasting:
            self._save(slot, keep=True)
        held = any(self._cache.tokens(each)[: len(tokens)] == tokens for each in self._kept)
        if not held and len(self._kept) < self._context.n_slots // 2:
            self._kept.add(slot)
            self._cache.pin(slot)

    def release(self) -> bool:
        """Hold the kept prefix that was used least recently no longer; False where there is none."""
        slot = next((each for each in self._cache.slots if each in self._kept), None)
        if slot is None:
            return False
        self._kept.remove(slot)
        self._cache.unpin(slot)
        return True

    def room(self, count: int) -> bool:
        """Make sure that `count` more cells are free; False where nothing idle is left to drop."""
        return self._room(count, spare=-1)

    def evict(self) -> bool:
        """Drop the idle slot that is to go first; False where there is none."""
        return self._evict(-1)

    def save_all(self) -> None:
        """Write what idle slots know to disk, where there is a folder."""
        if self._store is None:
            return
        for slot in self._cache.slots if self._store.lasting else ():
            if self._cache.length(slot) >= _WORTH and self._cache.freed_by(slot):
                self._save(slot, keep=True)
        self._store.close(spill=True)

    def clear(self) -> None:
        """Know nothing any more, as before the context is freed; nobody may sit."""
        for slot in self._taken | self._kept:
            self._cache.unpin(slot)
        self._taken.clear()
        self._kept.clear()
        self._cache.clear()

    def reopen(self, context: Context) -> None:
        """Begin anew with another context, after `clear`."""
        self._context = context

    def _match(self, tokens: Sequence[int]) -> Match | None:
        return self._cache.match(tokens[: len(tokens) - 1], whole=not self._context.partial)

    def _restored(
        self, tokens: Sequence[int], match: Match | None, reserved: int
    ) -> tuple[int, int] | None:
        """Seat a prompt on what was saved of it, if that is much more than what is held."""
        if self._store is None:
            return None
        prompt = tokens[: len(tokens) - 1]
        found = self._store.match(prompt, whole=not self._context.partial)
        if found is None or found.length < (match.length if match else 0) + _WORTH:
            return None
        need = max(len(tokens), found.count) + reserved
        slot = self._free_slot(spare=-1) if self._room(need, spare=-1) else None
        if slot is None or self._context.copying(slot):
            return None
        data = self._store.get(found.key)
        if data is None:
            return None
        restored = self._context.restore(slot, data, found.count)
        if not restored or not self._context.trim(slot, found.length):
            _log.warning("a saved prefix of %d tokens could not be restored", found.length)
            self._store.discard(found.key)
            self._context.clear(slot)
            return None
        self._cache.extend(slot, prompt[: found.length])
        return self._sit(slot), found.length

    def _cut(self, slot: int, length: int) -> bool:
        """Trim a slot; what cannot be trimmed is emptied, and False returned."""
        if length and self._context.trim(slot, length):
            if self._cache.length(slot) > length:
                self._cache.trim(slot, length)
            return True
        self.forget(slot)
        return not length

    def _room(self, count: int, *, spare: int) -> bool:
        """Drop idle slots, the longest unused first, until `count` cells are free."""
        if not self._context.unified:
            return True
        if self._context.n_cells - self._cache.cells >= count:
            return True
        if self._context.n_cells - self._fixed(spare) < count:
            return False  # it would cost all that is known, and be in vain
        while self._context.n_cells - self._cache.cells < count:
            if not self._evict(spare):
                return False
        return True

    def _fixed(self, spare: int) -> int:
        """Count the cells that stay taken whatever idle slots are dropped."""
        if spare >= 0:
            self._cache.pin(spare)
        fixed = self._cache.pinned
        if spare >= 0:
            self._cache.unpin(spare)
        return fixed

    def _free_slot(self, *, spare: int) -> int | None:
        while True:
            for slot in range(self._context.n_slots):
                if not self._cache.length(slot) and slot not in self._taken:
                    return slot
            if not self._evict(spare):
                return None

    def _evict(self, spare: int) -> bool:
        """Drop the slot that is to go first, but never `spare`; False where there is none."""
        if spare >= 0:
            self._cache.pin(spare)
        slot = self._cache.victim()
        if spare >= 0:
            self._cache.unpin(spare)
        if slot is None:
            return False
        if self._cache.freed_by(slot) >= _WORTH:
            self._save(slot)
        self.forget(slot)
        return True

    def _save(self, slot: int, *, keep: bool = False) -> None:
        """Save what a slot holds, where there is a place; that it cannot be must not stop anybody."""
        if self._store is None:
            return
        try:
            self._store.put(self._cache.tokens(slot), self._context.save(slot), keep=keep)
        except Exception:  # noqa: BLE001 - a cache that is not written is a slower one
            _log.exception("what the cache held could not be saved")

    def _shorten(self, slot: int, length: int) -> bool:
        """Give up what an idle slot holds beyond `length`; False if nothing of it can be kept."""
        if self._cache.length(slot) - length >= _WORTH:
            self._save(slot)
        return self._cut(slot, length)

    def check(self) -> None:
        """Make sure that the ledger agrees with itself, with the context, and with who sits.

        Raises:
            AssertionError: it does not, which is a bug here.
        """
        self._cache.check()
        if not self._context.agrees():
            raise AssertionError("llama.cpp holds something else than the context thinks")
        for slot in range(self._context.n_slots):
            held, noted = self._context.held(slot), self._cache.length(slot)
            if held != noted:
                raise AssertionError(f"slot {slot} holds {held} tokens, and {noted} are noted")
