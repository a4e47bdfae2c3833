"""How is the engine opened and asked in a benchmark?

It does not know which comparisons are made, nor a clock. Every engine computes with one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from llmcompiler.engine.gguf import read_header
from llmcompiler.engine.loop import Engine
from llmcompiler.engine.options import EngineOptions
from llmcompiler.engine.request import Ended, Failed, Output, Piece, Request
from llmcompiler.errors import LLMCompilerError
from llmcompiler.messages import Figures, Grammar, Sampling

__all__ = ["Call", "Reply", "ask", "opened", "source_tokens", "warm"]


@dataclass(frozen=True, slots=True)
class Call:
    """A prompt as tokens, how many tokens to write at most, and what holds the reply.

    `sources` are the texts of the prompt that values are copied from.
    """

    prompt: Sequence[int]
    limit: int
    grammar: str | Grammar | None = None
    sources: tuple[str, ...] = ()
    silent: bool = False
    keep: bool = False


@dataclass(slots=True)
class Reply:
    """What came of a call: its text, its tokens and the engine's own figures."""

    text: str = ""
    tokens: list[int] = field(default_factory=list)
    reason: str = ""
    reused: int = 0
    figures: Figures = field(default_factory=Figures)


@contextmanager
def opened(path: Path, gpu: bool, **options: Any) -> Generator[Engine]:
    """Load a model, all or nothing of it on the GPU; `options` beside the defaults."""
    chosen = {"threads": 1, "n_gpu_layers": -1 if gpu else 0, "n_ctx": 4096}
    settings = EngineOptions(**{**chosen, **options})
    engine = Engine.open(read_header(path), settings)
    try:
        engine.wait_rested(60)
        yield engine
    finally:
        engine.close()


def ask(engine: Engine, *calls: Call) -> list[Reply]:
    """Submit the calls at once and wait for all replies.

    Raises:
        LLMCompilerError: a call failed.
    """
    over: SimpleQueue[LLMCompilerError | None] = SimpleQueue()
    replies = [Reply() for _ in calls]
    for call, reply in zip(calls, replies, strict=True):
        request = Request(
            prompt=partial(list, call.prompt),
            wrote=reply.tokens.extend,
            sampling=Sampling(max_tokens=call.limit),
            grammar=call.grammar,
            sources=call.sources,
            silent=call.silent,
            keep=call.keep,
        )
        engine.submit(request, partial(_deliver, reply, over))
    for _ in calls:
        error = over.get()
        if error is not None:
            raise error
    return replies


def _deliver(reply: Reply, over: SimpleQueue[LLMCompilerError | None], output: Output) -> None:
    """Take what the engine gives, on its thread: who waits is not woken for every piece."""
    match output:
        case Piece(text):
            reply.text += text
        case Ended(reason, usage, figures):
            reply.reason, reply.reused, reply.figures = reason, usage.reused_tokens, figures
            over.put(None)
        case Failed(error):
            over.put(error)
        case _:
            pass


def warm(engine: Engine, prompt: Sequence[int], *, keep: bool = False) -> None:
    """Compute a prompt ahead of those who begin with it."""
    ask(engine, Call(prompt, 1, silent=True, keep=keep))


def source_tokens(engine: Engine) -> list[int]:
    """Return some ten thousand tokens of source text, to cut prompts from."""
    text = Path(argparse.__file__).read_text("utf-8")
    return engine.model.tokenize(text, special=False)
