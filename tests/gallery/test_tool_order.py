"""Complaint: which tool may run beside which, before which, and when to stop early cannot be said."""

from __future__ import annotations

from typing import Any

import anyio

from llmcompiler import Agent, Result, tool
from llmcompiler.events import PassApplied, StepFinished
from llmcompiler.plan import Cancelled, Ok
from llmcompiler.testing import ScriptedLLM, run_virtual
from tests.gallery.scene import ANSWER, TOOLS, play


def test_pydantic_ai_127_a_tool_that_needs_anothers_result_says_so_by_a_reference() -> None:
    seen = play(
        '1. work(name="first", seconds=3)\n2. work(name="second", after=$1)\n'
        '3. work(name="free")\n4. join()',
        ANSWER,
    )
    assert seen.starts == {"1": 0.0, "3": 0.0, "2": 3.0}


def test_pydantic_ai_127_a_read_comes_after_the_write_before_it_on_the_same_resource() -> None:
    stock = {"pen": 1}

    @tool(resource="warehouse")
    async def count(item: str) -> int:
        """How many there are."""
        return stock[item]

    @tool(effects="write", resource="warehouse")
    async def add(item: str) -> str:
        """Add one."""
        await anyio.sleep(2)
        stock[item] += 1
        return "added"

    plan = (
        '1. count(item="pen")\n2. add(item="pen")\n3. count(item="pen")\n4. add(item="pen")\n'
        '5. count(item="pen")\n6. work(name="elsewhere", seconds=1)\n7. join()'
    )
    seen = play(plan, ANSWER, tools=[*TOOLS, count, add], chunk=1, delay=0.001)
    assert [seen.result[step] for step in "135"] == [Ok(1), Ok(2), Ok(3)]
    assert seen.starts["6"] < seen.starts["3"], "what is elsewhere does not wait"


def test_adk_python_4442_parallelism_is_switched_off_for_one_tool_alone() -> None:
    under_way = 0
    most = 0

    @tool(limit=1)
    async def alone(number: int) -> int:
        """Work alone."""
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.sleep(1)
        under_way -= 1
        return number

    lines = [f"{number}. alone(number={number})" for number in range(1, 5)]
    plan = "\n".join([*lines, '5. work(name="a")', '6. work(name="b")', "7. join()"])
    seen = play(plan, ANSWER, tools=[*TOOLS, alone])
    assert most == 1
    assert sorted(seen.starts[step] for step in "1234") == [0.0, 1.0, 2.0, 3.0]
    assert (seen.starts["5"], seen.starts["6"]) == (0.0, 0.0)


def test_adk_python_4442_different_tools_of_one_resource_take_turns() -> None:
    @tool(resource="printer")
    async def scan(page: int) -> int:
        """Scan a page."""
        await anyio.sleep(2)
        return page

    @tool(resource="printer")
    async def ink() -> int:
        """How much ink is left."""
        await anyio.sleep(1)
        return 7

    plan = '1. scan(page=1)\n2. ink()\n3. scan(page=2)\n4. work(name="a")\n5. join()'
    seen = play(plan, ANSWER, tools=[*TOOLS, scan, ink])
    assert round(seen.result.seconds, 6) == 5.0
    assert seen.starts["4"] == 0.0
    assert len({seen.starts[step] for step in "123"}) == 3


def test_adk_python_3405_a_run_stops_early_once_somebody_has_seen_enough() -> None:
    plan = (
        '1. work(name="safe", seconds=50)\n2. say(value="dangerous")\n'
        '3. work(name="kind", seconds=50)\n4. join()'
    )

    async def main() -> Result[Any]:
        agent = Agent(ScriptedLLM([plan, ANSWER]), tools=TOOLS)
        async with agent.run_stream("Check it.") as stream:
            async for event in stream.events():
                if isinstance(event, StepFinished) and event.output == "dangerous":
                    stream.cancel()
        return stream.result

    result = run_virtual(main)
    assert result.seconds == 0.0
    assert result["2"] == Ok("dangerous")
    assert {type(result["1"]), type(result["3"])} == {Cancelled}


def test_adk_python_3405_what_the_answer_does_not_need_is_not_waited_for() -> None:
    plan = '1. work(name="needed")\n2. work(name="idle", seconds=50, after=$1)\n3. join($1)'
    seen = play(plan, ANSWER)
    assert round(seen.result.seconds, 6) == 1.0
    assert [event.steps for event in seen.of(PassApplied) if event.name == "drop"] == [("2",)]
