from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine.batcher import Batch, Row, Waiting, next_batch


def _prompt(slot: int, count: int, *, position: int = 0, choice: bool = True) -> Waiting:
    return Waiting(slot, position, tuple(range(count)), choice=choice)


def _reply(slot: int, tokens: int = 1, drafts: int = 0, *, position: int = 9) -> Waiting:
    return Waiting(slot, position, tuple(range(tokens)), tuple(range(drafts)), decoding=True)


def test_a_prompt_goes_through_in_chunks_and_only_its_end_is_scored() -> None:
    assert next_batch([_prompt(0, 100)], 64) == Batch((Row(0, 0, tuple(range(64)), 0),))
    rest = Waiting(0, 64, tuple(range(64, 100)))
    assert next_batch([rest], 64) == Batch((Row(0, 64, tuple(range(64, 100)), 1),))


def test_who_is_read_comes_before_any_prompt() -> None:
    batch = next_batch([_prompt(0, 100), _reply(1), _reply(2)], 64)
    assert [(row.slot, len(row.tokens), row.outputs) for row in batch.rows] == [
        (1, 1, 1),
        (2, 1, 1),
        (0, 62, 0),
    ]


def test_prompts_share_what_is_left_in_the_order_given() -> None:
    batch = next_batch([_prompt(0, 20), _prompt(1, 30), _prompt(2, 30)], 64)
    assert [(row.slot, len(row.tokens), row.outputs) for row in batch.rows] == [
        (0, 20, 1),
        (1, 30, 1),
        (2, 14, 0),
    ]


def test_drafts_are_scored_at_every_place() -> None:
    batch = next_batch([_reply(0, tokens=3, drafts=4)], 64)
    assert batch == Batch((Row(0, 9, (0, 1, 2, 0, 1, 2, 3), 5),))


def test_drafts_that_do_not_fit_are_left_out_whole() -> None:
    assert next_batch([_reply(0, drafts=4)], 4) == Batch((Row(0, 9, (0,), 1),))


def test_drafts_of_one_never_take_the_place_of_another() -> None:
    batch = next_batch([_reply(0, drafts=7), _reply(1), _reply(2)], 8)
    assert [len(row.tokens) for row in batch.rows] == [1, 1, 1]


def test_what_is_computed_ahead_asks_for_no_scores() -> None:
    assert next_batch([_prompt(0, 3, choice=False)], 64) == Batch((Row(0, 0, (0, 1, 2), 0),))


def test_alone_there_is_one_sequence_in_a_pass() -> None:
    assert len(next_batch([_reply(0), _reply(1), _prompt(2, 5)], 64, alone=True).rows) == 1


def test_nothing_to_compute_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="nothing waits"):
        next_batch([], 64)


_waiting = st.builds(
    lambda tokens, drafts, decoding, choice: (tokens, drafts, decoding, choice),
    st.integers(1, 200),
    st.integers(0, 20),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(_waiting, min_size=1, max_size=20), st.integers(1, 128), st.booleans())
def test_whatever_waits_the_batch_is_lawful(
    kinds: list[tuple[int, int, bool, bool]], budget: int, alone: bool
) -> None:
    waiting = [
        Waiting(slot, 7, tuple(range(tokens)), (1,) * drafts, decoding, choice or decoding)
        for slot, (tokens, drafts, decoding, choice) in enumerate(kinds)
    ]
    batch = next_batch(waiting, budget, alone=alone)
    assert 1 <= batch.size <= budget
    assert len({row.slot for row in batch.rows}) == len(batch.rows)
    decoding = [each for each in waiting if each.decoding]
    if len(decoding) <= budget and not alone:
        assert {each.slot for each in decoding} <= {row.slot for row in batch.rows}
    for row in batch.rows:
        each = waiting[row.slot]
        whole = len(row.tokens) >= len(each.tokens)
        assert row.outputs == (
            len(row.tokens) - len(each.tokens) + 1 if whole and each.choice else 0
        )
        assert row.tokens[: len(each.tokens)] == each.tokens[: len(row.tokens)]


def test_a_pass_is_filled_up_behind_the_shortest_text_that_is_scored() -> None:
    rows = (Row(0, 3, (5, 6)), Row(1, 40, (7,), 1), Row(2, 20, (8, 9), 2))
    batch = Batch(rows).filled(8, 64)
    assert batch.rows == (*rows[:2], Row(2, 20, (8, 9, 9, 9, 9), 5, 3))
    assert batch.bare().rows == (*rows[:2], Row(2, 20, (8,), 1))


def test_a_pass_is_not_filled_up_where_there_is_no_place() -> None:
    scored, other = Batch((Row(0, 62, (7,), 1),)), Batch((Row(0, 3, (5, 6)),))
    assert scored.filled(2, 64).size == 2
    assert scored.filled(3, 64) == scored
    assert scored.filled(1, 64) == scored
    assert other.filled(4, 64) == other
