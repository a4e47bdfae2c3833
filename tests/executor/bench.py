"""What the tests of the executor share: a bench under virtual time, and three tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

from llmcompiler.events import Emitter, Event
from llmcompiler.executor import Executor
from llmcompiler.messages import LLM
from llmcompiler.passes import Passes
from llmcompiler.plan import (
    Outcome,
    Policy,
    Ref,
    Task,
    TaskId,
)
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.toolbox import Progress, RunContext, Toolbox, ToolLike, tool


def call(name: str, function: str, **args: Any) -> Task:
    return Task(TaskId(name), function, args)


def writing(name: str, function: str, **args: Any) -> Task:
    """A call as `check` hands it on where the tool writes."""
    return Task(TaskId(name), function, args, policy=Policy(effects="write"))


def ref(name: str) -> Ref:
    return Ref(TaskId(name))


class Bench:
    """An executor under virtual time, with what came of it."""

    def __init__(
        self, *tools: ToolLike, concurrency: int = 128, passes: Passes | None = None, **more: Any
    ) -> None:
        self.tools = Toolbox(tools)
        self.concurrency = concurrency
        # Equal calls are made as often as they are asked for, where a test does not say otherwise.
        self.passes = passes or Passes(merge=False)
        self.more = more
        self.events: list[Event] = []
        self.outcomes: dict[str, Outcome] = {}
        self.starts: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.order: list[str] = []

    def run(self, body: Callable[[Executor], Awaitable[None]]) -> Bench:
        return run_virtual(self._main, body)

    def run_all(self, *tasks: Task) -> Bench:
        async def body(executor: Executor) -> None:
            for task in tasks:
                executor.add(task)
            executor.seal()
            await executor.wait_settled()

        return self.run(body)

    async def _main(self, body: Callable[[Executor], Awaitable[None]]) -> Bench:
        emitter = Emitter("run", anyio.current_time, [self.events.append])
        llm: LLM = ScriptedLLM([])

        def context(step: TaskId, progress: Progress) -> RunContext[Any]:
            return RunContext({"key": "value"}, "run", step, llm, progress)

        executor = Executor(
            self.tools,
            emitter,
            context,
            concurrency=self.concurrency,
            passes=self.passes,
            **self.more,
        )
        try:
            async with executor:
                await body(executor)
        finally:
            for each in executor.observations:
                assert each.task.id not in self.outcomes, "an outcome was recorded twice"
                self.outcomes[each.task.id] = each.outcome
                self.starts[each.task.id] = round(each.timing.start, 6)
                self.ends[each.task.id] = round(each.timing.end, 6)
                self.order.append(each.task.id)
        return self


@tool
async def wait(seconds: float, value: int = 0, after: object = None) -> int:
    """Wait."""
    await anyio.sleep(seconds)
    return value


@tool
async def fail(message: str = "no") -> int:
    """Fail."""
    raise ValueError(message)


@tool(effects="write")
async def write(value: int = 0) -> int:
    """Write."""
    return value


def no_context(step: TaskId, progress: Progress) -> RunContext[Any]:
    raise AssertionError("no tool here asks for a context")
