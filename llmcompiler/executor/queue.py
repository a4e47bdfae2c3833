"""Which of the waiting calls is made next, within the limits of the run, of tools and resources?

It does not know how a call is made, nor what becomes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from llmcompiler.executor.work import Call
from llmcompiler.passes import Ranks, Ready
from llmcompiler.toolbox import Tool

__all__ = ["Queue"]


class Queue:
    """Calls that may be made, the one with the highest rank first; without ranks as they came.

    At most `concurrency` calls are out at a time, `Tool.limit` of a tool and one of a resource; a
    call that the latter hold back waits beside the queue until one of those comes back. `freed` is
    called when there may be room outside the usual course of `next` and `done`.
    """

    def __init__(self, ranks: Ranks | None, concurrency: int, freed: Callable[[], None]) -> None:
        self._ranks = ranks
        self._freed = freed
        self._ready: Ready[Call] = Ready(ranks)
        self._plain: deque[Call] = (
            deque()
        )  # all that is ready, while there is room for it: no order
        self._limited = 0  # of those that are ready
        self._parked: dict[str, Ready[Call]] = {}
        self._out: dict[str, int] = {}
        self._turns: dict[str, deque[anyio.Event]] = {}
        self.room = concurrency
        """How many more calls may be out."""

    @property
    def open(self) -> int:
        """How many calls may be taken out now, at most."""
        waiting = len(self._plain) + len(self._ready)
        return waiting if waiting < self.room else self.room

    def push(self, call: Call, *, first: bool = False) -> None:
        """Let a call wait for its turn; `first`: before all others of its rank."""
        if not call.limits and not first:
            call.limits = _limits(call)
        if call.limits:
            full = None if first else self._full(call.limits)
            if full is not None:
                self._park(call, full)
                return
            self._limited += 1
        elif not len(self._ready) and len(self._plain) < self.room:
            self._plain.append(call)
            return
        if self._plain:
            self._line_up()
        self._ready.push(call.step.start.task.id, call, first=first)

    def next(self) -> Call | None:
        """Take the next call out, if there is room; `done` brings it back."""
        if self._plain:
            if self.room >= len(self._plain):
                self.room -= 1
                return self._plain.popleft()
            self._line_up()
        while self.room > 0:
            # Where some can be held back, it matters who comes first even with room for all.
            call = self._ready.pop(0 if self._limited else self.room)
            if call is None:
                return None
            if not call.limits:
                self.room -= 1
                return call
            self._limited -= 1
            full = self._full(call.limits)
            if full is None:
                self.room -= 1
                for name, _ in call.limits:
                    self._out[name] = self._out.get(name, 0) + 1
                return call
            self._park(call, full)
            for name, most in call.limits:
                # The place that this call would have had is another's, if one waits for it.
                if name != full and self._out.get(name, 0) < most:
                    self._bring_back(name)
        return None

    def done(self, call: Call) -> None:
        """Take back a call that `next` gave out."""
        self.room += 1
        for name, _ in call.limits:
            self._give_back(name)

    @asynccontextmanager
    async def also(self, tool: Tool[..., Any]) -> AsyncIterator[None]:
        """Wait for a place of another tool, within a call that is out, and have it for a while."""
        if tool.limit is None:
            yield
            return
        name = f"tool {tool.name}"
        if self._out.get(name, 0) < tool.limit:
            self._out[name] = self._out.get(name, 0) + 1
        else:
            await self._turn(name)
        try:
            yield
        finally:
            self._give_back(name)
            self._freed()

    def spare(self, tool: Tool[..., Any]) -> bool:
        """Take a place for one more call of a tool, if it is free and nobody waits for it."""
        name = f"tool {tool.name}"
        if self.room <= len(self._plain) + len(self._ready) or tool.resource is not None:
            return False
        if tool.limit is not None:
            if self._out.get(name, 0) >= tool.limit:
                return False
            self._out[name] = self._out.get(name, 0) + 1
        self.room -= 1
        return True

    def unspare(self, tool: Tool[..., Any]) -> None:
        """Give back what `spare` took."""
        self.room += 1
        if tool.limit is not None:
            self._give_back(f"tool {tool.name}")
        self._freed()

    async def _turn(self, name: str) -> None:
        turns = self._turns.setdefault(name, deque())
        mine = anyio.Event()
        turns.append(mine)
        try:
            await mine.wait()
        except BaseException:
            if mine in turns:
                turns.remove(mine)
            else:  # it was given in the same moment
                self._give_back(name)
            raise

    def _line_up(self) -> None:
        for plain in self._plain:
            self._ready.push(plain.step.start.task.id, plain)
        self._plain.clear()

    def _park(self, call: Call, full: str) -> None:
        parked = self._parked.get(full)
        if parked is None:
            parked = self._parked[full] = Ready(self._ranks)
        parked.push(call.step.start.task.id, call)

    def _full(self, limits: tuple[tuple[str, int], ...]) -> str | None:
        for name, most in limits:
            if self._out.get(name, 0) >= most:
                return name
        return None

    def _give_back(self, name: str) -> None:
        turns = self._turns.get(name)
        if turns:
            turns.popleft().set()  # the place changes hands
            return
        self._out[name] -= 1
        self._bring_back(name)

    def _bring_back(self, name: str) -> None:
        parked = self._parked.get(name)
        call = None if parked is None else parked.pop()
        if call is not None:
            self.push(call, first=True)


def _limits(call: Call) -> tuple[tuple[str, int], ...]:
    """Return what holds a call back, and how many may be out at once."""
    tool, task = call.step.tool, call.step.start.task
    resource, own = task.policy.resource, task.policy.limit
    if tool.limit is None and resource is None and own is None:
        return ()
    limits: list[tuple[str, int]] = []
    if tool.limit is not None:
        limits.append((f"tool {tool.name}", tool.limit))
    if resource is not None:
        limits.append((f"resource {resource}", 1))
    if own is not None:
        limits.append((f"step {task.id}", own))
    return tuple(limits)
