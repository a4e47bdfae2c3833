"""How does a test wait an hour in no time? An event loop whose clock jumps to the next timer.

It does not know what runs on it: anything written for anyio on asyncio does.
"""

from __future__ import annotations

import asyncio
import math
import os
import selectors
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from types import FrameType
from typing import Any, TypeVar, TypeVarTuple, Unpack

import anyio

__all__ = ["VirtualDeadlockError", "VirtualEventLoop", "run_virtual"]

T = TypeVar("T")
Args = TypeVarTuple("Args")
_RESOLUTION = time.get_clock_info("monotonic").resolution
_STEP = 0.05  # seconds of real waiting at a time, while something outside the loop is at work


class VirtualDeadlockError(RuntimeError):
    """Raised when every task waits and nothing is left that could wake one."""

    def __init__(self, waiting: list[str]) -> None:
        tasks = "; ".join(waiting) or "no task is left"
        super().__init__(
            f"nothing can happen any more, no timer, thread or connection is pending: {tasks}"
        )


def run_virtual(main: Callable[[Unpack[Args]], Awaitable[T]], *args: *Args) -> T:
    """Run `main` like `anyio.run`, in virtual time that starts at 0.

    `anyio.current_time`, `anyio.sleep` and every timeout follow the virtual clock, which stands
    still while there is something to do and jumps to the next timer when there is not. Worker
    threads, sockets and child processes are waited for in real time: quick ones take no virtual
    time, and for slow ones the clock goes on at its real pace. A deadlock raises
    `VirtualDeadlockError`.
    """
    return anyio.run(main, *args, backend_options={"loop_factory": VirtualEventLoop})


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time, for `loop_factory` of other runners."""

    def __init__(self) -> None:
        self._now = 0.0
        self._at_work = 0
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        """Return the virtual time, in seconds from the loop's making."""
        return self._now

    def pass_time(self, seconds: float) -> None:
        """Move the clock on; late times, where a resolution is lost by rounding, always move."""
        then = self._now + seconds
        # asyncio runs what is due before now + resolution: that must be later than now.
        if then + _RESOLUTION == then:
            then = math.nextafter(then, math.inf)
        self._now = then

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Args]], T], *args: *Args
    ) -> asyncio.Future[T]:
        """Call `func` in a thread of asyncio's own, and wait for it in real time."""
        future = super().run_in_executor(executor, func, *args)
        self._at_work += 1
        future.add_done_callback(self._done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for asyncio's own threads, in real time."""
        self._at_work += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._at_work -= 1

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._at_work -= 1

    def threads_at_work(self) -> bool:
        """Say whether a worker thread may yet hand something to this loop."""
        return self._at_work > 0 or any(_is_busy(thread, self) for thread in threading.enumerate())


def _is_busy(thread: threading.Thread, loop: VirtualEventLoop) -> bool:
    if thread.name.startswith(("waitpid-", "asyncio-waitpid-")):
        return True  # asyncio's own, one for each child process
    # anyio's worker threads know their loop, and its idle ones queue up in a deque they share.
    idle = getattr(thread, "idle_workers", None)
    return idle is not None and getattr(thread, "loop", None) is loop and thread not in idle


class _VirtualSelector(selectors.BaseSelector):
    """Watches real files, and moves the loop's clock instead of waiting where it can."""

    def __init__(self, loop: VirtualEventLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready:
            return ready
        if timeout is not None and timeout <= 0:
            self._loop.pass_time(0.0)
            return []
        # One file is the loop's own, by which threads wake it; any other is the world outside.
        if len(self._real.get_map()) > 1 or self._loop.threads_at_work():
            step = _STEP if timeout is None else min(timeout, _STEP)
            ready = self._real.select(step)
            if not ready:
                self._loop.pass_time(step)
            return ready
        if timeout is None:
            raise VirtualDeadlockError(_whereabouts(self._loop))
        self._loop.pass_time(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def _whereabouts(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return each task's name and the line of its own code at which it waits."""
    places: list[str] = []
    for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
        frame = _own_frame(task.get_coro())
        if frame is not None:
            code = frame.f_code
            where = f"{code.co_name} ({code.co_filename}:{frame.f_lineno})"
            places.append(f"{task.get_name()} waits in {where}")
    return places


def _own_frame(coroutine: Any) -> FrameType | None:
    """Return the innermost frame that is neither asyncio's nor anyio's, where there is one."""
    libraries = (os.path.dirname(asyncio.__file__), os.path.dirname(anyio.__file__))
    found: FrameType | None = None
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        if found is None or not frame.f_code.co_filename.startswith(libraries):
            found = frame
        coroutine = coroutine.cr_await
    return found
