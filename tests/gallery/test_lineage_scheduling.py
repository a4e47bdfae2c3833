"""Defects 1 to 9 of the original: runs that hang, steps that start too late or block the others."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import anyio
import pytest

from llmcompiler import Agent, Limits, Passes, Result, tool
from llmcompiler.errors import EndpointError
from llmcompiler.events import StepRejected
from llmcompiler.plan import Cancelled, Failed, Ok, Skipped, TaskId
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from tests.gallery.scene import ANSWER, LEAVE, TOOLS, calls, play


def test_lineage_01_a_tool_that_raises_does_not_hang_the_run() -> None:
    seen = play(
        '1. fail(message="no")\n2. say(value=$1)\n3. join()', LEAVE, "Answer: it did not work"
    )
    assert seen.result.answer == "it did not work"
    assert seen.result["1"] == Failed("ValueError", "ValueError: no")
    assert seen.result["2"] == Skipped("it needs $1", TaskId("1"))
    assert seen.result.seconds == 0.0, "nobody polled"


@pytest.mark.parametrize("chunk", [1, None])
def test_lineage_02_a_planner_whose_server_fails_ends_the_run(chunk: int | None) -> None:
    down = EndpointError("http://x", "connection", "refuses connections: start it")
    at_once = play(Reply(error=down), chunk=chunk)
    assert (at_once.result.status, at_once.result.error) == ("failed", down)
    midway = play(Reply('1. work(name="a", seconds=9)\n', error=down), chunk=chunk)
    assert (midway.result.status, midway.result.error) == ("failed", down)
    assert midway.result["1"] == Cancelled("the run failed")


def test_lineage_03_an_unknown_tool_is_repaired_and_no_later_line_is_lost() -> None:
    plan = '1. say(value=1)\n2. wrok(name="b")\n3. say(value=3)\n4. say(value=$2)\n5. join()'
    seen = play(plan, '2. work(name="b")', ANSWER, chunk=1, delay=0.01)
    (rejected,) = seen.of(StepRejected)
    assert rejected.message == "there is no tool 'wrok'; did you mean 'work'?"
    assert [seen.result[step] for step in "1234"] == [Ok(1), Ok("b"), Ok(3), Ok("b")]


def test_lineage_04_a_step_starts_when_its_inputs_exist_not_at_the_next_plan_line() -> None:
    first = '1. work(name="a", seconds=0.3)\n2. work(name="b", after=$1, seconds=0.3)\n'
    later = '3. work(name="c", seconds=0.1)\n4. join()'
    seen = play(Reply(chunks=(first, later)), ANSWER, delay=5.0)
    assert seen.starts == {"1": 0.0, "2": 0.3, "3": 5.0}


def test_lineage_05_no_level_of_a_chain_costs_time_of_its_own() -> None:
    lines = [f'{n}. work(name="{n}", seconds=0.022, after=${n - 1})' for n in range(2, 9)]
    plan = "\n".join(['1. work(name="1", seconds=0.022)', *lines, "9. join()"])
    seen = play(plan, ANSWER)
    assert seen.result.seconds == pytest.approx(8 * 0.022, abs=1e-9)


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_lineage_06_what_is_ready_together_starts_in_the_order_of_the_plan(at_once: int) -> None:
    """Steps of one rank, however many may run at a time."""
    plan = "\n".join([*(f'{n}. work(name="{n}")' for n in range(1, 40)), "40. join()"])
    play(plan, ANSWER, limits=Limits(concurrency=at_once))
    begun = [call for call in calls if "over" not in call]
    assert begun == [str(number) for number in range(1, 40)]


def test_lineage_06_what_becomes_ready_together_starts_in_the_order_of_the_plan() -> None:
    lines = [f'{n}. work(name="{n}", after=$1)' for n in range(2, 40)]
    play("\n".join(['1. work(name="1")', *lines, "40. join()"]), ANSWER)
    begun = [call for call in calls if "over" not in call]
    assert begun == [str(number) for number in range(1, 40)]


def test_lineage_07_no_step_is_lost_to_the_garbage_collector() -> None:
    @tool
    async def collect() -> str:
        """Collect garbage, and wait for something that only this step knows."""
        gc.collect()
        await asyncio.sleep(1)
        gc.collect()
        return "here"

    lines = [f"{number}. collect()" for number in range(1, 9)]
    seen = play(
        "\n".join([*lines, "9. join()"]), ANSWER, tools=[collect], passes=Passes(merge=False)
    )
    assert [step.outcome for step in seen.result.steps] == [Ok("here")] * 8


def test_lineage_08_functions_that_block_stop_neither_each_other_nor_the_plan() -> None:
    meeting = threading.Barrier(2, timeout=10)

    @tool
    def compute(name: str) -> str:
        """Compute something without ever waiting for the loop."""
        meeting.wait()
        return name

    plan = '1. compute(name="a")\n2. compute(name="b")\n3. join()'
    seen = play(plan, ANSWER, tools=[compute], chunk=1, delay=0.01)
    assert [seen.result[step] for step in "12"] == [Ok("a"), Ok("b")]


def test_lineage_09_a_caller_that_is_cancelled_takes_planner_and_tools_with_it() -> None:
    llm = ScriptedLLM(
        ['1. work(name="a", seconds=99)\n2. say(value=1)\n3. join()'], chunk=1, delay=1
    )

    async def main() -> Result[Any]:
        async with Agent(llm, tools=TOOLS).run_stream("Go.") as stream:
            with anyio.move_on_after(40):
                async for _ in stream.events():
                    pass
        return stream.result

    result = run_virtual(main)
    assert not llm.calls[0].ended
    assert calls == ["a", "a over"]
    assert result.status == "cancelled"


def test_lineage_09_a_scope_around_a_run_that_is_cancelled_stops_it_as_well() -> None:
    llm = ScriptedLLM(['1. work(name="a", seconds=99)\n2. join()'], chunk=1, delay=1)

    async def main() -> bool:
        with anyio.move_on_after(40) as scope:
            await Agent(llm, tools=TOOLS).run("Go.")
        return scope.cancelled_caught

    assert run_virtual(main)
    assert calls == ["a", "a over"]
