from __future__ import annotations

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
from tests.engine.asked import tokens
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


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Say whether vectors are the same but for what rounding in batches of other sizes does."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return bool(((one * other).sum(1) / lengths > 0.995).all())


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
    assert _alike(found, expected[None])


def test_there_may_be_more_texts_at_a_time_than_a_pass_has_tokens(q8_gguf: Path) -> None:
    options = EngineOptions(n_ctx=512, chunk=8, threads=1)
    model = Model(read_header(q8_gguf), options)
    context = EmbeddingContext(model, options)
    assert context.n_slots > context.batch  # it would have ended the process
    texts = [tokens(20, seed) for seed in range(3)]
    assert _alike(context.embed(texts, normalized=False), _alone(context, texts))
    model.close()


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
        assert _alike(together, _alone(context, texts))

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

    def noting(pointer: object, on: bool) -> None:
        wanted.append(on)
        turn(pointer, on)

    monkeypatch.setattr(context._llama, "llama_set_embeddings", noting)
    sizes = _watch(context, monkeypatch)
    context.embed([tokens(30), tokens(20), tokens(10)])
    assert list(zip(sizes, wanted, strict=True)) == [(57, False), (3, True)]
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


def test_texts_that_differ_have_other_vectors(q8_model: Model) -> None:
    context = EmbeddingContext(q8_model, _OPTIONS)
    found = context.embed([tokens(40, seed) for seed in range(6)])
    assert (found @ found.T)[~np.eye(6, dtype=bool)].max() < 0.9
    context.close()


def test_vectors_have_a_length_of_one_unless_asked_otherwise(q8_model: Model) -> None:
    context = EmbeddingContext(q8_model, _OPTIONS)
    texts = [tokens(5), tokens(100)]
    raw = context.embed(texts, normalized=False)
    length = np.linalg.norm(raw, axis=1, keepdims=True)
    assert (np.abs(length - 1) > 0.5).all()
    assert np.allclose(context.embed(texts), raw / length, atol=1e-5)
    context.close()


def test_no_texts_have_no_vectors_and_take_no_memory(tiny_model: Model) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    assert context.embed([]).shape == (0, 64)
    assert context.cells == 0


def test_where_it_is_to_be_reproducible_company_changes_nothing_at_all(
    q8_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(n_ctx=512, chunk=64, threads=1, reproducible=True)
    context = EmbeddingContext(q8_model, options)
    texts = [tokens(length, length) for length in (3, 70, 1, 200, 64)]
    alone = _alone(context, texts)
    sizes = _watch(context, monkeypatch)
    assert np.array_equal(context.embed(texts, normalized=False), alone)
    assert sizes == [3, 64, 6, 1, 64, 64, 64, 8, 64]
    context.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ([], "text 2 of 2 is empty: leave it out"),
        ([5, -1], "outside the vocabulary"),
        ([5, 1 << 30], "outside the vocabulary"),
    ],
)
def test_a_text_that_is_none_is_refused_and_the_next_is_not(
    tiny_model: Model, text: list[int], problem: str
) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    with pytest.raises(ModelError, match=problem):
        context.embed([[5], text])
    assert context.cells == 0
    assert context.embed([[5]]).shape == (1, 64)


def test_a_text_may_fill_the_context_and_no_more(tiny_model: Model) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    assert np.isfinite(context.embed([tokens(512), tokens(512)])).all()
    with pytest.raises(ContextLengthError, match=r"513 tokens and the context holds 512.*split"):
        context.embed([tokens(5), tokens(513)])


def test_a_text_that_is_read_as_a_whole_must_fit_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = gguf.GGUFWriter.add_vocab_size

    def both(writer: gguf.GGUFWriter, size: int) -> None:
        writer.add_causal_attention(False)
        add(writer, size)

    monkeypatch.setattr(gguf.GGUFWriter, "add_vocab_size", both)
    model = Model(read_header(write_tiny_model(tmp_path / "both.gguf")), _OPTIONS)
    context = EmbeddingContext(model, _OPTIONS)
    assert not context.causal
    with pytest.raises(
        ContextLengthError, match=r"65 tokens and the context holds 64.*raise chunk"
    ):
        context.embed([tokens(65)])
    sizes = _watch(context, monkeypatch)
    texts = [tokens(64), tokens(20), tokens(40), tokens(10)]
    together = context.embed(texts, normalized=False)
    assert sizes == [64, 60, 10]
    assert _alike(together, _alone(context, texts))
    model.close()


@pytest.mark.parametrize(
    ("number", "named"), [(1, "mean"), (2, "cls"), (3, "last"), (None, "mean")]
)
def test_the_pooling_that_the_file_names_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None, named: Pooling
) -> None:
    add = gguf.GGUFWriter.add_vocab_size

    def both(writer: gguf.GGUFWriter, size: int) -> None:
        if number is not None:
            writer.add_pooling_type(gguf.PoolingType(number))
        add(writer, size)

    monkeypatch.setattr(gguf.GGUFWriter, "add_vocab_size", both)
    model = Model(read_header(write_tiny_model(tmp_path / "pooled.gguf")), _OPTIONS)
    context = EmbeddingContext(model, _OPTIONS)
    assert context.pooling == named
    assert EmbeddingContext(model, _OPTIONS, pooling="cls").pooling == "cls"
    assert _alike(
        context.embed([tokens(9)]),
        EmbeddingContext(model, _OPTIONS, pooling=named).embed([tokens(9)]),
    )
    model.close()


def test_a_pooling_or_number_of_slots_that_there_is_not_is_refused(tiny_model: Model) -> None:
    with pytest.raises(ConfigurationError, match="'mean', 'cls', 'last', not 'sum'"):
        EmbeddingContext(tiny_model, _OPTIONS, pooling="sum")  # type: ignore[arg-type]
    for n_slots in (0, 257):
        with pytest.raises(ConfigurationError, match=f"1 to 256, not {n_slots}"):
            EmbeddingContext(tiny_model, _OPTIONS, n_slots=n_slots)


def test_a_text_has_the_tokens_around_it_that_the_model_was_trained_with(
    tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    assert context.tokens("the") == [0, *tiny_model.tokenize("the", special=False)]
    assert context.tokens("") == []
    (plain,) = (t for t in [context.tokens("<|end|>")] if 1 not in t)
    assert len(plain) > 2
    add = gguf.GGUFWriter.add_vocab_size

    def both(writer: gguf.GGUFWriter, size: int) -> None:
        writer.add_add_eos_token(True)
        add(writer, size)

    monkeypatch.setattr(gguf.GGUFWriter, "add_vocab_size", both)
    model = Model(read_header(write_tiny_model(tmp_path / "eos.gguf")), _OPTIONS)
    ended = EmbeddingContext(model, _OPTIONS)
    assert ended.tokens("the") == [*context.tokens("the"), 1]
    assert ended.tokens("") == []
    model.close()
