from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmcompiler.engine import loop
from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.context import Broken, Context
from llmcompiler.engine.cost import DraftPolicy
from llmcompiler.engine.drafts import Forms, NgramDrafts
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.request import Ended, Failed, Output, Progress, Request
from llmcompiler.engine.store import StateStore
from llmcompiler.engine.threads import Cores
from llmcompiler.errors import ModelError
from llmcompiler.llms import local
from llmcompiler.llms.local import LocalLLM
from llmcompiler.messages import Message
from tests.engine.asked import OPTIONS, Asked, held_up, running, short, tokens

_GUESSING = replace(OPTIONS, drafts=True)


def _last(asked: Asked) -> Output:
    """Wait for the end of a request, but not for ever."""
    while True:
        try:
            output = asked.outputs.get(timeout=8)
        except queue.Empty:
            raise AssertionError("the request was never answered") from None
        if isinstance(output, Ended | Failed):
            return output


def test_one_whose_tokens_nobody_can_keep_does_not_stop_the_engine(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:

        def refuse(written: Sequence[int]) -> None:
            raise KeyError("no room for it")

        outputs: queue.SimpleQueue[Output] = queue.SimpleQueue()
        engine.submit(Request(lambda: tokens(10), refuse, short(3)), outputs.put)
        other = Asked(engine, tokens(10, 1), short(5))
        ended = _last(other)
        assert isinstance(ended, Ended)
        assert ended.reason in ("length", "stop")
        assert isinstance(_last(Asked(engine, tokens(10, 2), short(5))), Ended)


def test_a_reader_that_raises_does_not_stop_the_engine(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:

        def refuse(output: Output) -> None:
            raise ValueError("cannot read it")

        engine.submit(Request(lambda: tokens(10), sampling=short(3)), refuse)
        assert isinstance(_last(Asked(engine, tokens(10, 1), short(5))), Ended)


def test_a_guess_that_raises_does_not_stop_the_engine(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tiny_gguf, _GUESSING) as engine:
        with monkeypatch.context() as patch:

            def refuse(drafts: NgramDrafts, most: int) -> tuple[int, ...]:
                raise ValueError("no guess")

            patch.setattr(NgramDrafts, "draft", refuse)
            first = _last(Asked(engine, tokens(10), short(5)))
        assert isinstance(first, Failed) or (isinstance(first, Ended) and first.reason == "length")
        assert isinstance(_last(Asked(engine, tokens(10), short(5))), Ended)


def test_an_engine_that_cannot_begin_tells_those_who_wait(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def refuse(context: Context, *, budget: float) -> None:
        gate.wait(10)
        raise ModelError("the context could not compute")

    monkeypatch.setattr(loop, "measure", refuse)
    engine = Engine.open(read_header(tiny_gguf), _GUESSING)
    try:
        asked = Asked(engine, tokens(10), short(5))
        gate.set()
        assert isinstance(_last(asked), Ended | Failed)
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
            assert isinstance(_last(each), Ended)


def test_a_saved_state_that_is_gone_costs_no_request(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, n_seq=1, cache_ram=64)
    long = tokens(300)
    with running(tiny_gguf, options) as engine:
        _last(Asked(engine, long, short(2)))
        _last(Asked(engine, tokens(300, 1), short(2)))  # the long one is saved
        _last(Asked(engine, [*long[:100], *tokens(100, 2)], short(2)))
        monkeypatch.setattr(StateStore, "get", lambda store, key: None)
        end = _last(Asked(engine, long, short(2)))
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
        _last(Asked(engine, tokens(200), short(2)))
        monkeypatch.setattr(engine.context, "evaluate", broken)
        monkeypatch.setattr(loop, "Context", refuse)
        _last(Asked(engine, tokens(100, 1), short(2)))
        engine._thread.join(10)
        assert not freed
        # And it says that it is gone.
        with pytest.raises(ModelError):
            engine.submit(Request(lambda: tokens(5)), lambda output: None)
    finally:
        engine.close()


def test_a_kept_prefix_gives_way_to_a_request_that_has_no_room_beside_it(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_cells=512)
    with running(tiny_gguf, options) as engine:
        Asked(engine, tokens(300), silent=True, keep=True).end()
        end = _last(Asked(engine, tokens(400, 1), short(5)))
        assert isinstance(end, Ended), end
        assert end.usage.completion_tokens == 5


def test_a_reply_is_not_cut_for_the_sake_of_a_kept_prefix(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_cells=512)
    with running(tiny_gguf, options) as engine:
        Asked(engine, tokens(300), silent=True, keep=True).end()
        end = _last(Asked(engine, tokens(150, 1), short(200), grammar="start: /[a-f]{300}/"))
        assert isinstance(end, Ended), end
        assert end.usage.completion_tokens == 200


def test_keeping_a_prefix_again_holds_it_once(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=256, n_cells=1024)
    with running(tiny_gguf, options) as engine:
        for _ in range(4):
            Asked(engine, tokens(100), silent=True, keep=True).end()
        Asked(engine, tokens(100, 9), silent=True, keep=True).end()
        for seed in range(20, 30):
            Asked(engine, tokens(200, seed), short(3)).rest()
        assert Asked(engine, [*tokens(100, 9), 7], short(3)).usage().reused_tokens == 100


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
    stand = loop.Live.stand
    cancel: list[Asked] = []

    def note(live: loop.Live) -> None:
        stand(live)
        live.job.cancel()
        cancel.append(live)  # type: ignore[arg-type]
        stood.set()

    monkeypatch.setattr(loop.Live, "stand", note)
    options = replace(_GUESSING, n_ctx=256, n_cells=256)
    with running(q8_gguf, options) as engine:
        with held_up(engine):
            asked = [
                Asked(engine, tokens(60, n), short(100), grammar="start: /[a-f]{200}/")
                for n in range(3)
            ]
        for each in asked:
            _last(each)
    assert stood.is_set()
    assert len(closed) == len(opened)


def test_alone_one_that_begins_does_not_hold_up_another_for_as_long(q8_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=512, n_cells=None, n_seq=4, reproducible=True)
    heard: list[str] = []
    with running(q8_gguf, options) as engine:
        grammar = "start: /[a-f]{300}/"
        ends: queue.SimpleQueue[Output] = queue.SimpleQueue()
        begun = threading.Event()

        def note(name: str) -> Any:
            def deliver(output: Output) -> None:
                if not isinstance(output, Progress):
                    heard.append(name)
                if heard.count("old") >= 40:
                    begun.set()
                if isinstance(output, Ended | Failed):
                    ends.put(output)

            return deliver

        def ask(name: str, seed: int, count: int) -> None:
            request = Request(
                lambda: tokens(10, seed), sampling=short(count), grammar=grammar
            )
            engine.submit(request, note(name))

        ask("old", 0, 150)
        begun.wait(20)
        ask("new", 1, 60)
        ends.get(timeout=30)
        ends.get(timeout=30)
    first = heard.index("new")
    assert "old" in heard[first : first + 10]


@pytest.mark.parametrize("reproducible", [False, True])
def test_what_is_computed_ahead_gives_way_to_any_request(
    q8_gguf: Path, reproducible: bool
) -> None:
    cells = None if reproducible else 1024
    options = replace(
        OPTIONS, rows=1, chunk=8, n_cells=cells, n_seq=2, reproducible=reproducible
    )
    order: list[str] = []
    with running(q8_gguf, options) as engine:
        begun = threading.Event()
        ends: queue.SimpleQueue[Output] = queue.SimpleQueue()
        gate = threading.Event()

        def note(name: str) -> Any:
            def deliver(output: Output) -> None:
                if name == "ahead" and not isinstance(output, Ended | Failed):
                    begun.set()
                    gate.wait(10)
                if isinstance(output, Ended | Failed):
                    order.append(name)
                    ends.put(output)

            return deliver

        engine.submit(
            Request(lambda: tokens(500), silent=True, priority=100), note("ahead")
        )
        begun.wait(10)
        engine.submit(Request(lambda: [1, *tokens(20, 5)], sampling=short(3)), note("asked"))
        gate.set()
        ends.get(timeout=30)
        ends.get(timeout=30)
    assert order == ["asked", "ahead"]


def test_a_reply_that_is_whole_with_its_last_token_was_not_cut(tiny_gguf: Path) -> None:
    with running(tiny_gguf) as engine:
        end = Asked(engine, tokens(20), short(4), grammar="start: /[xy][xy][xy][xy]/").end()
        assert end.usage.completion_tokens == 4
        assert end.reason == "stop"
        end = Asked(engine, tokens(20), short(3), grammar='start: /[xy]/ "qq"').end()
        assert end.usage.completion_tokens == 3
        assert end.reason == "stop"


def test_who_waits_for_others_prompts_hears_that_something_is_done(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, chunk=16)
    heard: list[str] = []
    with running(tiny_gguf, options) as engine:
        ends: queue.SimpleQueue[Output] = queue.SimpleQueue()

        def note(name: str) -> Any:
            def deliver(output: Output) -> None:
                heard.append(name)
                if isinstance(output, Ended | Failed):
                    ends.put(output)

            return deliver

        with held_up(engine):
            engine.submit(Request(lambda: tokens(400), sampling=short(2)), note("first"))
            engine.submit(
                Request(lambda: [1, *tokens(50, 1)], sampling=short(2), priority=1), note("second")
            )
        ends.get(timeout=30)
        ends.get(timeout=30)
    silence = max(len(run) for run in "".join(name[0] for name in heard).split("s"))
    assert silence <= 4, heard


def test_an_engine_that_was_closed_at_work_leaves_its_threads_to_others(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = Cores(8)
    monkeypatch.setattr(loop, "share_threads", lambda threads: cores.share())
    engine = Engine.open(read_header(tiny_gguf), OPTIONS)
    Asked(engine, tokens(20), short(400), grammar="start: /[a-f]{600}/").until_it_speaks()
    engine.close()
    other = cores.share()
    assert other.begin() == 8
    assert engine is not None


def test_one_that_needs_much_room_is_not_passed_for_ever_by_those_who_need_little(
    tiny_gguf: Path,
) -> None:
    options = replace(OPTIONS, n_ctx=512, n_cells=512)
    order: list[str] = []
    with running(tiny_gguf, options) as engine:
        left = [12]
        ends: queue.SimpleQueue[Output] = queue.SimpleQueue()

        def little(name: str) -> None:
            left[0] -= 1
            seed = left[0] + 10

            def deliver(output: Output) -> None:
                if isinstance(output, Ended | Failed):
                    order.append(name)
                    ends.put(output)
                    if left[0]:
                        little(name)

            request = Request(
                lambda: [1 + seed % 3, *tokens(120, seed)],
                sampling=short(20 + seed),
                priority=5,
                grammar="start: /[a-f]{600}/",
            )
            engine.submit(request, deliver)

        def much(output: Output) -> None:
            if isinstance(output, Ended | Failed):
                order.append("much")
                ends.put(output)

        with held_up(engine):
            little("little")
            little("little")
        engine.submit(Request(lambda: [4, *tokens(420, 3)], sampling=short(3)), much)
        for _ in range(13):
            ends.get(timeout=30)
    assert order.index("much") <= 6, order


def test_one_that_must_wait_does_not_empty_the_cache_meanwhile(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=512, n_cells=512, cache_ram=0)
    with running(tiny_gguf, options) as engine:
        Asked(engine, tokens(80, 7), short(2)).rest()
        talking = Asked(engine, tokens(100), short(150), grammar="start: /[a-f]{600}/")
        talking.until_it_speaks()
        waiting = Asked(engine, [1, *tokens(450, 1)], short(2))
        short_one = Asked(engine, [*tokens(80, 7), 9], short(2), priority=-1)
        assert short_one.usage().reused_tokens == 80
        waiting.job.cancel()
        talking.job.cancel()
        talking.rest()


def test_a_hint_that_comes_late_does_not_load_a_model_that_was_closed(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anyio

    late: list[Any] = []

    def thread(target: Any, args: Any, **more: Any) -> Any:
        late.append(lambda: target(*args))
        return SimpleNamespace(start=lambda: None)

    llm = LocalLLM(tiny_gguf, OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(local.threading, "Thread", thread)
        llm.anticipate((Message("rules", "Write plans."),))

    anyio.run(llm.aclose)
    for each in late:
        each()
    loaded = llm._loaded
    anyio.run(llm.aclose)
    assert loaded is None
