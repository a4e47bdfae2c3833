from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcompiler.engine.batcher import Batch, next_batch


def test_a_prompt_goes_through_in_chunks_and_only_its_end_wants_logits() -> None:
    tokens = [10, 11, 12, 13, 14]
    assert next_batch(tokens, 0, 2) == Batch((10, 11), 0, False)
    assert next_batch(tokens, 2, 2) == Batch((12, 13), 2, False)
    assert next_batch(tokens, 4, 2) == Batch((14,), 4, True)


def test_a_new_token_goes_alone() -> None:
    assert next_batch([1, 2, 3], 2, 256) == Batch((3,), 2, True)


def test_nothing_to_evaluate_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="nothing is left"):
        next_batch([1, 2], 2, 256)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50), st.integers(1, 60), st.data())
def test_batches_cover_a_sequence_once_and_in_order(
    tokens: list[int], chunk: int, data: st.DataObject
) -> None:
    evaluated = data.draw(st.integers(0, len(tokens) - 1))
    covered = tokens[:evaluated]
    while evaluated < len(tokens):
        batch = next_batch(tokens, evaluated, chunk)
        assert 1 <= len(batch.tokens) <= chunk
        assert batch.position == evaluated
        covered += batch.tokens
        evaluated += len(batch.tokens)
        assert batch.wants_logits == (evaluated == len(tokens))
    assert covered == tokens
