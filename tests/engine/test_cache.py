from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine.cache import PrefixCache

_TOKENS = st.lists(st.integers(0, 2), max_size=12)


def _holding(tokens: list[int]) -> PrefixCache:
    cache = PrefixCache()
    cache.add(tokens)
    return cache


def test_a_longer_prompt_reuses_all_that_is_held() -> None:
    assert _holding([1, 2, 3]).reusable([1, 2, 3, 4]) == 3


def test_the_last_token_is_always_left_to_evaluate() -> None:
    assert _holding([1, 2, 3]).reusable([1, 2, 3]) == 2
    assert _holding([1, 2, 3]).reusable([1, 2]) == 1
    assert _holding([1, 2, 3]).reusable([1]) == 0
    assert _holding([1, 2, 3]).reusable([]) == 0


def test_reuse_ends_at_the_first_difference() -> None:
    assert _holding([1, 2, 3, 4]).reusable([1, 2, 9, 4, 5]) == 2


def test_what_is_not_kept_is_not_reused() -> None:
    cache = _holding([1, 2, 3, 4])
    cache.keep(2)
    cache.add([7])
    assert cache.tokens == (1, 2, 7)
    assert len(cache) == 3


@given(_TOKENS, _TOKENS)
def test_reuse_is_the_longest_common_prefix_short_of_the_end(
    held: list[int], prompt: list[int]
) -> None:
    count = _holding(held).reusable(prompt)
    assert prompt[:count] == held[:count]
    assert count <= max(len(prompt) - 1, 0)
    longer = count + 1
    assert longer > len(held) or longer > len(prompt) - 1 or prompt[:longer] != held[:longer]
