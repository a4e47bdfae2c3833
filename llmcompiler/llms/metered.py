"""An `LLM` whose every call is counted and timed, and the account that a run keeps of its calls.

It does not know who calls, what for, or what becomes of the figures.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias

import anyio

from llmcompiler.budget import Budget
from llmcompiler.events import Emitter, UsageUpdated, direct_clock
from llmcompiler.messages import (
    LLM,
    Delta,
    Figures,
    Finished,
    Prompt,
    Sampling,
    Usage,
)
from llmcompiler.result import ModelCall

__all__ = ["Account", "MeteredLLM", "Record"]

Record: TypeAlias = Callable[[ModelCall], None]


class Account:
    """The model calls of one run, each told as an event when it ends."""

    def __init__(self, emitter: Emitter) -> None:
        self.usage = Usage()
        self._emitter = emitter
        self._calls: list[ModelCall] = []
        self._closed = False

    def record(self, call: ModelCall) -> None:
        """Take in a call, unless the account is closed: a thread left behind may still ask."""
        if self._closed:
            return
        self._calls.append(call)
        self.usage = self.usage + call.usage
        self._emitter.emit(UsageUpdated, self.usage, call.model, call.usage, call.figures)

    def close(self) -> tuple[ModelCall, ...]:
        """Take nothing in any more, and return the calls in the order in which they ended."""
        self._closed = True
        return tuple(self._calls)


class MeteredLLM:
    """Passes everything through to `inner` and tells `record` of each call.

    Where the back end tells no figures they are made here: what it counted of the prompt, and as
    arrivals when each piece of text came, which may be several tokens or a part of one. A call that
    is stopped early is told as well: its tokens are estimated from the texts, those of the prompt
    only if a reply had begun.

    With a `budget` each call counts against it: one that it does not allow raises
    `LimitReachedError` before it begins, and no reply is longer than the tokens that are left. The
    last `kept` calls are not made here: they are for somebody else.
    """

    def __init__(
        self, inner: LLM, record: Record, budget: Budget | None = None, *, kept: int = 0
    ) -> None:
        self._inner = inner
        self._tell = record
        self._budget = budget
        self._kept = kept

    @property
    def name(self) -> str:
        """The inner model's name."""
        return self._inner.name

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Go on from `prompt` with the inner model, and record the call at its end."""
        if self._budget is not None:
            self._budget.model_call(self._kept)
            sampling = replace(sampling, max_tokens=self._budget.max_tokens(sampling.max_tokens))
        letters = 0
        end: Finished | None = None
        clock = direct_clock(anyio.current_time)
        begun = clock()
        arrivals: list[float] = []
        try:
            async with aclosing(self._inner.stream(prompt, sampling)) as stream:
                async for delta in stream:
                    if isinstance(delta, Finished):
                        end = delta
                        self._record(_told(self.name, end, arrivals))
                    elif delta.text:
                        letters += len(delta.text)
                        arrivals.append(clock() - begun)
                    yield delta
        finally:
            if end is None:
                asked = sum(len(message.text) for message in prompt.messages) if letters else 0
                usage = Usage(asked // 4, 0, letters // 4, 1, estimated=True)
                self._record(_told(self.name, Finished("cut", usage), arrivals))

    def over(self, other: LLM) -> MeteredLLM:
        """Return another model whose calls count in the same way."""
        return MeteredLLM(other, self._tell, self._budget, kept=self._kept)

    async def aclose(self) -> None:
        """Leave the inner model open: whoever made it closes it."""

    def _record(self, call: ModelCall) -> None:
        if self._budget is not None:
            self._budget.add(call.usage)
        self._tell(call)


def _told(model: str, end: Finished, arrivals: list[float]) -> ModelCall:
    usage = end.usage if end.usage.model_calls else end.usage + Usage(model_calls=1)
    seen = Figures(arrivals=tuple(arrivals))
    if not usage.estimated:
        seen = Figures(usage.prefilled_tokens, usage.reused_tokens, arrivals=seen.arrivals)
    return ModelCall(model, usage, end.figures or seen)
