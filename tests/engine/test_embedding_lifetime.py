from __future__ import annotations

import gc
import random
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llmcompiler.engine.embedding import EmbeddingContext
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, ModelError
from tests.engine.asked import Asked, running, short, tokens

_OPTIONS = EngineOptions(n_ctx=512, chunk=64, threads=1)
_APART = EngineOptions(n_ctx=512, n_seq=4, chunk=64, threads=1, drafts=False, reproducible=True)


def test_memory_is_taken_by_the_first_text_grows_with_the_longest_and_is_freed(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    llama = context._llama
    opened: list[int] = []
    make, free = llama.llama_init_from_model, llama.llama_free

    def making(*given: object) -> object:
        opened.append(1)
        return make(*given)

    def freeing(pointer: object) -> None:
        opened.pop()
        free(pointer)

    monkeypatch.setattr(llama, "llama_init_from_model", making)
    monkeypatch.setattr(llama, "llama_free", freeing)
    cells = []
    for length in (5, 64, 65, 300, 200):
        context.embed([tokens(length)])
        cells.append((context.cells, len(opened)))
    assert cells == [(64, 1), (64, 1), (65, 1), (300, 1), (300, 1)]
    context.close()
    context.close()
    assert (context.cells, opened) == (0, [])


def test_opening_and_closing_again_and_again_takes_no_memory(tiny_model: Model) -> None:
    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096

    before = 0
    for round_ in range(40):
        if round_ == 10:
            before = resident()
        context = EmbeddingContext(tiny_model, _OPTIONS)
        context.embed([tokens(500)])
        context.close()
    assert resident() - before < 4 << 20


def test_after_closing_the_model_nothing_is_computed(tiny_gguf: Path) -> None:
    model = Model(read_header(tiny_gguf), _OPTIONS)
    used, unused = EmbeddingContext(model, _OPTIONS), EmbeddingContext(model, _OPTIONS)
    used.embed([[5]])
    model.close()
    for context in (used, unused):
        with pytest.raises(ModelError, match="was closed: load it again"):
            context.embed([[5]])
        with pytest.raises(ModelError, match="was closed: load it again"):
            context.tokens("the")
        context.close()


def test_closing_it_and_the_model_waits_for_the_pass_in_progress_and_no_longer(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(read_header(tiny_gguf), _OPTIONS)
    context = EmbeddingContext(model, _OPTIONS)
    lock, knocked, order = context._memory.lock, threading.Event(), list[str]()
    closers = [threading.Thread(target=close) for close in (model.close, context.close)]
    decode, free = context._llama.llama_decode, context._llama.llama_free

    class Door:
        def __enter__(self) -> None:
            if threading.current_thread() is closers[1]:
                knocked.set()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    def slow(pointer: object, batch: object) -> int:
        for closer in reversed(closers):
            closer.start()
        assert knocked.wait(60)
        order.append("computed")
        return int(decode(pointer, batch))

    def freeing(pointer: object) -> None:
        order.append("freed")
        free(pointer)

    monkeypatch.setattr(context._memory, "lock", Door())
    monkeypatch.setattr(context._llama, "llama_decode", slow)
    monkeypatch.setattr(context._llama, "llama_free", freeing)
    with pytest.raises(ModelError, match="was closed"):
        context.embed([tokens(300)])
    for closer in closers:
        closer.join(60)
    assert order == ["computed", "freed"]


def test_it_stops_between_passes_when_told_to(tiny_model: Model) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    asked: list[int] = []

    def third() -> bool:
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(ModelError, match="was stopped"):
        context.embed([tokens(500)], stopped=third)
    assert len(asked) == 3
    assert np.isfinite(context.embed([tokens(500)])).all()


@pytest.mark.parametrize("code", [1, 2, -1, -3])
def test_a_pass_that_fails_is_told_and_the_next_begins_anew(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    expected = context.embed([tokens(100)])
    with monkeypatch.context() as patch:
        patch.setattr(context._llama, "llama_decode", lambda *_: code)
        with pytest.raises(ModelError, match=f"failed with code {code}"):
            context.embed([tokens(100)])
    assert context.cells == 0
    assert np.array_equal(context.embed([tokens(100)]), expected)


def test_without_memory_it_says_what_to_do(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = EmbeddingContext(tiny_model, _OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(context._llama, "llama_init_from_model", lambda *_: None)
        with pytest.raises(ConfigurationError, match=r"embeddings of 64 tokens.*lower n_ctx"):
            context.embed([[5]])
    assert context.embed([[5]]).shape == (1, 64)


def test_many_threads_may_ask_at_once(tiny_model: Model) -> None:
    context = EmbeddingContext(tiny_model, _APART)
    asked = [
        [tokens(random.Random(n).randrange(1, 300), n + m) for m in range(3)] for n in range(6)
    ]
    expected = [context.embed(texts) for texts in asked]
    found: dict[int, NDArray[np.float32]] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: context.embed(asked[n])}))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for n in range(6):
        assert np.array_equal(found[n], expected[n])
    context.close()


def test_what_is_written_meanwhile_stays_as_it_was(q8_gguf: Path) -> None:
    with running(q8_gguf, _APART) as engine:
        context = EmbeddingContext(engine.model, _APART)
        expected = context.embed([tokens(200)])
        quiet = Asked(engine, tokens(40), short(60))
        quiet.rest()
        busy = [Asked(engine, tokens(40, seed), short(60)) for seed in (0, 1)]
        busy[0].until_it_speaks()
        for _ in range(5):
            assert np.array_equal(context.embed([tokens(200)]), expected)
        for asked in busy:
            asked.end()
        assert busy[0].wrote == quiet.wrote


def test_an_engine_closes_while_texts_are_embedded(q8_gguf: Path) -> None:
    failures: list[ModelError] = []
    with running(q8_gguf) as engine:
        context = EmbeddingContext(engine.model, _OPTIONS)
        begun = threading.Event()

        def embed() -> None:
            try:
                while True:
                    context.embed([tokens(400)] * 3)
                    begun.set()
            except ModelError as failure:
                failures.append(failure)

        embedding = threading.Thread(target=embed)
        embedding.start()
        assert begun.wait(60)
    embedding.join(60)
    assert "was closed" in str(failures[0])
    assert context.cells == 0
