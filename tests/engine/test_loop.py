from __future__ import annotations

import gc
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcompiler.engine.batcher import Batch
from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.request import Ended, Failed, Output, Piece, Progress, Request
from llmcompiler.errors import ConfigurationError, ContextLengthError, ModelError
from llmcompiler.messages import Sampling, Usage
from tests.engine.asked import Asked, short, tokens
from tests.engine.conftest import close_and_check
from tests.engine.tiny_model import write_tiny_model

_OPTIONS = EngineOptions(n_ctx=512, n_cells=512, n_seq=4, chunk=64, threads=1, drafts=False)


@pytest.fixture
def engine(tiny_gguf: Path) -> Iterator[Engine]:
    engine = Engine.open(read_header(tiny_gguf), _OPTIONS)
    yield engine
    close_and_check(engine)


def _held(engine: Engine) -> list[tuple[int, ...]]:
    cache = engine.seats.cache
    return [cache.tokens(slot) for slot in cache.slots]


def test_a_reply_starts_comes_in_pieces_and_ends(engine: Engine) -> None:
    asked = Asked(engine, tokens(10), short(8))
    outputs = asked.rest()
    assert outputs[0] == Progress()
    assert all(isinstance(piece, Piece) and piece.text for piece in outputs[1:-1])
    assert isinstance(outputs[-1], Ended)
    assert outputs[-1].reason == "length"
    assert outputs[-1].usage == Usage(10, 0, 8, 1)
    assert len(outputs[-1].figures.arrivals) == outputs[-1].figures.steps == 8
    assert len(asked.wrote) == 8


def test_greedy_replies_are_the_same_cold_and_from_the_cache(engine: Engine) -> None:
    first, second = (Asked(engine, tokens(100), short(20)) for _ in range(2))
    assert first.usage() == Usage(100, 0, 20, 1)
    assert second.usage() == Usage(100, 99, 20, 1)
    assert first.wrote == second.wrote


def test_a_growing_conversation_computes_only_what_is_new(engine: Engine) -> None:
    prompt = tokens(40)
    for turn in range(6):
        asked = Asked(engine, prompt, short(5))
        usage = asked.usage()
        # The last generated token of the turn before was shown, but never evaluated.
        expected = 0 if turn == 0 else len(prompt) - 11
        assert usage == Usage(len(prompt), expected, 5, 1)
        assert tuple(prompt + asked.wrote[:-1]) in _held(engine)
        prompt = [*prompt, *asked.wrote, *tokens(11, seed=turn)[1:]]


def test_another_prompt_reuses_the_common_beginning(engine: Engine) -> None:
    shared = tokens(30)
    Asked(engine, shared + [5] * 20, short()).rest()
    assert Asked(engine, shared + [6] * 20, short()).usage().reused_tokens == 30
    assert Asked(engine, [7] * 20, short()).usage().reused_tokens == 0
    assert Asked(engine, shared[:10], short()).usage().reused_tokens == 9


def test_a_long_prompt_is_evaluated_in_chunks(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    evaluate = engine.context.evaluate

    def watch(batch: Batch) -> None:
        sizes.append(batch.size)
        evaluate(batch)

    monkeypatch.setattr(engine.context, "evaluate", watch)
    Asked(engine, tokens(150), short(3)).rest()
    assert sizes == [64, 64, 22, 1, 1]


def test_every_chunk_of_a_prompt_is_a_sign_of_life(engine: Engine) -> None:
    outputs = Asked(engine, tokens(150), short(1)).rest()
    assert outputs.count(Progress()) == 3  # seated, and two chunks before the last


def test_a_model_that_cannot_drop_a_part_goes_on_from_whole_sequences_only(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.context, "partial", False)
    first = Asked(engine, tokens(30), short())
    first.rest()
    assert Asked(engine, tokens(30), short()).usage() == Usage(30, 0, 5, 1)
    longer = [*tokens(30), *first.wrote, 7]
    assert Asked(engine, longer, short()).usage() == Usage(36, 34, 5, 1)


def test_a_cancelled_reply_ends_within_a_step_and_the_next_works(engine: Engine) -> None:
    asked = Asked(engine, tokens(10), Sampling(max_tokens=None))
    while not isinstance(asked.next(), Piece):
        pass
    asked.job.cancel()
    last = asked.rest()[-1]
    assert isinstance(last, Ended)
    assert last.reason == "cut"
    assert Asked(engine, tokens(10), short()).usage() == Usage(10, 9, 5, 1)


def test_cancelling_takes_effect_between_the_chunks_of_a_prompt(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, seen = engine.context.evaluate, []

    def cancel_in_first(batch: Batch) -> None:
        asked.job.cancel()
        seen.append(batch.size)
        evaluate(batch)

    ready = threading.Event()

    def prompt() -> list[int]:
        ready.wait(20)
        return tokens(300)

    monkeypatch.setattr(engine.context, "evaluate", cancel_in_first)
    asked = Asked.__new__(Asked)
    asked.outputs = queue.SimpleQueue()
    asked.job = engine.submit(Request(prompt, lambda written: None, short()), asked.outputs.put)
    ready.set()
    last = asked.end()
    assert (last.reason, last.usage) == ("cut", Usage(300, 0, 0, 1))
    assert seen == [64]


def test_a_request_cancelled_in_the_queue_is_never_begun(engine: Engine) -> None:
    first = Asked(engine, tokens(10), Sampling(max_tokens=None))
    second = Asked(engine, tokens(10), short())
    second.job.cancel()
    first.job.cancel()
    third = Asked(engine, tokens(10), short())
    third.rest()
    assert second.outputs.empty()


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(engine: Engine) -> None:
    failed = Asked(engine, tokens(512), short()).rest()[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ContextLengthError)
    assert (failed.error.needed, failed.error.available) == (513, 512)
    assert Asked(engine, tokens(511), short()).usage() == Usage(511, 0, 1, 1)


def test_generation_ends_with_the_context(engine: Engine) -> None:
    last = Asked(engine, tokens(500), Sampling(max_tokens=None)).end()
    assert (last.reason, last.usage) == ("length", Usage(500, 0, 12, 1))


def test_an_empty_prompt_is_refused(engine: Engine) -> None:
    failed = Asked(engine, [], short()).rest()[-1]
    assert isinstance(failed, Failed)


def test_a_stop_text_ends_the_reply_and_is_not_shown(engine: Engine) -> None:
    asked = Asked(engine, tokens(20), short(60))
    whole = "".join(each.text for each in asked.rest() if isinstance(each, Piece))
    stop = whole[10:13]
    outputs = Asked(engine, tokens(20), short(60, stop=(stop,))).rest()
    assert "".join(p.text for p in outputs if isinstance(p, Piece)) == whole[: whole.index(stop)]
    assert isinstance(outputs[-1], Ended)
    assert outputs[-1].reason == "stop"


def test_a_grammar_holds_and_ends_the_reply(engine: Engine) -> None:
    grammar = 'start: "Answer: " /[a-z]{3,9}/ "."'
    outputs = Asked(engine, tokens(20), short(60), grammar=grammar).rest()
    text = "".join(piece.text for piece in outputs if isinstance(piece, Piece))
    assert text.startswith("Answer: ")
    assert text.endswith(".")
    assert isinstance(outputs[-1], Ended)
    assert outputs[-1].reason == "stop"


def test_a_schema_is_used_where_there_is_no_grammar(engine: Engine) -> None:
    schema: dict[str, object] = {"enum": ["left", "right"]}
    outputs = Asked(engine, tokens(20), short(60), schema=schema).rest()
    text = "".join(piece.text for piece in outputs if isinstance(piece, Piece))
    assert text in ('"left"', '"right"')


def test_a_bad_grammar_fails_its_request_and_keeps_the_cache(engine: Engine) -> None:
    Asked(engine, tokens(20), short()).rest()
    failed = Asked(engine, tokens(20), short(), grammar="start: missing").rest()[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ConfigurationError)
    assert Asked(engine, tokens(20), short()).usage().reused_tokens == 19


def test_quotes_are_asked_for_by_the_file(tmp_path: Path) -> None:
    path = write_tiny_model(
        tmp_path / "quoting.gguf", metadata={"llmcompiler.quotes": "find.place,answer.numbers"}
    )
    engine = Engine.open(read_header(path), _OPTIONS)
    grammar = 'start: "1. find(place=" /"[^"$\\n]*"/ ")\\n2. join()"'
    for seed in range(5):
        sampling = Sampling(temperature=2.0, seed=seed)
        more: dict[str, Any] = {"grammar": grammar, "sources": ("from Oslo to Lima",)}
        outputs = Asked(engine, tokens(20), sampling, **more).rest()
        text = "".join(piece.text for piece in outputs if isinstance(piece, Piece))
        value = text.removeprefix('1. find(place="').removesuffix('")\n2. join()')
        assert value in "from Oslo to Lima"
        assert value
    engine.close()


def test_a_failed_computation_fails_one_request_only(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(batch: object) -> None:
        raise ZeroDivisionError("by chance")

    with monkeypatch.context() as patch:
        patch.setattr(engine.context, "evaluate", fail)
        failed = Asked(engine, tokens(30), short()).rest()[-1]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ModelError)
    assert "ZeroDivisionError: by chance" in str(failed.error)
    assert not any(held[:30] == tuple(tokens(30)) for held in _held(engine))
    assert Asked(engine, tokens(30), short()).usage() == Usage(30, 0, 5, 1)


def test_whoever_has_gone_away_is_not_written_for(engine: Engine) -> None:
    def gone(output: Output) -> None:
        raise RuntimeError("Event loop is closed")

    engine.submit(Request(lambda: tokens(20), lambda written: None, Sampling()), gone)
    assert Asked(engine, tokens(20), short()).usage().prompt_tokens == 20


def test_closing_cuts_what_is_under_way_fails_what_waits_and_ends_the_thread(
    tiny_gguf: Path,
) -> None:
    engine = Engine.open(read_header(tiny_gguf), replace(_OPTIONS, rows=1))
    first = Asked(engine, tokens(10), Sampling(max_tokens=None))
    second = Asked(engine, tokens(10), short())
    while not isinstance(first.next(), Piece):
        pass
    engine.close()
    assert not engine._thread.is_alive()
    assert first.end().reason == "cut"
    failed = second.rest()[-1]
    assert isinstance(failed, Failed)
    assert "closed" in str(failed.error)
    with pytest.raises(ModelError, match="closed"):
        Asked(engine, tokens(10), short())
    engine.close()


def test_an_engine_that_is_dropped_ends_its_thread(tiny_gguf: Path) -> None:
    engine = Engine.open(read_header(tiny_gguf), _OPTIONS)
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
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.request import Piece, Request
from llmcompiler.engine.options import EngineOptions
from llmcompiler.messages import Sampling
engine = Engine.open(read_header({str(tiny_gguf)!r}), EngineOptions(threads=1))
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
    texts = [tokens(chance.randrange(1, 200), seed) for seed in range(8)]
    waiting: list[Asked] = []
    for _ in range(1000):
        prompt = chance.choice(texts)[: chance.randrange(1, 200)] + [5] * chance.randrange(3)
        asked = Asked(
            engine,
            prompt,
            short(chance.randrange(1, 6), temperature=chance.choice([0.0, 1.0])),
            grammar=chance.choice([None, None, "start: /[a-z]+/ /[.]/"]),
        )
        if chance.random() < 0.3:
            asked.job.cancel()
        else:
            waiting.append(asked)
    for asked in waiting:
        assert isinstance(asked.rest()[-1], Ended)
