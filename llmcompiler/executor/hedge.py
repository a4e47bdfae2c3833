"""When is a slow call made once more, and which of the two counts?

It does not know what a call does, nor which calls may be made twice.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from llmcompiler.errors import ToolTimeoutError
from llmcompiler.events import Emitter, PassApplied
from llmcompiler.executor.queue import Queue
from llmcompiler.plan import Json, Task
from llmcompiler.toolbox import Tool

__all__ = ["Hedges", "patience"]

_SLOWER = 1.2  # times what is usual: calls that all take about as long are not slow
_LATER = 0.01  # seconds at least beyond what is usual
_PASSED_ON = (KeyboardInterrupt, GeneratorExit)


def patience(usual: float) -> float:
    """Return after how many seconds a call that usually takes so many is slow."""
    return max(usual * _SLOWER, usual + _LATER)


@dataclass(slots=True, eq=False)
class _Race:
    """A call and, once it is slow, the same call again; `ended` is set when that is over."""

    task: Task
    tool: Tool[..., object]
    make: Callable[[], Awaitable[Json]]
    usual: float
    running: bool = True
    values: list[Json] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    first: anyio.CancelScope | None = None
    second: anyio.CancelScope | None = None
    ended: anyio.Event | None = None


class Hedges:
    """Makes calls, and those that are slow once more if there is room; the first success counts.

    One task looks after all calls that are under way, while there are any. What it starts is in
    `group`, under what `stoppable` gives.
    """

    def __init__(
        self,
        queue: Queue,
        emitter: Emitter,
        group: TaskGroup,
        stoppable: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._queue = queue
        self._emitter = emitter
        self._group = group
        self._stoppable = stoppable
        self._due: list[tuple[float, int, _Race]] = []
        self._count = 0
        self._until: float | None = None  # when the next look is; None: nobody looks
        self._sooner = anyio.Event()

    async def make(
        self,
        task: Task,
        tool: Tool[..., object],
        make: Callable[[], Awaitable[Json]],
        usual: float,
        seconds: float | None,
    ) -> Json:
        """Return what the call gives, or the same call made once more after `usual` seconds.

        If both fail, the first error is raised; after `seconds`, `ToolTimeoutError`.
        """
        race = _Race(task, tool, make, usual)
        self._expect(race)
        try:
            with anyio.move_on_after(seconds) as race.first:
                try:
                    race.values.append(await make())
                except BaseException as error:
                    if race.ended is None or _is_not_its_own(error):
                        raise
                    race.errors.append(error)
                    await race.ended.wait()  # the other may yet succeed
        finally:
            race.running = False
            if race.ended is not None:
                await _stopped(race, race.ended)
        if race.values:
            return race.values[0]
        if race.errors and not race.first.cancelled_caught:
            raise race.errors[0]
        raise ToolTimeoutError(seconds or 0.0)

    def _expect(self, race: _Race) -> None:
        due = self._emitter.now() + race.usual
        self._count += 1
        heapq.heappush(self._due, (due, self._count, race))
        if self._until is None:
            self._until = due
            self._group.start_soon(self._look)
        elif due < self._until:
            self._sooner.set()

    async def _look(self) -> None:
        """Look at each call when it is due; at those that are over, whenever it comes to them."""
        with self._stoppable():
            while self._due:
                due, _, race = self._due[0]
                left = due - self._emitter.now()
                if race.running and left > 0:
                    self._until, self._sooner = due, anyio.Event()
                    with anyio.move_on_after(left):
                        await self._sooner.wait()
                    continue
                heapq.heappop(self._due)
                if race.running and self._queue.spare(race.tool):
                    race.ended = anyio.Event()
                    self._tell(race)
                    self._group.start_soon(self._again, race, race.ended)
            self._until = None

    def _tell(self, race: _Race) -> None:
        name, usual = race.tool.name, race.usual
        slow = f"{name} takes longer than usual ({usual:.3g} s): called once more"
        self._emitter.emit(PassApplied, "hedge", (race.task.id,), slow, 0)

    async def _again(self, race: _Race, ended: anyio.Event) -> None:
        try:
            with self._stoppable(), anyio.CancelScope() as race.second:
                if race.running:
                    await self._try(race)
        finally:
            self._queue.unspare(race.tool)
            ended.set()

    async def _try(self, race: _Race) -> None:
        try:
            race.values.append(await race.make())
        except BaseException as error:
            if _is_not_its_own(error):
                raise
            race.errors.append(error)
        else:
            if race.first is not None:
                race.first.cancel()


async def _stopped(race: _Race, ended: anyio.Event) -> None:
    """Stop the second call, and wait until it is over."""
    if race.second is not None:
        race.second.cancel()
    with anyio.CancelScope(shield=True):
        await ended.wait()


def _is_not_its_own(error: BaseException) -> bool:
    """Whether what was raised comes from outside the call."""
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return anyio.current_effective_deadline() == -math.inf
    return isinstance(error, _PASSED_ON)
