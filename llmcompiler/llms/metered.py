"""An `LLM` whose every call is counted.

It does not know who calls, what for, or what becomes of the figures.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from llmcompiler.messages import LLM, Delta, Finished, Prompt, Sampling, TextDelta, Usage

__all__ = ["MeteredLLM"]


class MeteredLLM:
    """Passes everything through to `inner` and tells `record` what each call used.

    A call that is stopped early is counted as well: its completion is estimated from its text.
    """

    def __init__(self, inner: LLM, record: Callable[[Usage], None]) -> None:
        self._inner = inner
        self._record = record

    @property
    def name(self) -> str:
        """The inner model's name."""
        return self._inner.name

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Go on from `prompt` with the inner model, and record the call's usage at its end."""
        letters = 0
        counted = False
        try:
            async with aclosing(self._inner.stream(prompt, sampling)) as stream:
                async for delta in stream:
                    if isinstance(delta, Finished):
                        counted = True
                        usage = delta.usage
                        self._record(usage if usage.model_calls else usage + Usage(model_calls=1))
                    elif isinstance(delta, TextDelta):
                        letters += len(delta.text)
                    yield delta
        finally:
            if not counted:
                self._record(Usage(completion_tokens=letters // 4, model_calls=1, estimated=True))

    async def aclose(self) -> None:
        """Leave the inner model open: whoever made it closes it."""
