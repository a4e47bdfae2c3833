"""The executor: starts at once, keeps limits, turns every failure into an outcome."""

from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from llmcompiler.errors import ToolError
from llmcompiler.events import Emitter, Event, StepProgress, StepRetrying
from llmcompiler.executor import Executor
from llmcompiler.messages import LLM
from llmcompiler.plan import (
    Cancelled,
    Each,
    Failed,
    Ok,
    Outcome,
    Policy,
    Ref,
    Skipped,
    Task,
    TaskId,
)
from llmcompiler.retry import Retry
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.tool import Progress, RunContext, Toolbox, ToolLike, tool


def call(name: str, function: str, **args: Any) -> Task:
    return Task(TaskId(name), function, args)


def ref(name: str) -> Ref:
    return Ref(TaskId(name))


class Bench:
    """An executor under virtual time, with what came of it."""

    def __init__(self, *tools: ToolLike, concurrency: int = 128) -> None:
        self.tools = Toolbox(tools)
        self.concurrency = concurrency
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

        executor = Executor(self.tools, emitter, context, concurrency=self.concurrency)
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


def test_independent_tasks_run_at_the_same_time() -> None:
    bench = Bench(wait).run_all(*(call(str(n), "wait", seconds=1.0) for n in range(10)))
    assert set(bench.ends.values()) == {1.0}


def test_a_task_starts_the_moment_its_inputs_exist_without_waiting_for_its_level() -> None:
    bench = Bench(wait).run_all(
        call("1", "wait", seconds=0.1, value=1),
        call("2", "wait", seconds=5.0, value=2),
        call("3", "wait", seconds=0.1, after=ref("1")),
    )
    assert bench.starts["3"] == 0.1
    assert bench.order == ["1", "3", "2"]


def test_defect_4_a_task_starts_while_the_planner_is_still_writing() -> None:
    async def body(executor: Executor) -> None:
        executor.add(call("1", "wait", seconds=0.1))
        executor.add(call("2", "wait", seconds=0.1, after=ref("1")))
        await anyio.sleep(3)
        executor.add(call("3", "wait", seconds=0.1))
        executor.seal()
        await executor.wait_settled()

    bench = Bench(wait).run(body)
    assert bench.starts["2"] == 0.1
    assert bench.starts["3"] == 3.0


def test_defect_1_a_tool_that_raises_is_an_outcome_and_nothing_hangs() -> None:
    bench = Bench(wait, fail).run_all(
        call("1", "fail", message="broken pipe"),
        call("2", "wait", seconds=1.0, value=7),
        call("3", "wait", seconds=1.0, after=ref("1")),
        call("4", "wait", seconds=1.0, after=ref("3")),
    )
    assert bench.outcomes == {
        "1": Failed("ValueError", "ValueError: broken pipe", 1),
        "2": Ok(7),
        "3": Skipped("it needs $1", TaskId("1")),
        "4": Skipped("it needs $3", TaskId("3")),
    }


def test_a_tools_own_refusal_is_passed_on_word_for_word() -> None:
    @tool
    async def refuse() -> int:
        """Refuse."""
        raise ToolError("there is no file 'a.md'")

    bench = Bench(refuse).run_all(call("1", "refuse"))
    assert bench.outcomes["1"] == Failed("ToolError", "there is no file 'a.md'", 1)


def test_a_tool_that_ends_the_program_ends_only_its_step() -> None:
    @tool
    async def leave() -> int:
        """Leave."""
        raise SystemExit(3)

    bench = Bench(leave).run_all(call("1", "leave"))
    assert isinstance(bench.outcomes["1"], Failed)


def test_a_tool_that_cancels_itself_fails_only_its_step() -> None:
    @tool
    async def vanish() -> int:
        """Vanish."""
        raise anyio.get_cancelled_exc_class()

    bench = Bench(vanish, wait).run_all(call("1", "vanish"), call("2", "wait", seconds=1.0))
    assert bench.outcomes == {"1": Failed("Cancelled", "the tool cancelled itself", 1), "2": Ok(0)}


def test_a_tool_with_tasks_of_its_own_fails_with_the_first_error_in_them() -> None:
    @tool
    async def group() -> int:
        """Group."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(functools.partial(fail.fn, "inside"))
        return 1

    bench = Bench(group).run_all(call("1", "group"))
    outcome = bench.outcomes["1"]
    assert isinstance(outcome, Failed)
    assert outcome.message == "ValueError: inside"


def test_a_slow_tool_is_stopped_at_its_time_limit() -> None:
    @tool(timeout=2)
    async def slow() -> int:
        """Sleep."""
        await anyio.sleep(100)
        return 1

    bench = Bench(slow).run_all(call("1", "slow"))
    assert bench.outcomes["1"] == Failed("ToolTimeoutError", "timed out after 2 s", 1)
    assert bench.ends["1"] == 2.0


def test_a_steps_own_time_limit_goes_before_its_tools() -> None:
    task = Task(TaskId("1"), "wait", {"seconds": 10.0}, policy=Policy(timeout=1.0))
    assert Bench(wait).run_all(task).ends["1"] == 1.0


def test_the_default_time_limit_is_a_minute() -> None:
    assert Bench(wait).run_all(call("1", "wait", seconds=100.0)).ends["1"] == 60.0


def test_a_failing_tool_is_tried_again_after_growing_waits() -> None:
    tries: list[float] = []

    @tool(retries=Retry(3, delay=1.0))
    async def flaky() -> str:
        """Fail twice."""
        tries.append(anyio.current_time())
        if len(tries) < 3:
            raise OSError("busy")
        return "done"

    bench = Bench(flaky).run_all(call("1", "flaky"))
    assert bench.outcomes["1"] == Ok("done")
    assert [round(b - a, 3) for a, b in pairwise(tries)] == [1.0, 2.0]
    retried = [event for event in bench.events if isinstance(event, StepRetrying)]
    assert [(e.attempt, e.message, e.wait) for e in retried] == [
        (2, "OSError: busy", 1.0),
        (3, "OSError: busy", 2.0),
    ]


def test_retries_end_with_the_last_error_and_the_number_of_attempts() -> None:
    @tool(retries=2)
    async def broken() -> int:
        """Fail."""
        raise OSError("down")

    assert Bench(broken).run_all(call("1", "broken")).outcomes["1"] == Failed(
        "OSError", "OSError: down", 3
    )


def test_arguments_that_do_not_fit_are_not_tried_again() -> None:
    @tool(retries=5)
    async def count(n: int) -> int:
        """Count."""
        return n

    outcome = Bench(count).run_all(call("1", "count", n="many")).outcomes["1"]
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.attempts) == ("ToolArgumentError", 1)


def test_each_runs_its_calls_in_parallel_and_keeps_their_order() -> None:
    @tool
    async def numbers() -> list[float]:
        """Numbers."""
        return [3.0, 1.0, 2.0]

    @tool
    async def double(x: float) -> float:
        """Double, the small ones faster."""
        await anyio.sleep(x)
        return 2 * x

    bench = Bench(numbers, double).run_all(
        call("1", "numbers"), call("2", "double", x=Each(ref("1")))
    )
    assert bench.outcomes["2"] == Ok([6.0, 2.0, 4.0])
    assert bench.ends["2"] == 3.0


def test_a_fan_out_with_a_failing_element_fails_and_keeps_the_others() -> None:
    @tool
    async def numbers() -> list[int]:
        """Numbers."""
        return [1, 0, 2]

    @tool
    async def invert(x: int) -> float:
        """Invert."""
        return 1 / x

    bench = Bench(numbers, invert).run_all(
        call("1", "numbers"), call("2", "invert", x=Each(ref("1")))
    )
    outcome = bench.outcomes["2"]
    assert isinstance(outcome, Failed)
    assert outcome.message == "1 of 3 calls failed: [1] ZeroDivisionError: division by zero"
    assert outcome.elements is not None
    assert outcome.elements[0] == Ok(1.0)
    assert outcome.elements[2] == Ok(0.5)


def test_at_most_so_many_calls_run_at_once() -> None:
    bench = Bench(wait, concurrency=3).run_all(
        *(call(str(n), "wait", seconds=1.0) for n in range(9))
    )
    assert sorted(bench.ends.values()) == [1.0] * 3 + [2.0] * 3 + [3.0] * 3


def test_a_tools_limit_holds_only_that_tool_back() -> None:
    @tool(limit=1)
    async def narrow(seconds: float) -> int:
        """Narrow."""
        await anyio.sleep(seconds)
        return 1

    bench = Bench(narrow, wait, concurrency=4).run_all(
        *(call(f"n{n}", "narrow", seconds=1.0) for n in range(3)),
        *(call(f"w{n}", "wait", seconds=1.0) for n in range(3)),
    )
    assert [bench.ends[f"n{n}"] for n in range(3)] == [1.0, 2.0, 3.0]
    assert [bench.ends[f"w{n}"] for n in range(3)] == [1.0, 1.0, 1.0]


def test_limits_hold_for_the_elements_of_a_fan_out_too() -> None:
    @tool
    async def numbers() -> list[int]:
        """Numbers."""
        return list(range(6))

    @tool(limit=2)
    async def narrow(x: int) -> int:
        """Narrow."""
        await anyio.sleep(1)
        return x

    bench = Bench(numbers, narrow).run_all(
        call("1", "numbers"), call("2", "narrow", x=Each(ref("1")))
    )
    assert bench.ends["2"] == 3.0


def test_a_failing_call_gives_its_place_back() -> None:
    @tool(limit=1)
    async def broken() -> int:
        """Fail."""
        await anyio.sleep(1)
        raise ValueError("no")

    bench = Bench(broken).run_all(*(call(str(n), "broken") for n in range(3)))
    assert sorted(bench.ends.values()) == [1.0, 2.0, 3.0]


def test_a_write_waits_for_the_seal() -> None:
    async def body(executor: Executor) -> None:
        executor.add(call("1", "write", value=1))
        executor.add(call("2", "wait", seconds=1.0))
        await anyio.sleep(5)
        executor.seal()
        await executor.wait_settled()

    bench = Bench(write, wait).run(body)
    assert bench.starts == {"2": 0.0, "1": 5.0}


def test_tasks_start_in_the_order_of_the_plan() -> None:
    started: list[int] = []

    @tool
    async def note(n: int) -> int:
        """Note."""
        started.append(n)
        await anyio.sleep(1)
        return n

    Bench(note, concurrency=2).run_all(*(call(str(n), "note", n=n) for n in range(8)))
    assert started == list(range(8))


def test_tasks_that_never_wait_leave_the_loop_its_turns() -> None:
    turns = 0

    @tool
    async def busy() -> int:
        """Take half a millisecond without ever waiting."""
        end = anyio.current_time() + 0.0005
        while anyio.current_time() < end:
            pass
        return 1

    async def main() -> None:
        nonlocal turns
        emitter = Emitter("run", anyio.current_time)
        async with (
            anyio.create_task_group() as tasks,
            Executor(Toolbox([busy]), emitter, _no_context, concurrency=4) as executor,
        ):

            async def other() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await anyio.lowlevel.checkpoint()

            tasks.start_soon(other)
            for n in range(200):
                executor.add(call(str(n), "busy"))
            executor.seal()
            await executor.wait_settled()
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert turns > 5


def _no_context(step: TaskId, progress: Progress) -> RunContext[Any]:
    raise AssertionError("no tool here asks for a context")


def test_stopping_cancels_what_runs_and_keeps_what_had_finished() -> None:
    cleaned: list[str] = []

    @tool
    async def tidy() -> int:
        """Tidy up when stopped."""
        try:
            await anyio.sleep(100)
        finally:
            cleaned.append("tidy")
        return 1

    async def body(executor: Executor) -> None:
        executor.add(call("1", "wait", seconds=1.0, value=5))
        executor.add(call("2", "tidy"))
        executor.add(call("3", "wait", seconds=1.0, after=ref("2")))
        await anyio.sleep(2)
        executor.stop("the time is up")
        await executor.wait_settled()

    bench = Bench(wait, tidy).run(body)
    assert cleaned == ["tidy"]
    assert bench.outcomes == {
        "1": Ok(5),
        "2": Cancelled("the time is up"),
        "3": Cancelled("the time is up"),
    }
    assert (bench.starts["2"], bench.ends["2"]) == (0.0, 2.0)


def test_a_cancelled_run_still_tells_what_had_finished() -> None:
    async def body(executor: Executor) -> None:
        with anyio.move_on_after(2) as scope:
            executor.add(call("1", "wait", seconds=1.0, value=5))
            executor.add(call("2", "wait", seconds=100.0))
            await executor.wait_settled()
        assert scope.cancelled_caught

    bench = Bench(wait).run(body)
    assert bench.outcomes == {"1": Ok(5), "2": Cancelled("the run was cancelled")}


def test_a_synchronous_tool_runs_in_a_worker_thread_and_does_not_block() -> None:
    """Defect 8: a synchronous call in an async tool stalled everything."""
    names: set[str] = set()
    both = threading.Barrier(2, timeout=10)

    @tool
    def sync(x: int) -> int:
        """Meet the other one: possible only if both run at once."""
        names.add(threading.current_thread().name)
        both.wait()
        return x

    bench = Bench(sync).run_all(call("1", "sync", x=1), call("2", "sync", x=2))
    assert bench.outcomes == {"1": Ok(1), "2": Ok(2)}
    assert threading.main_thread().name not in names


def test_a_synchronous_tool_is_left_behind_at_its_time_limit() -> None:
    release = threading.Event()

    @tool(timeout=0.05)
    def stuck() -> int:
        """Hang until released."""
        release.wait(10)
        return 1

    async def main() -> None:
        emitter = Emitter("run", anyio.current_time)
        async with Executor(Toolbox([stuck]), emitter, _no_context) as executor:
            executor.add(call("1", "stuck"))
            executor.seal()
            with anyio.fail_after(5):
                await executor.wait_settled()
            assert executor.observations[0].outcome == Failed(
                "ToolTimeoutError", "timed out after 0.05 s", 1
            )
        release.set()

    anyio.run(main)


@pytest.mark.parametrize("is_async", [True, False])
def test_a_tool_may_ask_its_run_for_dependencies_and_report_progress(is_async: bool) -> None:
    @tool
    async def report(ctx: RunContext[dict[str, str]], n: int) -> str:
        """Report."""
        ctx.progress(1, n, "half")
        return ctx.deps["key"] + ctx.step

    @tool(name="report")
    def report_from_thread(ctx: RunContext[dict[str, str]], n: int) -> str:
        """Report."""
        ctx.progress(1, n, "half")
        return ctx.deps["key"] + ctx.step

    bench = Bench(report if is_async else report_from_thread).run_all(call("7", "report", n=2))
    assert bench.outcomes["7"] == Ok("value7")
    (event,) = [event for event in bench.events if isinstance(event, StepProgress)]
    assert (event.step, event.done, event.total, event.message) == ("7", 1, 2, "half")


def test_every_step_has_a_beginning_and_one_end_in_the_events_and_numbers_rise() -> None:
    bench = Bench(wait, fail).run_all(
        call("1", "wait", seconds=1.0),
        call("2", "fail"),
        call("3", "wait", seconds=1.0, after=ref("2")),
    )
    kinds = [(event.type, getattr(event, "step", None)) for event in bench.events]
    assert kinds == [
        ("step_started", "1"),
        ("step_started", "2"),
        ("step_failed", "2"),
        ("step_skipped", "3"),
        ("step_finished", "1"),
    ]
    assert [event.seq for event in bench.events] == list(range(1, 6))
