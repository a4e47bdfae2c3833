from __future__ import annotations

import gc
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Ended, Engine, Failed, Job, Output, Piece, Progress, Request
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.errors import ConfigurationError, ContextLengthError, ModelError
from llmcompiler.messages import Sampling, Usage
from tests.engine.tiny_model import write_tiny_model


class _Asked:
    """A request under way, with what came of it."""

    def __init__(self, engine: Engine, prompt: list[int], sampling: Sampling, **more: Any) -> None:
        self.outputs: queue.SimpleQueue[Output] = queue.SimpleQueue()
        self.wrote: list[int] = []
        request = Request(lambda: prompt, self.wrote.extend, sampling, **more)
        self.job: Job = engine.submit(request, self.outputs.put)

    def next(self) -> Output:
        return self.outputs.get(timeout=20)

    def rest(self) -> list[Output]:
        found = [self.next()]
        while not isinstance(found[-1], Ended | Failed):
            found.append(self.next())
        return found

    def usage(self) -> Usage:
        last = self.rest()[-1]
        assert isinstance(last, Ended), last
        return last.usage


def _tokens(count: int, seed: int = 0) -> list[int]:
    chance = random.Random(seed)
    return [0, *(chance.randrange(5, 260) for _ in range(count - 1))]


def _short(count: int = 5, **more: Any) -> Sampling:
    return Sampling(max_tokens=count, **more)


@pytest.fixture
def engine(tiny_gguf: Path) -> Iterator[Engine]:
    model = Model(read_header(tiny_gguf), EngineOptions(n_ctx=512, chunk=64, threads=1))
    engine = Engine(model)
    yield engine
    # The two views of the cache must agree whatever happened.
    worker = engine._worker
    worker.stop()
    engine._thread.join()
    engine.close()


def _held(engine: Engine) -> tuple[int, ...]:
    return engine._worker._cache.tokens


def test_a_reply_starts_comes_in_pieces_and_ends(engine: Engine) -> None:
    asked = _Asked(engine, _tokens(10), _short(8))
    outputs = asked.rest()
    assert outputs[0] == Progress()
    assert all(isinstance(piece, Piece) and piece.text for piece in outputs[1:-1])
    assert outputs[-1] == Ended("length", Usage(10, 0, 8, 1))
    assert len(asked.wrote) == 8


def test_greedy_replies_are_the_same_cold_and_from_the_cache(engine: Engine) -> None:
    first, second = (_Asked(engine, _tokens(100), _short(20)) for _ in range(2))
    assert first.usage() == Usage(100, 0, 20, 1)
    assert second.usage() == Usage(100, 99, 20, 1)
    assert first.wrote == second.wrote


def test_a_growing_conversation_computes_only_what_is_new(engine: Engine) -> None:
    prompt = _tokens(40)
    for turn in range(6):
        asked = _Asked(engine, prompt, _short(5))
        usage = asked.usage()
        # The last generated token of the turn before was shown, but never evaluated.
        expected = 0 if turn == 0 else len(prompt) - 11
        assert usage == Usage(len(prompt), expected, 5, 1)
        assert list(_held(engine)) == prompt + asked.wrote[:-1]
        prompt = [*prompt, *asked.wrote, *_tokens(11, seed=turn)[1:]]


def test_another_prompt_reuses_the_common_beginning(engine: Engine) -> None:
    shared = _tokens(30)
    _Asked(engine, shared + [5] * 20, _short()).rest()
    assert _Asked(engine, shared + [6] * 20, _short()).usage().reused_tokens == 30
    assert _Asked(engine, [7] * 20, _short()).usage().reused_tokens == 0
    assert _Asked(engine, shared[:10], _short()).usage().reused_tokens == 0


def test_a_long_prompt_is_evaluated_in_chunks(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    evaluate = engine.model.evaluate

    def watch(batch: Any) -> None:
        sizes.append(len(batch.tokens))
        evaluate(batch)

    monkeypatch.setattr(engine.model, "evaluate", watch)
    _Asked(engine, _tokens(150), _short(3)).rest()
    assert sizes == [64, 64, 22, 1, 1]


def test_every_chunk_of_a_prompt_is_a_sign_of_life(engine: Engine) -> None:
    outputs = _Asked(engine, _tokens(150), _short(1)).rest()
    assert outputs.count(Progress()) == 3


def test_a_model_that_cannot_drop_a_part_starts_anew(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Asked(engine, _tokens(30), _short()).rest()
    monkeypatch.setattr(engine.model, "trim", lambda count: False)
    assert _Asked(engine, _tokens(30), _short()).usage() == Usage(30, 0, 5, 1)


def test_requests_are_served_in_the_order_in_which_they_came(engine: Engine) -> None:
    order: list[int] = []
    asked = []
    for number in range(5):
        outputs: queue.SimpleQueue[Output] = queue.SimpleQueue()

        def prompt(number: int = number) -> list[int]:
            order.append(number)
            return _tokens(20, number)

        request = Request(prompt, lambda tokens: None, _short())
        engine.submit(request, outputs.put)
        asked.append(outputs)
    while not isinstance(asked[-1].get(timeout=20), Ended):
        pass
    assert order == [0, 1, 2, 3, 4]


def test_a_cancelled_reply_ends_within_a_step_and_the_next_works(engine: Engine) -> None:
    asked = _Asked(engine, _tokens(10), Sampling(max_tokens=None))
    while not isinstance(asked.next(), Piece):
        pass
    asked.job.cancel()
    last = asked.rest()[-1]
    assert isinstance(last, Ended)
    assert last.reason == "cut"
    assert _Asked(engine, _tokens(10), _short()).usage() == Usage(10, 9, 5, 1)


def test_cancelling_takes_effect_between_the_chunks_of_a_prompt(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, seen = engine.model.evaluate, []

    def cancel_in_first(batch: Any) -> None:
        asked.job.cancel()
        seen.append(len(batch.tokens))
        evaluate(batch)

    ready = threading.Event()

    def prompt() -> list[int]:
        ready.wait(20)
        return _tokens(300)

    monkeypatch.setattr(engine.model, "evaluate", cancel_in_first)
    asked = _Asked.__new__(_Asked)
    asked.outputs = queue.SimpleQueue()
    asked.job = engine.submit(Request(prompt, lambda tokens: None, _short()), asked.outputs.put)
    ready.set()
    last = asked.rest()[-1]
    assert last == Ended("cut", Usage(300, 0, 0, 1))
    assert seen == [64]


def test_a_request_cancelled_in_the_queue_is_never_begun(engine: Engine) -> None:
    first = _Asked(engine, _tokens(10), Sampling(max_tokens=None))
    second = _Asked(engine, _tokens(10), _short())
    second.job.cancel()
    first.job.cancel()
    third = _Asked(engine, _tokens(10), _short())
    third.rest()
    assert second.outputs.empty()


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(engine: Engine) -> None:
    failed = _Asked(engine, _tokens(512), _short()).rest()[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ContextLengthError)
    assert (failed.error.needed, failed.error.available) == (513, 512)
    assert _Asked(engine, _tokens(511), _short()).usage() == Usage(511, 0, 1, 1)


def test_generation_ends_with_the_context(engine: Engine) -> None:
    last = _Asked(engine, _tokens(500), Sampling(max_tokens=None)).rest()[-1]
    assert last == Ended("length", Usage(500, 0, 12, 1))


def test_an_empty_prompt_is_refused(engine: Engine) -> None:
    failed = _Asked(engine, [], _short()).rest()[-1]
    assert isinstance(failed, Failed)


def test_a_stop_text_ends_the_reply_and_is_not_shown(engine: Engine) -> None:
    asked = _Asked(engine, _tokens(20), _short(60))
    whole = "".join(each.text for each in asked.rest() if isinstance(each, Piece))
    stop = whole[10:13]
    outputs = _Asked(engine, _tokens(20), _short(60, stop=(stop,))).rest()
    assert "".join(p.text for p in outputs if isinstance(p, Piece)) == whole[: whole.index(stop)]
    assert isinstance(outputs[-1], Ended)
    assert outputs[-1].reason == "stop"


def test_a_grammar_holds_and_ends_the_reply(engine: Engine) -> None:
    grammar = 'start: "Answer: " /[a-z]{3,9}/ "."'
    outputs = _Asked(engine, _tokens(20), _short(60), grammar=grammar).rest()
    text = "".join(piece.text for piece in outputs if isinstance(piece, Piece))
    assert text.startswith("Answer: ")
    assert text.endswith(".")
    assert isinstance(outputs[-1], Ended)
    assert outputs[-1].reason == "stop"


def test_a_schema_is_used_where_there_is_no_grammar(engine: Engine) -> None:
    schema: dict[str, object] = {"enum": ["left", "right"]}
    outputs = _Asked(engine, _tokens(20), _short(60), schema=schema).rest()
    text = "".join(piece.text for piece in outputs if isinstance(piece, Piece))
    assert text in ('"left"', '"right"')


def test_a_bad_grammar_fails_its_request_and_keeps_the_cache(engine: Engine) -> None:
    _Asked(engine, _tokens(20), _short()).rest()
    failed = _Asked(engine, _tokens(20), _short(), grammar="start: missing").rest()[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ConfigurationError)
    assert _Asked(engine, _tokens(20), _short()).usage().reused_tokens == 19


def test_quotes_are_asked_for_by_the_file(tmp_path: Path) -> None:
    path = write_tiny_model(
        tmp_path / "quoting.gguf", metadata={"llmcompiler.quotes": "find.place,answer.numbers"}
    )
    engine = Engine(Model(read_header(path), EngineOptions(threads=1)))
    grammar = 'start: "1. find(place=" /"[^"$\\n]*"/ ")\\n2. join()"'
    for seed in range(5):
        sampling = Sampling(temperature=2.0, seed=seed)
        more: dict[str, Any] = {"grammar": grammar, "sources": ("from Oslo to Lima",)}
        outputs = _Asked(engine, _tokens(20), sampling, **more).rest()
        text = "".join(piece.text for piece in outputs if isinstance(piece, Piece))
        value = text.removeprefix('1. find(place="').removesuffix('")\n2. join()')
        assert value in "from Oslo to Lima"
        assert value
    engine.close()


def test_a_failed_computation_fails_one_request_only(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Asked(engine, _tokens(20), _short()).rest()

    def fail(batch: object) -> None:
        raise ZeroDivisionError("by chance")

    with monkeypatch.context() as patch:
        patch.setattr(engine.model, "evaluate", fail)
        failed = _Asked(engine, _tokens(30), _short()).rest()[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ModelError)
    assert "ZeroDivisionError: by chance" in str(failed.error)
    assert _held(engine) == ()
    assert _Asked(engine, _tokens(30), _short()).usage() == Usage(30, 0, 5, 1)


def test_whoever_has_gone_away_is_not_written_for(engine: Engine) -> None:
    def gone(output: Output) -> None:
        raise RuntimeError("Event loop is closed")

    engine.submit(Request(lambda: _tokens(20), lambda tokens: None, Sampling()), gone)
    assert _Asked(engine, _tokens(20), _short()).usage().prompt_tokens == 20


def test_closing_cuts_what_is_under_way_fails_what_waits_and_ends_the_thread(
    tiny_gguf: Path,
) -> None:
    engine = Engine(Model(read_header(tiny_gguf), EngineOptions(threads=1)))
    first = _Asked(engine, _tokens(10), Sampling(max_tokens=None))
    second = _Asked(engine, _tokens(10), _short())
    while not isinstance(first.next(), Piece):
        pass
    engine.close()
    assert not engine._thread.is_alive()
    last = first.rest()[-1]
    assert isinstance(last, Ended)
    assert last.reason == "cut"
    failed = second.rest()[-1]
    assert isinstance(failed, Failed)
    assert "closed" in str(failed.error)
    with pytest.raises(ModelError, match="closed"):
        _Asked(engine, _tokens(10), _short())
    engine.close()


def test_an_engine_that_is_dropped_ends_its_thread(tiny_gguf: Path) -> None:
    engine = Engine(Model(read_header(tiny_gguf), EngineOptions(threads=1)))
    thread = engine._thread
    del engine
    gc.collect()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(3)", "del engine", "1 / 0"])
def test_the_interpreter_exits_while_the_engine_generates(tiny_gguf: Path, ending: str) -> None:
    program = f"""
import queue
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine, Piece, Request
from llmcompiler.engine.model import Model
from llmcompiler.engine.options import EngineOptions
from llmcompiler.messages import Sampling
engine = Engine(Model(read_header({str(tiny_gguf)!r}), EngineOptions(threads=1)))
outputs = queue.SimpleQueue()
engine.submit(Request(lambda: [0, 5, 6], print, Sampling(max_tokens=None)), outputs.put)
while not isinstance(outputs.get(), Piece):
    pass
{ending}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    expected = {"raise SystemExit(3)": 3, "1 / 0": 1}.get(ending, 0)
    assert done.returncode == expected, done.stderr.decode()


def test_random_requests_and_cancellations_leave_the_cache_whole(engine: Engine) -> None:
    chance = random.Random(6)
    texts = [_tokens(chance.randrange(1, 200), seed) for seed in range(8)]
    waiting: list[_Asked] = []
    for _ in range(1000):
        prompt = chance.choice(texts)[: chance.randrange(1, 200)] + [5] * chance.randrange(3)
        asked = _Asked(
            engine,
            prompt,
            _short(chance.randrange(1, 6), temperature=chance.choice([0.0, 1.0])),
            grammar=chance.choice([None, None, "start: /[a-z]+/ /[.]/"]),
        )
        if chance.random() < 0.3:
            asked.job.cancel()
        else:
            waiting.append(asked)
    for asked in waiting:
        assert isinstance(asked.rest()[-1], Ended)
    held = len(_held(engine))
    llama, memory = engine.model._llama, engine.model._memory
    assert llama.llama_memory_seq_pos_max(memory, 0) == held - 1
