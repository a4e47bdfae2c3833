from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcompiler.engine import loop
from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Broken, Context, NoRoom
from llmcompiler.engine.cost import DraftPolicy
from llmcompiler.engine.drafts import Forms, NgramDrafts
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.live import Live
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.request import Ended, Failed, Output, Request
from llmcompiler.engine.store import StateStore
from llmcompiler.engine.threads import Cores
from llmcompiler.errors import ModelError
from tests.engine.asked import OPTIONS, Asked, held_up, last, running, short, tokens

_GUESSING = replace(OPTIONS, drafts=True)


def test_one_whose_tokens_nobody_can_keep_does_not_stop_the_engine(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:

        def refuse(written: Sequence[int]) -> None:
            raise KeyError("no room for it")

        outputs: queue.SimpleQueue[Output] = queue.SimpleQueue()
        engine.submit(Request(lambda: tokens(10), refuse, short(3)), outputs.put)
        other = Asked(engine, tokens(10, 1), short(5))
        ended = last(other)
        assert isinstance(ended, Ended)
        assert ended.reason in ("length", "stop")
        assert isinstance(last(Asked(engine, tokens(10, 2), short(5))), Ended)


def test_a_reader_that_raises_does_not_stop_the_engine(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:

        def refuse(output: Output) -> None:
            raise ValueError("cannot read it")

        engine.submit(Request(lambda: tokens(10), sampling=short(3)), refuse)
        assert isinstance(last(Asked(engine, tokens(10, 1), short(5))), Ended)


def test_a_guess_that_raises_does_not_stop_the_engine(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tiny_gguf, _GUESSING) as engine:
        with monkeypatch.context() as patch:

            def refuse(drafts: NgramDrafts, most: int) -> tuple[int, ...]:
                raise ValueError("no guess")

            patch.setattr(NgramDrafts, "draft", refuse)
            first = last(Asked(engine, tokens(10), short(5)))
        assert isinstance(first, Failed) or (isinstance(first, Ended) and first.reason == "length")
        assert isinstance(last(Asked(engine, tokens(10), short(5))), Ended)


def test_an_engine_that_cannot_begin_tells_those_who_wait(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def refuse(context: Context, **more: Any) -> None:
        begun.set()
        gate.wait(10)
        raise ModelError("the context could not compute")

    monkeypatch.setattr(loop, "measure", refuse)
    engine = Engine.open(read_header(tiny_gguf), _GUESSING)
    try:
        assert begun.wait(10)
        asked = Asked(engine, tokens(10), short(5))
        gate.set()
        assert isinstance(last(asked), Ended | Failed)
    finally:
        gate.set()
        engine.close()


def test_where_drafts_do_not_fit_the_cells_requests_go_on_without(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guess(policy: DraftPolicy, drafts: Any, width: int, **more: Any) -> tuple[int, ...]:
        return (5, 6, 7, 8, 9, 10, 11, 12)[: more["most"]]

    monkeypatch.setattr(DraftPolicy, "guess", guess)
    options = replace(_GUESSING, n_ctx=256, n_cells=256)
    with running(tiny_gguf, options) as engine:
        with held_up(engine):
            asked = [Asked(engine, tokens(100 + n, n), short(60)) for n in range(3)]
        for each in asked:
            assert isinstance(last(each), Ended)


def test_a_saved_state_that_is_gone_costs_no_request(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, n_seq=1, cache_ram=64)
    long = tokens(300)
    with running(tiny_gguf, options) as engine:
        last(Asked(engine, long, short(2)))
        last(Asked(engine, tokens(300, 1), short(2)))  # the long one is saved
        last(Asked(engine, [*long[:100], *tokens(100, 2)], short(2)))
        monkeypatch.setattr(StateStore, "get", lambda store, key: None)
        end = last(Asked(engine, long, short(2)))
        assert isinstance(end, Ended), end


def test_a_context_that_cannot_be_made_anew_is_not_saved_from(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[int] = []
    save = Context.save

    def watched(context: Context, slot: int) -> bytes:
        if not context._close.alive:
            freed.append(slot)
            return b""
        return save(context, slot)

    def broken(batch: Batch) -> None:
        raise Broken("half way")

    def refuse(*arguments: Any, **more: Any) -> Context:
        raise ModelError("no memory")

    monkeypatch.setattr(Context, "save", watched)
    engine = Engine.open(read_header(tiny_gguf), replace(OPTIONS, cache_ram=64))
    try:
        last(Asked(engine, tokens(200), short(2)))
        monkeypatch.setattr(engine.context, "evaluate", broken)
        monkeypatch.setattr(loop, "Context", refuse)
        last(Asked(engine, tokens(100, 1), short(2)))
        engine._thread.join(10)
        assert not freed
        # And it says that it is gone.
        with pytest.raises(ModelError):
            engine.submit(Request(lambda: tokens(5)), lambda output: None)
    finally:
        engine.close()


def test_who_gives_up_waiting_lets_go_of_its_guesses(
    q8_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[NgramDrafts] = []
    closed: list[NgramDrafts] = []

    class Watched(NgramDrafts):
        def __init__(self, prompt: Any, quoted: Any = (), forms: Forms | None = None) -> None:
            super().__init__(prompt, quoted, forms)
            opened.append(self)

        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(loop, "NgramDrafts", Watched)
    monkeypatch.setattr(DraftPolicy, "guess", lambda *arguments, **more: ())
    stood = threading.Event()
    stand = Live.stand

    def note(live: Live) -> None:
        stand(live)
        live.job.cancel()
        stood.set()

    monkeypatch.setattr(Live, "stand", note)
    options = replace(_GUESSING, n_ctx=256, n_cells=256)
    with running(q8_gguf, options) as engine:
        with held_up(engine):
            asked = [
                Asked(engine, tokens(60, n), short(100), grammar="start: /[a-f]{200}/")
                for n in range(3)
            ]
        for each in asked:
            last(each)
    assert stood.is_set()
    assert len(closed) == len(opened)


def test_a_reply_that_is_whole_with_its_last_token_was_not_cut(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:
        end = Asked(engine, tokens(20), short(4), grammar="start: /[xy][xy][xy][xy]/").end()
        assert end.usage.completion_tokens == 4
        assert end.reason == "stop"
        end = Asked(engine, tokens(20), short(3), grammar='start: /[xy]/ "qq"').end()
        assert end.usage.completion_tokens == 3
        assert end.reason == "stop"


def test_an_engine_that_was_closed_at_work_leaves_its_threads_to_others(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = Cores(8)
    monkeypatch.setattr(loop, "share_threads", lambda threads: cores.share())
    engine = Engine.open(read_header(tiny_gguf), OPTIONS)
    Asked(engine, tokens(20), short(400), grammar="start: /[a-f]{600}/").until_it_speaks()
    engine.close()
    other = cores.share()
    assert other.begin() == 8, "the engine is still there, but at rest"
    del engine


def test_cells_that_are_always_short_fail_requests_and_nobody_goes_and_comes_for_ever(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tiny_gguf) as engine:

        def refuse(batch: Batch) -> None:
            raise NoRoom("always")

        with monkeypatch.context() as patch:
            patch.setattr(engine.context, "evaluate", refuse)
            with held_up(engine):
                asked = [Asked(engine, tokens(10, n), short(3)) for n in range(3)]
            assert all(isinstance(last(each), Failed) for each in asked)
        assert isinstance(last(Asked(engine, tokens(10), short(3))), Ended)
