from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmcompiler.engine.cache import Match, PrefixCache, common_prefix
from llmcompiler.engine.naive_cache import NaivePrefixCache
from llmcompiler.engine.tree_cache import TreePrefixCache

_TOKENS = st.lists(st.integers(0, 2), max_size=10)


@pytest.fixture(params=[NaivePrefixCache, TreePrefixCache])
def cache(request: pytest.FixtureRequest) -> PrefixCache:
    """Return an empty cache of each kind."""
    make: Callable[[], PrefixCache] = request.param
    return make()


def test_an_empty_cache_holds_nothing(cache: PrefixCache) -> None:
    assert cache.match([1, 2]) is None
    assert cache.cells == 0
    assert cache.slots == ()
    assert cache.victim() is None
    assert cache.length(0) == 0
    assert cache.freed_by(0) == 0


def test_the_longest_common_prefix_is_found(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2, 3])
    cache.extend(1, [1, 2, 4, 5])
    cache.extend(2, [7])
    assert cache.match([1, 2, 4, 6]) == Match(1, 3)
    assert cache.match([1, 2, 3, 4]) == Match(0, 3)
    assert cache.match([7]) == Match(2, 1)
    assert cache.match([8]) is None
    assert cache.match([]) is None


def test_of_equally_long_prefixes_that_of_the_latest_used_slot_is_found(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2, 3])
    cache.extend(1, [1, 2, 4])
    assert cache.match([1, 2, 5]) == Match(1, 2)
    cache.extend(0, [])
    assert cache.match([1, 2, 5]) == Match(0, 2)


def test_a_whole_match_ends_where_the_slot_ends(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2, 3, 4])
    cache.fork(0, 1, 2)
    assert cache.match([1, 2, 3, 5], whole=True) == Match(1, 2)
    assert cache.match([1, 2, 3, 4, 5], whole=True) == Match(0, 4)
    assert cache.match([1, 3], whole=True) is None


def test_finding_is_not_using(cache: PrefixCache) -> None:
    cache.extend(0, [1])
    cache.extend(1, [2])
    cache.match([1])
    cache.tokens(0)
    cache.length(0)
    cache.freed_by(0)
    assert cache.slots == (0, 1)


def test_a_forked_slot_shares_its_cells(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2, 3])
    cache.fork(0, 1, 2)
    assert cache.tokens(1) == (1, 2)
    assert cache.cells == 3
    cache.extend(1, [9])
    assert cache.cells == 4
    assert cache.freed_by(0) == 1
    assert cache.freed_by(1) == 1
    assert cache.slots == (0, 1)


def test_equal_tokens_that_were_computed_twice_are_held_twice(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2])
    cache.extend(1, [1, 2])
    assert cache.cells == 4
    assert cache.freed_by(0) == 2


def test_cells_stay_as_long_as_one_slot_holds_them(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2, 3])
    cache.fork(0, 1, 3)
    cache.drop(0)
    assert cache.cells == 3
    assert cache.tokens(1) == (1, 2, 3)
    cache.trim(1, 1)
    assert cache.cells == 1
    cache.trim(1, 0)
    assert cache.cells == 0
    assert cache.slots == ()


def test_a_trimmed_slot_goes_on_in_cells_of_its_own(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2, 3, 4])
    cache.fork(0, 1, 4)
    cache.trim(1, 2)
    cache.extend(1, [3, 4])
    assert cache.tokens(1) == (1, 2, 3, 4)
    assert cache.cells == 6


def test_the_victim_is_the_least_recently_used_idle_slot(cache: PrefixCache) -> None:
    cache.extend(0, [1])
    cache.extend(1, [2])
    cache.extend(2, [3])
    assert cache.victim() == 0
    cache.pin(0)
    assert cache.victim() == 1
    cache.unpin(0)
    assert cache.victim() == 1
    cache.extend(1, [5])
    assert cache.victim() == 2


def test_an_idle_slot_whose_cells_another_holds_goes_first(cache: PrefixCache) -> None:
    cache.extend(0, [1])
    cache.extend(1, [2, 3])
    cache.fork(1, 2, 1)
    assert cache.slots == (0, 1, 2)
    assert cache.victim() == 2
    cache.fork(1, 3, 2)
    assert cache.victim() == 2
    cache.drop(2)
    assert cache.victim() == 1


def test_no_slot_is_the_victim_while_all_are_pinned_or_free(cache: PrefixCache) -> None:
    cache.pin(0)
    cache.extend(0, [1])
    cache.pin(0)
    cache.unpin(0)
    assert cache.victim() is None
    cache.trim(0, 0)
    assert cache.victim() is None
    cache.extend(0, [1])
    assert cache.victim() is None
    cache.drop(0)
    cache.extend(0, [1])
    assert cache.victim() == 0


def test_clearing_leaves_the_pins(cache: PrefixCache) -> None:
    cache.pin(0)
    cache.extend(0, [1, 2])
    cache.extend(1, [1])
    cache.clear()
    assert (cache.cells, cache.slots) == (0, ())
    cache.extend(0, [1])
    cache.extend(1, [1])
    assert cache.victim() == 1


def test_a_slot_that_holds_nothing_cannot_be_read_trimmed_or_forked(cache: PrefixCache) -> None:
    cache.drop(0)
    for use in (
        cache.tokens,
        lambda slot: cache.trim(slot, 0),
        lambda slot: cache.fork(slot, 1, 1),
    ):
        with pytest.raises(KeyError):
            use(0)


def test_lengths_that_a_slot_does_not_have_are_refused(cache: PrefixCache) -> None:
    cache.extend(0, [1, 2])
    cache.extend(1, [1])
    for length in (0, 3, -1):
        with pytest.raises(ValueError):
            cache.fork(0, 2, length)
    for length in (3, -1):
        with pytest.raises(ValueError):
            cache.trim(0, length)
    with pytest.raises(ValueError):
        cache.fork(0, 1, 1)
    with pytest.raises(ValueError):
        cache.fork(0, 0, 1)
    with pytest.raises(ValueError):
        cache.unpin(0)
    assert cache.tokens(0) == (1, 2)
    cache.check()


def test_a_tree_notices_that_it_disagrees_with_itself() -> None:
    cache = TreePrefixCache()
    cache.extend(0, [1, 2])
    cache.fork(0, 1, 1)
    cache._ends[0].run.append(3)
    with pytest.raises(AssertionError, match="number of cells"):
        cache.check()


@given(_TOKENS, _TOKENS)
def test_two_runs_agree_up_to_the_first_difference(first: list[int], second: list[int]) -> None:
    length = common_prefix(array("i", first), array("i", second))
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or length == len(first)


_SLOT = st.integers(0, 6)


class _SideBySide(RuleBasedStateMachine):
    """Both caches are told the same and must say the same."""

    @initialize(prefix=st.lists(st.integers(0, 2), min_size=1, max_size=10))
    def begin(self, prefix: list[int]) -> None:
        self.naive = NaivePrefixCache()
        self.tree = TreePrefixCache()
        self.extend(0, prefix)

    @rule(slot=_SLOT, tokens=_TOKENS)
    def extend(self, slot: int, tokens: list[int]) -> None:
        self.naive.extend(slot, tokens)
        self.tree.extend(slot, tokens)

    @precondition(lambda self: self.naive.slots)
    @rule(data=st.data(), slot=_SLOT)
    def fork(self, data: st.DataObject, slot: int) -> None:
        source = data.draw(st.sampled_from(self.naive.slots))
        if source != slot:
            length = data.draw(st.integers(1, self.naive.length(source)))
            self.drop(slot)
            self.naive.fork(source, slot, length)
            self.tree.fork(source, slot, length)

    @precondition(lambda self: self.naive.slots)
    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(self.naive.slots))
        length = data.draw(st.integers(0, self.naive.length(slot)))
        self.naive.trim(slot, length)
        self.tree.trim(slot, length)

    @rule(slot=_SLOT)
    def drop(self, slot: int) -> None:
        self.naive.drop(slot)
        self.tree.drop(slot)

    @rule(slot=_SLOT)
    def pin(self, slot: int) -> None:
        self.naive.pin(slot)
        self.tree.pin(slot)

    @rule(slot=_SLOT)
    def unpin(self, slot: int) -> None:
        refused = []
        for cache in (self.naive, self.tree):
            try:
                cache.unpin(slot)
            except ValueError:
                refused.append(cache)
        assert refused in ([], [self.naive, self.tree])

    @rule()
    def make_room(self) -> None:
        victim = self.naive.victim()
        assert self.tree.victim() == victim
        if victim is not None:
            self.drop(victim)

    @precondition(lambda self: self.naive.cells > 20)
    @rule()
    def clear(self) -> None:
        self.naive.clear()
        self.tree.clear()

    @rule(data=st.data(), end=_TOKENS, whole=st.booleans())
    def match(self, data: st.DataObject, end: list[int], whole: bool) -> None:
        held = [self.naive.tokens(slot) for slot in self.naive.slots] or [()]
        start = data.draw(st.sampled_from(held))
        prompt = [*start[: data.draw(st.integers(0, len(start)))], *end]
        assert self.tree.match(prompt, whole=whole) == self.naive.match(prompt, whole=whole)

    @invariant()
    def both_say_the_same(self) -> None:
        self.naive.check()
        self.tree.check()
        assert self.tree.cells == self.naive.cells
        assert self.tree.slots == self.naive.slots
        assert self.tree.victim() == self.naive.victim()
        for slot in range(7):
            assert self.tree.length(slot) == self.naive.length(slot)
            assert self.tree.freed_by(slot) == self.naive.freed_by(slot)
        for slot in self.naive.slots:
            assert self.tree.tokens(slot) == self.naive.tokens(slot)


TestSideBySide = _SideBySide.TestCase
TestSideBySide.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
