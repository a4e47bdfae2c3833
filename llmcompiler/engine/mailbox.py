"""How does what one thread makes reach the tasks that wait for it?

It does not know what is in the letters. Putting never blocks and never waits for the event loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import current_token

__all__ = ["Mailbox"]

T = TypeVar("T")


class _Loop(Protocol):
    """What of an event loop other threads may call."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object: ...

    def is_closed(self) -> bool: ...


class _Round:
    """Wakes the readers of many mailboxes of one event loop by one call into it."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._due: list[Mailbox[Any]] = []

    def add(self, mailbox: Mailbox[Any], loop: _Loop) -> None:
        with self._door:
            self._due.append(mailbox)
            alone = len(self._due) == 1
        if alone or loop.is_closed():
            loop.call_soon_threadsafe(self._go)

    def _go(self) -> None:
        with self._door:
            due, self._due = self._due, []
        for mailbox in due:
            mailbox.wake()


_rounds: WeakKeyDictionary[Any, _Round] = WeakKeyDictionary()
_rounds_door = threading.Lock()


class Mailbox(Generic[T]):
    """A queue from any thread to one task of the event loop that it was made on."""

    __slots__ = ("_event", "_letters", "_loop", "_round")

    def __init__(self) -> None:
        self._letters: deque[T] = deque()
        self._event = anyio.Event()
        self._loop = cast("_Loop", current_token().native_token)
        with _rounds_door:
            self._round = _rounds.setdefault(self._loop, _Round())

    def put(self, letter: T) -> None:
        """Leave a letter; any thread may.

        Raises:
            RuntimeError: the event loop is closed.
        """
        self._letters.append(letter)
        self._round.add(self, self._loop)

    async def get(self) -> T:
        """Wait for the next letter."""
        while not self._letters:
            self._event = anyio.Event()
            await self._event.wait()
        return self._letters.popleft()

    def wake(self) -> None:
        """Wake who waits; for the event loop's own thread."""
        self._event.set()
