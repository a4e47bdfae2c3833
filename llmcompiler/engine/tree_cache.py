"""Which slot holds the longest prefix of this prompt, found without looking through all of them?

A tree of runs of tokens: a node is a run that the same slots hold in the same cells, a slot the
path from the root to the node where it ends. It does not know the model, nor what a cell costs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from llmcompiler.engine.cache import Match, common_prefix

__all__ = ["TreePrefixCache"]


class _Node:
    """A run of tokens that stands at `start` of every slot in `holders`.

    Children are kept by their first token; there are several of one where equal tokens were
    computed twice. But for the root no node holds nothing, and none has just one child with all
    its holders: those two are one run.
    """

    __slots__ = ("children", "holders", "parent", "run", "start")

    def __init__(
        self, parent: _Node | None, start: int, run: array[int], holders: Iterable[int]
    ) -> None:
        self.parent = parent
        self.start = start
        self.run = run
        self.holders = set(holders)
        self.children: dict[int, list[_Node]] = {}

    @property
    def end(self) -> int:
        return self.start + len(self.run)

    @property
    def below(self) -> Iterator[_Node]:
        for alike in self.children.values():
            yield from alike

    def path(self) -> Iterator[_Node]:
        """Give the node and those above it, without the root."""
        node = self
        while node.parent is not None:
            yield node
            node = node.parent

    def attach(self) -> None:
        if self.parent is not None:
            self.parent.children.setdefault(self.run[0], []).append(self)

    def detach(self) -> None:
        if self.parent is not None:
            alike = self.parent.children[self.run[0]]
            alike.remove(self)
            if not alike:
                del self.parent.children[self.run[0]]

    def split(self, length: int) -> _Node:
        """Put the first `length` tokens into a node of their own, above this one; return it."""
        self.detach()
        upper = _Node(self.parent, self.start, self.run[:length], self.holders)
        upper.attach()
        self.parent, self.start, self.run = upper, upper.end, self.run[length:]
        self.attach()
        return upper

    def merge(self) -> None:
        """Become one with the only child, if that has all the holders: the child stays."""
        for child in self.below:
            if self.parent is not None and len(child.holders) == len(self.holders):
                self.detach()
                child.parent, child.start, child.run = (
                    self.parent,
                    self.start,
                    self.run + child.run,
                )
                child.attach()
            return


class TreePrefixCache:
    """A `PrefixCache` as a tree; its depth is at most the number of slots.

    Finding takes time in proportion to the prompt, adding a token none that depends on what is
    held, and forking and trimming as much as the path is deep, and once the run that they part.
    """

    def __init__(self) -> None:
        self._root = _Node(None, 0, array("i"), ())
        self._ends: dict[int, _Node] = {}
        self._used: dict[int, int] = {}
        self._uses = 0
        self._pins: dict[int, int] = {}
        self._cells = 0

    @property
    def cells(self) -> int:
        """How many tokens are held; what slots share counts once."""
        return self._cells

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that hold something, least recently used first."""
        return tuple(self._used)

    def match(self, tokens: Sequence[int], *, whole: bool = False) -> Match | None:
        """Find the slot with the longest common prefix with `tokens`; of equals the latest used."""
        prompt = array("i", tokens)
        longest = 1
        found: list[_Node] = []
        open_ends = [self._root]
        while open_ends:
            node = open_ends.pop()
            if node.end == len(prompt):
                continue
            for child in node.children.get(prompt[node.end], ()):
                common = common_prefix(child.run, prompt[child.start : child.end])
                if common == len(child.run):
                    open_ends.append(child)
                length = child.start + common
                if length < longest or (
                    whole and (common < len(child.run) or not self._ending(child))
                ):
                    continue
                if length > longest:
                    longest = length
                    found.clear()
                found.append(child)
        if not found:
            return None
        holders = (
            slot for node in found for slot in (self._ending(node) if whole else node.holders)
        )
        return Match(max(holders, key=self._used.__getitem__), longest)

    def tokens(self, slot: int) -> tuple[int, ...]:
        """Return what a slot holds."""
        runs = [node.run for node in self._ends[slot].path()]
        return tuple(token for run in reversed(runs) for token in run)

    def length(self, slot: int) -> int:
        """Count what a slot holds; 0 if it is free."""
        node = self._ends.get(slot)
        return node.end if node else 0

    def fork(self, source: int, target: int, length: int) -> None:
        """Note that `target`, which was free, now shares the first `length` of `source`."""
        node = self._ends[source]
        if target in self._ends or not 1 <= length <= node.end:
            raise ValueError(f"cannot fork {length} of {node.end} tokens to the slot {target}")
        node = next(above for above in node.path() if above.start < length)
        if length < node.end:
            node = node.split(length - node.start)
        for above in node.path():
            above.holders.add(target)
        self._ends[target] = node
        self._use(source)
        self._use(target)

    def extend(self, slot: int, tokens: Sequence[int]) -> None:
        """Note that `tokens` were computed behind what the slot holds; of no tokens nothing."""
        if tokens:
            node = self._ends.get(slot, self._root)
            if len(node.holders) == 1:
                node.run.extend(tokens)
            else:
                node = _Node(node, node.end, array("i", tokens), (slot,))
                node.attach()
                self._ends[slot] = node
            self._cells += len(tokens)
        self._use(slot)

    def trim(self, slot: int, length: int) -> None:
        """Note that a slot holds only its first `length` tokens from now on; 0 frees it."""
        node = self._ends[slot]
        if not 0 <= length <= node.end:
            raise ValueError(f"cannot trim {node.end} tokens to {length}")
        if length < node.end:
            self._cut(slot, node, length)
        self._use(slot)

    def drop(self, slot: int) -> None:
        """Note that a slot holds nothing any more, and take all its pins; it may be free."""
        if slot in self._ends:
            self.trim(slot, 0)
        self._pins.pop(slot, None)

    def pin(self, slot: int) -> None:
        """Keep a slot, free or not, from being a victim; pins are counted."""
        self._pins[slot] = self._pins.get(slot, 0) + 1
        self._use(slot)

    def unpin(self, slot: int) -> None:
        """Take one pin away."""
        pins = self._pins.pop(slot, 0)
        if not pins:
            raise ValueError(f"the slot {slot} is not pinned")
        if pins > 1:
            self._pins[slot] = pins - 1
        self._use(slot)

    def victim(self) -> int | None:
        """Return the idle slot that is to go first: one without cells of its own, or the oldest."""
        oldest: int | None = None
        for slot in self._used:
            if slot in self._pins:
                continue
            if len(self._ends[slot].holders) > 1:
                return slot
            if oldest is None:
                oldest = slot
        return oldest

    @property
    def pinned(self) -> int:
        """How many cells pinned slots hold; what they share counts once."""
        seen = {
            node for slot in self._pins if slot in self._ends for node in self._ends[slot].path()
        }
        return sum(len(node.run) for node in seen)

    def freed_by(self, slot: int) -> int:
        """Count the cells that dropping a slot would free: those it shares with no other."""
        node = self._ends.get(slot)
        return len(node.run) if node and len(node.holders) == 1 else 0

    def clear(self) -> None:
        """Note that nothing is held any more; pins stay."""
        self._root.children.clear()
        self._ends.clear()
        self._used.clear()
        self._cells = 0

    def check(self) -> None:
        """Make sure that the ledger agrees with itself."""
        seen = 0
        open_ends = [self._root]
        while open_ends:
            node = open_ends.pop()
            seen += len(node.run)
            ending = set(self._ending(node))
            for first, alike in node.children.items():
                for child in alike:
                    _agree(child.parent is node and child.start == node.end, "a place")
                    _agree(bool(child.run) and child.run[0] == first, "a first token")
                    open_ends.append(child)
            passing = [slot for child in node.below for slot in child.holders]
            if node is not self._root:
                _agree(len(passing) == len(set(passing)), "a slot on two paths")
                _agree(ending | set(passing) == node.holders != set(), "the holders of a run")
                _agree(not ending & set(passing), "a slot that goes on behind its end")
                same = [child for child in node.below if child.holders == node.holders]
                _agree(not same, "a run in two nodes")
        _agree(seen == self._cells, "the number of cells")
        _agree(self._ends.keys() == self._used.keys(), "the slots in order of use")
        _agree(list(self._used.values()) == sorted(self._used.values()), "the order of use")
        _agree(all(pins > 0 for pins in self._pins.values()), "a pin that is none")
        for slot, node in self._ends.items():
            _agree(all(slot in above.holders for above in node.path()), "the path of a slot")
            _agree(len(self.tokens(slot)) == node.end > 0, "the length of a slot")

    def _ending(self, node: _Node) -> Iterable[int]:
        return [slot for slot in node.holders if self._ends[slot] is node]

    def _use(self, slot: int) -> None:
        self._used.pop(slot, None)
        if slot in self._ends:
            self._uses += 1
            self._used[slot] = self._uses

    def _cut(self, slot: int, node: _Node, length: int) -> None:
        """Take a slot out of the runs behind its first `length` tokens."""
        left: list[_Node] = []
        for above in node.path():
            node = above
            if above.start < length:
                break
            above.holders.remove(slot)
            node = above.parent or self._root
            if above.holders:
                left.append(above)
            else:
                above.detach()
                self._cells -= len(above.run)
        if length < node.end:
            upper, lower = node.split(length - node.start), node
            lower.holders.remove(slot)
            node = upper
            if lower.holders:
                left.append(lower)
            else:
                lower.detach()
                self._cells -= len(lower.run)
        if node is self._root:
            del self._ends[slot]
        else:
            self._ends[slot] = node
        for survivor in left:
            survivor.merge()


def _agree(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"the prefix cache is inconsistent: {what}")
