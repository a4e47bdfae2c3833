from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine.drafts import LONGEST, Drafts, Forms, NgramDrafts

_TOKENS = st.lists(st.integers(0, 3), max_size=40)
_WORDS = [b"San", b" San", b"san", b' "San', b" Jose", b"Jose", b"", b"", b" ", b'"']


def _words() -> Forms:
    return Forms(_WORDS.__getitem__)


def test_what_followed_the_last_tokens_follows_again() -> None:
    assert NgramDrafts([1, 2, 3, 4, 5, 9, 1, 2, 3]).draft(2) == (4, 5)


def test_nothing_is_guessed_where_the_last_tokens_are_new() -> None:
    drafts = NgramDrafts([1, 2, 3, 4])
    assert drafts.draft(8) == ()
    assert drafts.chances == ()


def test_a_longer_context_counts_more_than_a_later_place() -> None:
    assert NgramDrafts([1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3]).draft(1) == (4,)


def test_of_equal_contexts_the_latest_counts() -> None:
    assert NgramDrafts([1, 2, 3, 7, 1, 2, 4, 7, 1, 2]).draft(1) == (4,)


def test_the_text_itself_is_a_source() -> None:
    drafts = NgramDrafts([])
    drafts.extend([1, 2, 3, 4, 1])
    drafts.extend([2])
    assert drafts.draft(2) == (3, 4)


def test_one_token_is_context_enough_in_a_quoted_text_only() -> None:
    assert NgramDrafts([5, 6, 7, 9, 5]).draft(2) == ()
    assert NgramDrafts([9, 5], quoted=[[5, 6, 7]]).draft(2) == (6, 7)


def test_one_token_that_is_followed_by_this_and_that_is_not_enough() -> None:
    assert NgramDrafts([9, 5], quoted=[[5, 6, 7, 5, 8, 7]]).draft(2) == ()
    assert NgramDrafts([9, 5], quoted=[[5, 6, 7], [5, 8, 7]]).draft(2) == ()


def test_a_quoted_text_comes_before_others_with_the_same_context() -> None:
    assert NgramDrafts([1, 2, 3, 4, 9, 1, 2], quoted=[[1, 2, 5]]).draft(1) == (5,)


def test_a_guess_does_not_cross_the_border_of_a_source() -> None:
    assert NgramDrafts([9, 1, 2], quoted=[[1, 2, 5], [6, 7]]).draft(8) == (5,)
    assert NgramDrafts([9, 1, 2], quoted=[[1, 2], [6, 7]]).draft(8) == ()


def test_a_context_at_the_end_of_a_source_hides_no_earlier_place() -> None:
    assert NgramDrafts([9, 1, 2], quoted=[[1, 2, 5], [7, 1, 2]]).draft(8) == (5,)


def test_a_guess_ends_where_what_follows_has_just_changed() -> None:
    prompt = [1, 2, 3, 4, 5, 6, 1, 2, 3, 7, 1, 2]
    assert NgramDrafts(prompt).draft(8) == (3,)
    drafts = NgramDrafts([])
    drafts.extend(prompt)
    assert drafts.draft(8) == (3,)


def test_a_context_that_settles_again_is_trusted_again() -> None:
    drafts = NgramDrafts([])
    drafts.extend([1, 2, 3, 4, 9, 1, 2, 3, 5, 9, 1, 2, 3, 5, 9, 1, 2])
    assert drafts.draft(2) == (3, 5)


def test_a_value_is_found_without_its_blank_its_quote_and_its_case() -> None:
    for first in (0, 2, 3):
        drafts = NgramDrafts([9, first], quoted=[[9, 1, 4]], forms=_words())
        assert drafts.draft(3) == (4,)
        assert NgramDrafts([9, first], quoted=[[9, 1, 4]]).draft(3) == ()


def test_tokens_without_a_text_are_told_apart() -> None:
    forms = _words()
    assert len({forms[token] for token in (6, 7, 8, 9)}) == 4


def test_a_guess_is_as_long_as_it_may_be() -> None:
    text = [*range(100)]
    drafts = NgramDrafts([0, 1, 2], quoted=[text])
    assert drafts.draft(-1) == drafts.draft(0) == ()
    assert drafts.draft(4) == (3, 4, 5, 6)
    assert drafts.draft(1000) == tuple(range(3, 3 + LONGEST))
    assert len(drafts.chances) == LONGEST


def test_chances_sink_where_guesses_are_wrong_even_if_nobody_uses_them() -> None:
    drafts = NgramDrafts([])
    random.seed(0)
    first = 1.0
    for token in range(200):
        drafts.extend([1, 2])
        drafts.draft(0)
        drafts.extend([10 + token])
        drafts.draft(0)
    drafts.extend([1, 2])
    if drafts.draft(1):
        first = drafts.chances[0]
    assert first < 0.1


def test_chances_rise_where_guesses_are_right() -> None:
    drafts = NgramDrafts([])
    text = [3, 1, 4, 1, 5, 9, 2, 6]
    drafts.extend(text)
    for token in text * 20:
        drafts.draft(0)
        drafts.extend([token])
    drafts.draft(8)
    assert min(drafts.chances) > 0.9


def test_closing_and_closing_again_changes_nothing() -> None:
    drafts: Drafts = NgramDrafts([1, 2, 3, 1, 2])
    drafts.close()
    drafts.close()
    assert drafts.price == 0
    assert drafts.draft(1) == (3,)


@given(_TOKENS, st.lists(_TOKENS, max_size=3), _TOKENS, st.integers(0, 20))
def test_a_guess_is_a_piece_of_one_source(
    prompt: list[int], quoted: list[list[int]], written: list[int], most: int
) -> None:
    drafts = NgramDrafts(prompt, quoted)
    drafts.extend(written)
    guess = list(drafts.draft(most))
    assert len(guess) <= min(most, LONGEST)
    assert len(drafts.chances) == len(guess)
    assert all(0 < chance <= 1 for chance in drafts.chances)
    sources = [prompt, *quoted, [*prompt, *written]]
    pieces = (each[at:] for each in sources for at in range(len(each) + 1))
    assert any(piece[: len(guess)] == guess for piece in pieces)


@given(_TOKENS, _TOKENS, st.lists(st.booleans(), max_size=40))
def test_guesses_do_not_depend_on_how_the_text_arrived(
    prompt: list[int], written: list[int], cuts: list[bool]
) -> None:
    whole, pieces = NgramDrafts(prompt), NgramDrafts(prompt)
    whole.extend(written)
    piece: list[int] = []
    for place, token in enumerate(written):
        piece.append(token)
        if place < len(cuts) and cuts[place]:
            pieces.extend(piece)
            piece = []
    pieces.extend(piece)
    assert whole.draft(8) == pieces.draft(8)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_sources_shorter_than_a_context_are_harmless(length: int) -> None:
    drafts = NgramDrafts([1] * length, [[1] * length, []])
    drafts.extend([2])
    assert drafts.draft(4) == ()
