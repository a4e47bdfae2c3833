"""Requests to a real engine, as tests make them."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.request import Ended, Failed, Job, Output, Piece, Request
from llmcompiler.messages import Sampling, Usage
from tests.engine.conftest import close_and_check


class Asked:
    """A request under way, with what came of it."""

    def __init__(
        self, engine: Engine, prompt: Sequence[int], sampling: Sampling | None = None, **more: Any
    ) -> None:
        self.outputs: queue.SimpleQueue[Output] = queue.SimpleQueue()
        self.wrote: list[int] = []
        request = Request(lambda: prompt, self.wrote.extend, sampling or Sampling(), **more)
        self.job: Job = engine.submit(request, self.outputs.put)

    def next(self) -> Output:
        """Wait for the next output."""
        return self.outputs.get(timeout=60)

    def rest(self) -> list[Output]:
        """Wait for all outputs that are left."""
        found = [self.next()]
        while not isinstance(found[-1], Ended | Failed):
            found.append(self.next())
        return found

    def end(self) -> Ended:
        """Wait for the end, which must be none of failure."""
        last = self.rest()[-1]
        assert isinstance(last, Ended), last
        return last

    def usage(self) -> Usage:
        """Wait for the end and return what was used."""
        return self.end().usage

    def text(self) -> str:
        """Wait for the end and return the text."""
        return "".join(each.text for each in self.rest() if isinstance(each, Piece))

    def until_it_speaks(self) -> Asked:
        """Wait for the first text."""
        while not isinstance(output := self.next(), Piece):
            assert not isinstance(output, Ended | Failed), output
        return self


def last(asked: Asked) -> Output:
    """Wait for the end of a request, but not for ever."""
    while True:
        try:
            output = asked.outputs.get(timeout=8)
        except queue.Empty:
            raise AssertionError("the request was never answered") from None
        if isinstance(output, Ended | Failed):
            return output


def tokens(count: int, seed: int = 0) -> list[int]:
    """Draw `count` tokens, the first of which begins a prompt."""
    chance = random.Random(seed)
    return [0, *(chance.randrange(5, 260) for _ in range(count - 1))]


def ending(count: int, seed: int) -> list[int]:
    """Draw the end of a prompt; with another seed it begins with another token."""
    return [100 + seed, *tokens(count, seed)[1:]]


def short(count: int = 5, **more: Any) -> Sampling:
    """Ask for a few tokens."""
    return Sampling(max_tokens=count, **more)


OPTIONS = EngineOptions(n_ctx=512, n_cells=1024, n_seq=8, chunk=64, threads=1, drafts=False)

# llama.cpp's flash attention adds up coarsely, and differently in other places of the cache.
EXACT = replace(OPTIONS, flash_attention="off")


@contextmanager
def running(path: Path, options: EngineOptions = OPTIONS) -> Iterator[Engine]:
    engine = Engine.open(read_header(path), options)
    if options.drafts:
        assert engine.wait_rested(60)
    try:
        yield engine
    finally:
        close_and_check(engine)


@contextmanager
def held_up(engine: Engine) -> Iterator[None]:
    """Keep the engine's thread busy meanwhile, so that requests meet in its queue."""
    begun, gate = threading.Event(), threading.Event()

    def wait() -> list[int]:
        begun.set()
        gate.wait(60)
        return [1]

    engine.submit(Request(wait, silent=True), lambda output: None)
    begun.wait(60)
    try:
        yield
    finally:
        gate.set()


def cold_texts(
    path: Path, options: EngineOptions, *prompts: list[int], count: int = 12
) -> list[list[int]]:
    """Return what is written after each prompt where nothing else is known."""
    apart = replace(options, cache_ram=0, cache_dir=None)
    wrote = []
    for prompt in prompts:
        with running(path, apart) as engine:
            asked = Asked(engine, prompt, short(count))
            asked.rest()
            wrote.append(asked.wrote)
    assert len({tuple(each) for each in wrote}) == len(wrote)  # each says something else
    return wrote
