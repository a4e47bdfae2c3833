"""How do requests from any thread reach the one that serves them, and what does it do meanwhile?

It does not know what is in a request, nor how it is served.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from llmcompiler.engine.request import Job
from llmcompiler.errors import ModelError

__all__ = ["CLOSED", "Inbox"]

CLOSED = "the model was closed: load it again"
_PAUSE = 0.05  # seconds that the first request has to come before chores are thought of


class Inbox:
    """A queue with a door. `take` is for the one who serves, the rest for anybody.

    `chore` is called again and again while nothing else is to be done, until it returns False; it
    is given a function that says whether somebody came, and should then make an end. `rested` is
    set once there is none left.
    """

    def __init__(self, chore: Callable[[Callable[[], bool]], bool]) -> None:
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._door = threading.Lock()
        self._chore: Callable[[Callable[[], bool]], bool] | None = chore
        self.closed = False
        self.rested = threading.Event()
        self._begun = False

    def put(self, job: Job) -> None:
        """Take a request in.

        Raises:
            ModelError: the door is closed.
        """
        with self._door:
            if self.closed:
                raise ModelError(CLOSED)
            self._queue.put(job)

    def close(self) -> None:
        """Close the door, and wake whoever waits behind it."""
        with self._door:
            if not self.closed:
                self.closed = True
                self._queue.put(None)

    def take(self, *, wait: bool) -> Job | None:
        """Return the next request, or None where there is none, or none is waited for any more."""
        if not wait and self._queue.empty():
            return None  # nearly always so between two steps, and told without an exception
        while True:
            pause = 0.0 if self._begun else _PAUSE
            try:
                job = self._queue.get(block=wait, timeout=pause if self._chore else None)
                self._begun = True
                return job
            except Empty:
                if not wait:
                    return None
                if self._chore is not None and not self._chore(self._somebody):
                    self._chore = None
                    self.rested.set()

    def _somebody(self) -> bool:
        return not self._queue.empty()
