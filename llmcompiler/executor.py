"""Starts what the frontier allows, within limits and deadlines, and records what became of it.

It does not know models, prompts or why a plan is as it is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias, assert_never

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.abc import TaskGroup

from llmcompiler.errors import ToolArgumentError, ToolError, ToolTimeoutError
from llmcompiler.events import (
    Emitter,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepProgress,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from llmcompiler.frontier import Command, Frontier, Settle, Start
from llmcompiler.plan import (
    Cancelled,
    Failed,
    Json,
    Observation,
    Ok,
    Outcome,
    Skipped,
    Task,
    TaskId,
    Timing,
)
from llmcompiler.retry import Retry
from llmcompiler.toolbox import Progress, RunContext, Tool, Toolbox

__all__ = ["ContextMaker", "Executor"]

ContextMaker: TypeAlias = Callable[[TaskId, Progress], RunContext[Any]]

_PASSED_ON = (KeyboardInterrupt, GeneratorExit)  # all else that a tool raises is its own failure
_YIELD_AFTER = 0.005  # seconds that calls which never wait may keep the loop from its turn


@dataclass(slots=True)
class _Step:
    """A started task; for a fan-out it collects the outcome of every element."""

    start: Start
    tool: Tool[..., Any]
    ready: float
    began: float = -1.0
    left: int = 1
    outcomes: list[Outcome | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of one tool: a step's only one, or the one for an element."""

    step: _Step
    args: Mapping[str, Json]
    index: int | None


class Executor:
    """Runs tasks as they are added; `observations` grows in order of completion.

    An async context manager: every call lives in its task group, and leaving it stops what still
    runs. `context` makes what a tool may ask of its run. At most `concurrency` calls are under
    way at once, and of each tool at most its own `limit`.
    """

    def __init__(
        self, toolbox: Toolbox, emitter: Emitter, context: ContextMaker, *, concurrency: int = 128
    ) -> None:
        self._toolbox = toolbox
        self._emitter = emitter
        self._context = context
        self._concurrency = concurrency
        self._frontier = Frontier(self._waits_for_seal)
        self._queue: deque[_Call] = deque()
        self._parked: dict[str, deque[_Call]] = {}
        self._active: dict[str, int] = {}
        self._running = 0
        self._started: dict[TaskId, _Step] = {}
        self._stopped = False
        self._breath = 0.0
        self._stirred = anyio.Event()
        self._threads = anyio.CapacityLimiter(concurrency)
        self._group: TaskGroup = anyio.create_task_group()
        # One scope for each worker: the group's own would stop whoever holds this executor too.
        self._scopes: set[anyio.CancelScope] = set()
        self.observations: list[Observation] = []

    async def __aenter__(self) -> Executor:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.stop("the run was cancelled")
        return await self._group.__aexit__(kind, error, traceback)

    def add(self, task: Task) -> None:
        """Take in a checked task; it starts now if it may."""
        self._apply(self._frontier.add(task))

    def abandon(self, task: Task, outcome: Failed) -> None:
        """Record an id that will never be called: what refers to it is skipped."""
        if not self._stopped:
            self._record_at_once(task, outcome, None)
            self._apply(self._frontier.finish(task.id, outcome))

    def seal(self, *, whole: bool = True) -> None:
        """Say that nothing will be added: tools that write may start, or are skipped if not `whole`."""
        self._apply(self._frontier.seal(whole=whole))

    def reopen(self) -> None:
        """Say that a further plan begins."""
        self._frontier.reopen()

    @property
    def unsettled(self) -> int:
        """How many tasks have no outcome yet."""
        return self._frontier.unsettled

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called: nothing is waited for any more."""
        return self._stopped

    async def wait_settled(self) -> None:
        """Wait until every task that was added has an outcome."""
        while self._frontier.unsettled and not self._stopped:
            await self.wait_more(len(self.observations))

    async def wait_more(self, count: int) -> None:
        """Wait until there are more than `count` observations, or nothing is unsettled."""
        while len(self.observations) <= count and self._frontier.unsettled and not self._stopped:
            self._stirred = anyio.Event()
            await self._stirred.wait()

    def stop(self, reason: str) -> None:
        """Stop every running call for good and record what is unfinished as cancelled."""
        if self._stopped:
            return
        self._stopped = True
        for scope in self._scopes:
            scope.cancel()
        now = self._emitter.now()
        outcome = Cancelled(reason)
        for task in self._frontier.unstarted():
            step = self._started.get(task.id)
            if step is None:
                self._record_at_once(task, outcome, None)
            else:
                began = step.ready if step.began < 0 else step.began
                self._record(task, outcome, Timing(step.ready, began, now), step.start.args)
        self._stirred.set()

    def _waits_for_seal(self, task: Task) -> bool:
        return (task.policy.effects or self._toolbox[task.tool].effects) == "write"

    def _apply(self, commands: Iterable[Command]) -> None:
        if not self._stopped:  # what is unfinished then has been recorded as cancelled
            self._take(commands)
            self._pump()

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, Settle):
                self._record_at_once(command.task, command.outcome, command.args)
            else:
                self._enqueue(command)
        if not self._frontier.unsettled:
            self._stirred.set()

    def _enqueue(self, start: Start) -> None:
        step = _Step(start, self._toolbox[start.task.tool], self._emitter.now())
        self._started[start.task.id] = step
        if start.elements is None:
            self._queue.append(_Call(step, start.args, None))
            return
        step.left = len(start.elements)
        step.outcomes = [None] * step.left
        self._queue.extend(_Call(step, args, index) for index, args in enumerate(start.elements))

    def _pump(self) -> None:
        while self._running < self._concurrency:
            call = self._next()
            if call is None:
                return
            self._running += 1
            self._group.start_soon(self._work, call)

    def _next(self) -> _Call | None:
        """Take the next call whose tool has room; the others wait beside the queue."""
        while self._queue and not self._stopped:
            call = self._queue.popleft()
            tool = call.step.tool
            if tool.limit is None:
                return call
            active = self._active.get(tool.name, 0)
            if active < tool.limit:
                self._active[tool.name] = active + 1
                return call
            self._parked.setdefault(tool.name, deque()).append(call)
        return None

    async def _work(self, call: _Call) -> None:
        """Make one call after the other while there are any: a chain costs no new tasks."""
        following: _Call | None = None if self._stopped else call
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                while following is not None:
                    await self._make(following)
                    self._give_back(following.step.tool)
                    following = self._next()
                    self._pump()
                    if self._emitter.now() - self._breath > _YIELD_AFTER:
                        await anyio.lowlevel.checkpoint()
                        self._breath = self._emitter.now()
            finally:
                self._scopes.discard(scope)
        self._running -= 1

    def _give_back(self, tool: Tool[..., Any]) -> None:
        """Let a call of the same tool that waits beside the queue be the next."""
        if tool.limit is not None:
            self._active[tool.name] -= 1
            parked = self._parked.get(tool.name)
            if parked:
                self._queue.appendleft(parked.popleft())

    async def _make(self, call: _Call) -> None:
        step = call.step
        task = step.start.task
        if step.began < 0:
            step.began = self._emitter.now()
            elements = None if step.start.elements is None else len(step.start.elements)
            self._emitter.emit(StepStarted, task.id, task.tool, step.start.args, elements)
        outcome = await self._outcome(call)
        if self._stopped:
            return
        if call.index is not None:
            step.outcomes[call.index] = outcome
            step.left -= 1
            if step.left:
                return
            outcome = _together(step.outcomes)
        del self._started[task.id]
        timing = Timing(step.ready, step.began, self._emitter.now())
        self._record(task, outcome, timing, step.start.args)
        self._take(self._frontier.finish(task.id, outcome))

    async def _outcome(self, call: _Call) -> Outcome:
        """Make the call and, where the tool allows it, make it again; every failure is a value."""
        task, tool = call.step.start.task, call.step.tool
        seconds = tool.timeout if task.policy.timeout is None else task.policy.timeout
        retry = tool.retries if task.policy.retries is None else Retry(task.policy.retries)
        context = self._context_for(task, tool) if tool.wants_context else None
        attempts = 0

        async def attempt() -> Json:
            nonlocal attempts
            attempts += 1
            if seconds is None:
                return await tool.invoke(call.args, context, self._threads)
            with anyio.move_on_after(seconds):
                return await tool.invoke(call.args, context, self._threads)
            raise ToolTimeoutError(seconds)

        def tell(number: int, error: BaseException, wait: float) -> None:
            if self._is_under_way(task):
                self._emitter.emit(StepRetrying, task.id, number, _message(error), wait)

        try:
            try:
                return Ok(await attempt())
            except BaseException as error:
                if not retry.attempts or not _worth_another_try(error):
                    raise
                return Ok(await retry.go_on(error, attempt, on=_worth_another_try, before=tell))
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            return Failed("Cancelled", "the tool cancelled itself", attempts)
        except _PASSED_ON:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit and foreign panics are no Exception
            return Failed(type(error).__name__, _message(error), attempts)

    def _is_under_way(self, task: Task) -> bool:
        """Whether the step may still be spoken of; a thread that was left behind outlives it."""
        return task.id in self._started and not self._stopped

    def _context_for(self, task: Task, tool: Tool[..., Any]) -> RunContext[Any]:
        def tell(done: float, total: float | None = None, message: str = "") -> None:
            if self._is_under_way(task):
                self._emitter.emit(StepProgress, task.id, done, total, message)

        def tell_from_thread(done: float, total: float | None = None, message: str = "") -> None:
            anyio.from_thread.run_sync(tell, done, total, message)

        return self._context(task.id, tell if tool.is_async else tell_from_thread)

    def _record_at_once(
        self, task: Task, outcome: Outcome, args: Mapping[str, Json] | None
    ) -> None:
        now = self._emitter.now()
        self._record(task, outcome, Timing(now, now, now), args)

    def _record(
        self, task: Task, outcome: Outcome, timing: Timing, args: Mapping[str, Json] | None
    ) -> None:
        self.observations.append(Observation(task, outcome, timing, args))
        self._stirred.set()
        emit = self._emitter.emit
        match outcome:
            case Ok(value):
                emit(StepFinished, task.id, value, timing.seconds)
            case Failed(kind, message, attempts):
                emit(StepFailed, task.id, kind, message, attempts, timing.seconds)
            case Skipped(reason, because):
                emit(StepSkipped, task.id, reason, because)
            case Cancelled(reason):
                emit(StepCancelled, task.id, reason)
            case _:
                assert_never(outcome)


def _worth_another_try(error: BaseException) -> bool:
    hopeless = (ToolArgumentError, anyio.get_cancelled_exc_class(), *_PASSED_ON)
    return not isinstance(error, hopeless)


def _message(error: BaseException) -> str:
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


def _together(outcomes: Iterable[Outcome | None]) -> Outcome:
    """Make one outcome of a fan-out's: a list in order, or a failure that keeps what succeeded."""
    known = [outcome for outcome in outcomes if outcome is not None]
    values = [outcome.value for outcome in known if isinstance(outcome, Ok)]
    if len(values) == len(known):
        return Ok(values)
    failures = [(i, each) for i, each in enumerate(known) if isinstance(each, Failed)]
    shown = "; ".join(f"[{index}] {failure.message}" for index, failure in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    return Failed(
        failures[0][1].kind,
        f"{len(failures)} of {len(known)} calls failed: {shown}{more}",
        sum(failure.attempts for _, failure in failures),
        tuple(known),
    )
