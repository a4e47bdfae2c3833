"""A run under way, for whoever watches it.

It does not know how it goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic

import anyio
from typing_extensions import TypeVar

from llmcompiler.events import Event
from llmcompiler.result import Result
from llmcompiler.run import Run

__all__ = ["StreamedRun"]

Out = TypeVar("Out", default=str)


class StreamedRun(Generic[Out]):
    """A run under way: its events as they happen, and its result once they have ended."""

    def __init__(
        self, run: Run[Out], events: AsyncIterator[Event], scope: anyio.CancelScope
    ) -> None:
        self._run = run
        self._events = events
        self._scope = scope

    def cancel(self) -> None:
        """Stop the run; its events still come to their end, and then the result is there."""
        self._scope.cancel()

    async def events(self) -> AsyncIterator[Event]:
        """Yield every event from now on; the last one says how the run ended."""
        async for event in self._events:
            yield event

    @property
    def result(self) -> Result[Out]:
        """What the run came to, failed and cancelled ones included; never raises what went wrong.

        Raises RuntimeError while the run is still under way.
        """
        return self._run.result
