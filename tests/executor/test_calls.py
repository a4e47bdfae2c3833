"""One call: time limits, retries, threads, context, events, stopping."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from llmcompiler.events import Emitter, StepProgress, StepRetrying, event_to_json
from llmcompiler.executor import Executor
from llmcompiler.plan import (
    Cancelled,
    Failed,
    Ok,
    Policy,
    Task,
    TaskId,
)
from llmcompiler.retry import Retry
from llmcompiler.toolbox import RunContext, Toolbox, tool
from tests.executor.bench import Bench, call, fail, no_context, ref, wait


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
        async with Executor(Toolbox([stuck]), emitter, no_context) as executor:
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


class Panic(BaseException):
    """What a native library raises: no Exception."""


class Mute(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Panic("index out of bounds"), "Panic: index out of bounds"),
        (SystemExit(3), "SystemExit: 3"),
        (Mute(), "Mute"),
        (ValueError("no file \udcff"), r"ValueError: no file \udcff"),
        (StopAsyncIteration("end"), "StopAsyncIteration: end"),
    ],
)
def test_whatever_a_tool_raises_fails_that_step_alone(
    error: BaseException, message: str, is_async: bool
) -> None:
    def odd() -> int:
        """Raise."""
        raise error

    async def odd_async() -> int:
        """Raise."""
        raise error

    made = tool(odd_async if is_async else odd)
    bench = Bench(made, wait).run_all(call("1", made.name), call("2", "wait", seconds=1.0))
    assert bench.outcomes == {"1": Failed(type(error).__name__, message), "2": Ok(0)}
    assert [event_to_json(event) for event in bench.events]


def test_a_step_that_was_stopped_is_not_spoken_of_again() -> None:
    @tool(retries=3)
    async def stubborn(ctx: RunContext[None]) -> int:
        """Make much ado about being stopped."""
        try:
            await anyio.sleep(100)
        except anyio.get_cancelled_exc_class():
            ctx.progress(1)
            raise ValueError("in the cleanup") from None
        return 1

    async def body(executor: Executor) -> None:
        executor.add(call("1", "stubborn"))
        await anyio.sleep(1)
        executor.stop("enough")
        await anyio.sleep(5)

    bench = Bench(stubborn).run(body)
    assert [event.type for event in bench.events] == ["step_started", "step_cancelled"]


def test_what_a_tool_does_to_its_arguments_reaches_no_result() -> None:
    @tool
    async def rows() -> list[dict[str, object]]:
        """Rows."""
        return [{"n": 2}, {"n": 1}]

    @tool
    async def spoil(x: Any, y: list[Any]) -> int:
        """Change everything."""
        x.append(9)
        x[0]["n"] = y[0]["n"] = 7
        return 1

    bench = Bench(rows, spoil).run_all(
        call("1", "rows"), call("2", "spoil", x=ref("1"), y=ref("1"))
    )
    assert bench.outcomes == {"1": Ok([{"n": 2}, {"n": 1}]), "2": Ok(1)}
