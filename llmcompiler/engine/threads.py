"""With how many threads may each of several engines compute its next step?

It does not know models or contexts: it counts cores, and who is at work.
"""

from __future__ import annotations

import functools
import threading
import weakref

from llmcompiler.engine.options import default_threads

__all__ = ["Cores", "ThreadShare", "share_threads"]


class Cores:
    """Threads for several engines to compute with; those that rest leave theirs to the others.

    llama.cpp's threads spin: one more than there are cores can slow a step down many times over.
    So a step is given what the steps under way leave of `total`, at most its fair part, and one
    thread at least. A planner and a joiner that take turns have all threads each; one that begins
    while the other computes with all of them has a single one, until that step is over.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._shares: weakref.WeakSet[ThreadShare] = weakref.WeakSet()

    def share(self, threads: int | None = None) -> ThreadShare:
        """Let one more engine take part; with `threads` it always gets so many, whatever others do."""
        share = ThreadShare(self, threads)
        with self._lock:
            self._shares.add(share)
        return share

    def _begin(self, share: ThreadShare) -> int:
        with self._lock:
            share._working = True
            if share._own is None:
                others = [other for other in self._shares if other is not share]
                named = sum(other._own or 0 for other in others if other._working)
                equals = sum(other._working and other._own is None for other in others)
                fair = -(-(self.total - named) // (equals + 1))
                left = self.total - sum(other._computing for other in others)
                share._computing = max(1, min(fair, left))
            else:
                share._computing = share._own
            return share._computing

    def _end(self, share: ThreadShare, *, working: bool) -> None:
        with self._lock:
            share._computing = 0
            share._working = working


class ThreadShare:
    """One engine's part in `Cores`; the engine calls it from its own thread."""

    __slots__ = ("__weakref__", "_computing", "_cores", "_own", "_working")

    def __init__(self, cores: Cores, own: int | None) -> None:
        self._cores = cores
        self._own = own
        self._working = False
        self._computing = 0

    def begin(self) -> int:
        """Begin a step: return how many threads it may use."""
        return self._cores._begin(self)

    def end(self, *, more: bool) -> None:
        """End a step; `more` says that another one follows, so that the share is kept till then."""
        self._cores._end(self, working=more)


@functools.cache
def _cores() -> Cores:
    return Cores(default_threads())


def share_threads(threads: int | None = None) -> ThreadShare:
    """Take part in sharing out the cores of this process; `threads` are insisted on."""
    return _cores().share(threads)
