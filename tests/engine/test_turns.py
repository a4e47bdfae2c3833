from __future__ import annotations

import queue
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcompiler.engine.request import Ended, Failed, Output, Piece, Progress, Request
from tests.engine.asked import OPTIONS, Asked, held_up, last, running, short, tokens

_GUESSING = replace(OPTIONS, drafts=True)


def test_a_kept_prefix_gives_way_to_a_request_that_has_no_room_beside_it(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_cells=512)
    with running(tiny_gguf, options) as engine:
        Asked(engine, tokens(300), silent=True, keep=True).end()
        end = last(Asked(engine, tokens(400, 1), short(5)))
        assert isinstance(end, Ended), end
        assert end.usage.completion_tokens == 5


def test_a_reply_is_not_cut_for_the_sake_of_a_kept_prefix(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_cells=512)
    with running(tiny_gguf, options) as engine:
        Asked(engine, tokens(300), silent=True, keep=True).end()
        end = last(Asked(engine, tokens(150, 1), short(200), grammar="start: /[a-f]{300}/"))
        assert isinstance(end, Ended), end
        assert end.usage.completion_tokens == 200


def test_keeping_a_prefix_again_holds_it_once(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=256, n_cells=1024, cache_ram=0)
    with running(tiny_gguf, options) as engine:
        for _ in range(4):
            Asked(engine, tokens(100), silent=True, keep=True).end()
        Asked(engine, tokens(100, 9), silent=True, keep=True).end()
        for seed in range(20, 30):
            Asked(engine, tokens(200, seed), short(3)).rest()
        assert Asked(engine, [*tokens(100, 9), 7], short(3)).usage().reused_tokens == 100


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
            request = Request(lambda: tokens(10, seed), sampling=short(count), grammar=grammar)
            engine.submit(request, note(name))

        ask("old", 0, 150)
        begun.wait(20)
        ask("new", 1, 60)
        ends.get(timeout=30)
        ends.get(timeout=30)
    first = heard.index("new")
    assert "old" in heard[first : first + 10]


@pytest.mark.parametrize("reproducible", [False, True])
def test_what_is_computed_ahead_gives_way_to_any_request(q8_gguf: Path, reproducible: bool) -> None:
    cells = None if reproducible else 1024
    options = replace(OPTIONS, rows=1, chunk=8, n_cells=cells, n_seq=2, reproducible=reproducible)
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

        engine.submit(Request(lambda: tokens(500), silent=True, priority=100), note("ahead"))
        begun.wait(10)
        engine.submit(Request(lambda: [1, *tokens(20, 5)], sampling=short(3)), note("asked"))
        gate.set()
        ends.get(timeout=30)
        ends.get(timeout=30)
    assert order == ["asked", "ahead"]


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


def test_one_that_needs_much_room_is_not_passed_for_ever_by_those_who_need_little(
    tiny_gguf: Path,
) -> None:
    options = replace(OPTIONS, n_ctx=512, n_cells=512)
    order: list[str] = []
    with running(tiny_gguf, options) as engine:
        ends: queue.SimpleQueue[Output] = queue.SimpleQueue()
        left = [12]

        def ask(name: str, prompt: list[int], count: int, priority: int) -> None:
            def deliver(output: Output) -> None:
                if isinstance(output, Piece) and "much" not in asked:
                    asked.append("much")
                    ask("much", [4, *tokens(420, 3)], 3, 0)
                if isinstance(output, Ended | Failed):
                    order.append(name)
                    ends.put(output)
                    if name == "little" and left[0]:
                        little()

            grammar = "start: /[a-f]{600}/"
            request = Request(
                lambda: prompt, sampling=short(count), priority=priority, grammar=grammar
            )
            engine.submit(request, deliver)

        def little() -> None:
            left[0] -= 1
            ask("little", [1 + left[0] % 3, *tokens(120, left[0])], 20 + 3 * left[0], 5)

        asked: list[str] = []
        with held_up(engine):
            little()
            little()
        for _ in range(13):
            assert isinstance(ends.get(timeout=30), Ended)
    assert order.index("much") <= 4, order


def test_one_that_must_wait_does_not_empty_the_cache_meanwhile(tiny_gguf: Path) -> None:
    options = replace(OPTIONS, n_ctx=512, n_cells=512, cache_ram=0)
    with running(tiny_gguf, options) as engine:
        Asked(engine, tokens(80, 7), short(2)).rest()
        talking = Asked(engine, tokens(100), short(150), grammar="start: /[a-f]{600}/")
        talking.until_it_speaks()
        waiting = Asked(engine, [1, *tokens(450, 1)], short(2))
        Asked(engine, [2, 5, 6], short(2), priority=-1).rest()
        short_one = Asked(engine, [*tokens(80, 7), 9], short(2), priority=-1)
        assert short_one.usage().reused_tokens == 80
        waiting.job.cancel()
        talking.job.cancel()
        talking.rest()
