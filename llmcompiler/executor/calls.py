"""How one call is made: under its time limit, tried again, hedged, and with its tool's fallback.

It does not know which calls there are, nor when one may be made.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import anyio
import anyio.from_thread

from llmcompiler.errors import ToolArgumentError, ToolError, ToolTimeoutError
from llmcompiler.events import Emitter, StepFellBack, StepProgress, StepRetrying
from llmcompiler.executor.hedge import Hedges, patience
from llmcompiler.executor.queue import Queue
from llmcompiler.passes import Durations, Passes
from llmcompiler.plan import Failed, Json, Ok, Outcome, Task, TaskId
from llmcompiler.retry import Retry
from llmcompiler.toolbox import Progress, RunContext, Tool, Toolbox

__all__ = ["Caller", "ContextMaker"]

ContextMaker: TypeAlias = Callable[[TaskId, Progress], RunContext[Any]]

_PASSED_ON = (KeyboardInterrupt, GeneratorExit)  # all else that a tool raises is its own failure


class Caller:
    """Makes calls; every failure is a value.

    `under_way` says whether a step may still be spoken of: a thread that was left behind outlives
    it. `lets` says whether a tool may be called in place of a step's own. At most `threads`
    synchronous functions run at once. What a call needs beyond its own place, `queue` gives.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        emitter: Emitter,
        context: ContextMaker,
        under_way: Callable[[Task], bool],
        lets: Callable[[Task, Tool[..., Any], Mapping[str, Json]], bool],
        queue: Queue,
        hedges: Hedges,
        durations: Durations,
        passes: Passes,
        threads: int,
    ) -> None:
        self._toolbox = toolbox
        self._emitter = emitter
        self._context = context
        self._under_way = under_way
        self._lets = lets
        self._queue = queue
        self._hedges = hedges
        self._durations = durations
        self._passes = passes
        self._threads = anyio.CapacityLimiter(threads)

    async def make(
        self, task: Task, tool: Tool[..., Any], args: Mapping[str, Json]
    ) -> tuple[Outcome, Tool[..., Any]]:
        """Call the tool and, where it failed for good, its fallbacks; say which tool it was."""
        try:
            return Ok(await self._attempt(task, tool, args)), tool
        except BaseException as error:  # noqa: BLE001 - SystemExit and foreign panics are no Exception
            outcome = await self._after(task, tool, args, error)
        if tool.fallback is None or not isinstance(outcome, Failed):
            return outcome, tool
        return await self.instead(task, tool, args, outcome)

    async def instead(
        self, task: Task, tool: Tool[..., Any], args: Mapping[str, Json], failed: Failed
    ) -> tuple[Outcome, Tool[..., Any]]:
        """Call the fallbacks of a tool that `failed`, one after the other; say which it was."""
        why = failed.message
        while tool.fallback is not None and _may_fall_back(tool, failed):
            other = self._toolbox[tool.fallback]
            if not (self._lets(task, tool, args) and self._lets(task, other, args)):
                break  # what was approved, or needed no approval, is what runs
            async with self._queue.also(other):
                if self._under_way(task):
                    self._emitter.emit(StepFellBack, task.id, other.name, why)
                outcome = await self._tried(task, other, args)
            if not isinstance(outcome, Failed):
                return outcome, other
            why = outcome.message
            failed = Failed(
                outcome.kind,
                f"{failed.message}; and {other.name}, tried instead: {outcome.message}",
                failed.attempts + outcome.attempts,
            )
            tool = other
        return failed, tool

    async def make_together(
        self, task: Task, tool: Tool[..., Any], calls: Sequence[Mapping[str, Json]]
    ) -> list[Outcome] | Failed:
        """Call the tool's bulk form once; a failure of the whole is told as one."""
        seconds = tool.timeout
        context = self._bulk_context(task, tool) if tool.bulk_wants_context else None
        begun = self._emitter.now()
        try:
            with anyio.move_on_after(seconds):
                found = await tool.invoke_many(calls, context, self._threads)
                self._durations.learn(tool.name, self._emitter.now() - begun)
                return [
                    _failed(each, 1) if isinstance(each, Exception) else Ok(each) for each in found
                ]
            return _failed(ToolTimeoutError(seconds or 0.0), 1)
        except BaseException as error:  # noqa: BLE001 - SystemExit and foreign panics are no Exception
            return _caught(error, 1)

    async def _tried(self, task: Task, tool: Tool[..., Any], args: Mapping[str, Json]) -> Outcome:
        """Make the call and, where the tool allows it, make it again."""
        try:
            return Ok(await self._attempt(task, tool, args))
        except BaseException as error:  # noqa: BLE001 - SystemExit and foreign panics are no Exception
            return await self._after(task, tool, args, error)

    async def _after(
        self, task: Task, tool: Tool[..., Any], args: Mapping[str, Json], first: BaseException
    ) -> Outcome:
        """Make a call again that raised `first`, where the tool allows it."""
        retry = _retry_of(task, tool)
        if not (retry.attempts and tool.repeatable and _worth_another_try(first)):
            return _caught(first, 1)
        attempts = 1

        async def attempt() -> Json:
            nonlocal attempts
            attempts += 1
            return await self._attempt(task, tool, args)

        def tell(number: int, error: BaseException, wait: float) -> None:
            if self._under_way(task):
                self._emitter.emit(StepRetrying, task.id, number, _message_of(error), wait)

        try:
            return Ok(await retry.go_on(first, attempt, on=_worth_another_try, before=tell))
        except BaseException as error:  # noqa: BLE001 - SystemExit and foreign panics are no Exception
            return _caught(error, attempts)

    async def _attempt(self, task: Task, tool: Tool[..., Any], args: Mapping[str, Json]) -> Json:
        seconds = tool.timeout if task.policy.timeout is None else task.policy.timeout
        context = self._context_for(task, tool.is_async) if tool.wants_context else None
        usual = self._usual(tool) if self._passes.hedge else None
        begun = self._emitter.now()
        if usual is not None:
            make = partial(tool.invoke, args, context, self._threads)
            value = await self._hedges.make(task, tool, make, patience(usual), seconds)
        elif seconds is None:
            value = await tool.invoke(args, context, self._threads)
        else:
            with anyio.move_on_after(seconds):
                value = await tool.invoke(args, context, self._threads)
                self._durations.learn(tool.name, self._emitter.now() - begun)
                return value
            raise ToolTimeoutError(seconds)
        self._durations.learn(tool.name, self._emitter.now() - begun)
        return value

    def _usual(self, tool: Tool[..., Any]) -> float | None:
        """Return what few calls take longer than; None if it is not known or matters not."""
        if not tool.repeatable:
            return None
        return self._durations.percentile(tool.name, self._passes.hedge_percentile)

    def _bulk_context(self, task: Task, tool: Tool[..., Any]) -> RunContext[Any]:
        return self._context_for(task, inspect.iscoroutinefunction(tool.bulk))

    def _context_for(self, task: Task, on_loop: bool) -> RunContext[Any]:
        def tell(done: float, total: float | None = None, message: str = "") -> None:
            if self._under_way(task):
                self._emitter.emit(StepProgress, task.id, done, total, message)

        def tell_from_thread(done: float, total: float | None = None, message: str = "") -> None:
            anyio.from_thread.run_sync(tell, done, total, message)

        return self._context(task.id, tell if on_loop else tell_from_thread)


def _retry_of(task: Task, tool: Tool[..., Any]) -> Retry:
    if task.policy.retry is not None:
        return task.policy.retry
    return tool.retries if task.policy.retries is None else Retry(task.policy.retries)


def _may_fall_back(tool: Tool[..., Any], failed: Failed) -> bool:
    """Whether another tool may take over: a write runs once.

    Of a write it must be sure that it did nothing: only its own refusal says so.
    """
    return failed.kind != "Cancelled" and (tool.repeatable or failed.kind == "ToolError")


def _worth_another_try(error: BaseException) -> bool:
    hopeless = (ToolArgumentError, anyio.get_cancelled_exc_class(), *_PASSED_ON)
    return not isinstance(error, hopeless)


def _caught(error: BaseException, attempts: int) -> Failed:
    """Make a value of what a call raised; raise what is not its own doing."""
    if isinstance(error, anyio.get_cancelled_exc_class()):
        if anyio.current_effective_deadline() == -math.inf:
            raise error
        return Failed("Cancelled", "the tool cancelled itself", attempts)
    if isinstance(error, _PASSED_ON):
        raise error
    return _failed(error, attempts)


def _failed(error: BaseException, attempts: int) -> Failed:
    return Failed(type(error).__name__, _message_of(error), attempts)


def _message_of(error: BaseException) -> str:
    """Say what went wrong as the model should read it: a tool's own refusal word for word."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    try:
        # Not every text of an exception is valid Unicode: names of files may hold any bytes.
        text = str(error).strip().encode(errors="backslashreplace").decode()
    except Exception:  # noqa: BLE001 - an exception that cannot even say what it is
        text = ""
    if isinstance(error, ToolError):
        return text or "the tool refused without a reason"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
