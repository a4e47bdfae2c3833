from __future__ import annotations

import gc
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmcompiler.engine.batcher import Batch, Row
from llmcompiler.engine.context import Context
from llmcompiler.engine.embedding import EmbeddingContext, Pooling
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, ContextLengthError, ModelError
from tests.engine.asked import Asked, running, short, tokens
from tests.engine.tiny_model import write_tiny_model

_OPTIONS = EngineOptions(n_ctx=512, chunk=64, threads=1)
_POOLINGS: list[Pooling] = ["mean", "cls", "last"]


@pytest.fixture(scope="module")
def q8_model(q8_gguf: Path) -> Iterator[Model]:
    """Return a model whose kernels add up alike in batches of any size."""
    model = Model(read_header(q8_gguf), _OPTIONS)
    yield model
    model.close()


def _alone(context: EmbeddingContext, texts: list[list[int]]) -> NDArray[np.float32]:
    return np.concatenate([context.embed([text], normalized=False) for text in texts])


def _by_hand(model: Model, text: list[int]) -> NDArray[np.float32]:
    """Compute the vector behind each token with a context for writing, one token a pass."""
    context = Context(model, _OPTIONS)
    llama = context._llama
    llama.llama_set_embeddings(context._context, True)
    found = []
    for place, token in enumerate(text):
        context.evaluate(Batch((Row(0, place, (token,), 1),)))
        first = llama.llama_get_embeddings(context._context)
        found.append(np.ctypeslib.as_array(first, shape=(1, 64))[0].copy())
    context.close()
    return np.stack(found)


@pytest.mark.parametrize("pooling", _POOLINGS)
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 130])
def test_a_vector_is_pooled_from_those_behind_each_token(
    q8_model: Model, pooling: Pooling, length: int
) -> None:
    text = tokens(length)
    behind = _by_hand(q8_model, text)
    expected = {"mean": behind.mean(0), "cls": behind[0], "last": behind[-1]}[pooling]
    context = EmbeddingContext(q8_model, _OPTIONS, pooling=pooling)
    found = context.embed([text], normalized=False)
    context.close()
    assert found.dtype == np.float32
    assert np.allclose(found[0], expected, atol=0.02)


@pytest.mark.parametrize("pooling", _POOLINGS)
def test_texts_together_have_the_vectors_of_each_alone_in_their_order(
    q8_model: Model, pooling: Pooling
) -> None:
    context = EmbeddingContext(q8_model, _OPTIONS, pooling=pooling, n_slots=3)
    lengths = st.lists(st.integers(1, 150), min_size=1, max_size=9)

    @settings(max_examples=15, deadline=None)
    @given(lengths, st.integers(0, 99))
    def check(lengths: list[int], seed: int) -> None:
        texts = [tokens(length, seed + place) for place, length in enumerate(lengths)]
        together = context.embed(texts, normalized=False)
        assert together.shape == (len(texts), context.width)
        assert np.allclose(together, _alone(context, texts), atol=0.02)

    check()
    context.close()


def test_texts_share_passes_as_far_as_they_fit(
    q8_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = EmbeddingContext(q8_model, _OPTIONS, n_slots=4)
    sizes = _watch(context, monkeypatch)
    context.embed([tokens(10)] * 6)
    assert sizes == [40, 20]
    sizes.clear()
    context.embed([tokens(40), tokens(20), tokens(5), tokens(150)])
    assert sizes == [64, 1, 64, 64, 22]
    sizes.clear()
    context.embed([tokens(40), tokens(100), tokens(10)])
    assert sizes == [64, 64, 22]
    context.close()


def test_of_the_last_tokens_alone_scores_are_computed(
    q8_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = EmbeddingContext(q8_model, _OPTIONS, pooling="last")
    wanted: list[bool] = []
    turn = context._llama.llama_set_embeddings
    monkeypatch.setattr(
        context._llama,
        "llama_set_embeddings",
        lambda pointer, on: (wanted.append(on), turn(pointer, on)),
    )
    sizes = _watch(context, monkeypatch)
    context.embed([tokens(30), tokens(20), tokens(10)])
    assert list(zip(sizes, wanted, strict=True)) == [(60, True)]
    context.close()


def _watch(context: EmbeddingContext, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many tokens each pass has."""
    sizes: list[int] = []
    decode = context._llama.llama_decode

    def noting(pointer: object, batch: object) -> int:
        sizes.append(batch.n_tokens)  # type: ignore[attr-defined]
        return int(decode(pointer, batch))

    monkeypatch.setattr(context._llama, "llama_decode", noting)
    return sizes
