"""How does what one thread makes reach the task that waits for it?

It does not know what is in the letters. Putting never blocks and never waits for the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

__all__ = ["Mailbox"]

T = TypeVar("T")


class _Loop(Protocol):
    """The one thing of an event loop that other threads may call."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object: ...


class Mailbox(Generic[T]):
    """A queue from any thread to one task of the event loop that it was made on."""

    __slots__ = ("_event", "_letters", "_loop")

    def __init__(self) -> None:
        self._letters: deque[T] = deque()
        self._event = anyio.Event()
        self._loop = cast("_Loop", current_token().native_token)

    def put(self, letter: T) -> None:
        """Leave a letter; any thread may.

        Raises:
            RuntimeError: the event loop is closed.
        """
        self._letters.append(letter)
        self._loop.call_soon_threadsafe(self._wake)

    async def get(self) -> T:
        """Wait for the next letter."""
        while not self._letters:
            self._event = anyio.Event()
            await self._event.wait()
        return self._letters.popleft()

    def _wake(self) -> None:
        self._event.set()
