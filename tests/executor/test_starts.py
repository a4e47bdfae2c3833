"""When a step starts, what a failure stops, and which limits hold."""

from __future__ import annotations

import functools

import anyio
import anyio.lowlevel

from llmcompiler.errors import ToolError
from llmcompiler.events import Emitter
from llmcompiler.executor import Executor
from llmcompiler.passes import Passes
from llmcompiler.plan import (
    Each,
    Failed,
    Ok,
    Skipped,
    TaskId,
)
from llmcompiler.toolbox import Toolbox, tool
from tests.executor.bench import Bench, call, fail, no_context, ref, wait, write, writing


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
        executor.add(writing("1", "write", value=1))
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
            Executor(
                Toolbox([busy]),
                emitter,
                no_context,
                concurrency=4,
                passes=Passes(merge=False),
            ) as executor,
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
