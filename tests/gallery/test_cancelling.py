"""Complaint: cancelling a run does not stop what it does, or breaks what comes after."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from llmcompiler import Agent, Limits, Result, tool
from llmcompiler.events import Event, RunCancelled, StepCancelled, StepFinished, StepStarted
from llmcompiler.plan import Cancelled, Ok, TaskId
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.transcript import Request
from tests.gallery.scene import ANSWER, TOOLS, calls, play


async def stopped_after(
    seconds: float, *replies: str, tools: Any = TOOLS, **pace: Any
) -> tuple[Result[Any], list[Event], Agent[Any]]:
    """Cancel a run from outside after so many seconds, as the handler of a request would."""
    agent = Agent(ScriptedLLM(list(replies), **pace), tools=tools)
    events: list[Event] = []
    async with agent.run_stream("Go.", sinks=[events.append]) as stream:
        with anyio.move_on_after(seconds):
            async for _ in stream.events():
                pass
        stream.cancel()
    return stream.result, events, agent


def test_pydantic_ai_3960_no_tool_goes_on_after_the_run_was_cancelled() -> None:
    async def main() -> tuple[list[str], int]:
        agent = Agent(
            ScriptedLLM(
                ['1. work(name="a", seconds=9)\n2. work(name="b", after=$1)\n3. join()', ANSWER]
            ),
            tools=TOOLS,
        )
        with anyio.move_on_after(3):
            await agent.run("Go.")
        at_once = list(calls)
        await anyio.sleep(100)
        assert calls == at_once
        return at_once, len(asyncio.all_tasks())

    done, tasks = run_virtual(main)
    assert done == ["a", "a over"]
    assert tasks == 1


def test_langgraph_5672_what_was_reached_before_the_cancellation_is_not_lost() -> None:
    plan = '1. work(name="quick")\n2. work(name="slow", seconds=9)\n3. join()'
    result, events, _ = run_virtual(stopped_after, 3, plan, ANSWER)
    assert result.status == "cancelled"
    assert result["1"] == Ok("quick")
    assert result["2"] == Cancelled("the run was cancelled")
    assert [event.output for event in events if isinstance(event, StepFinished)] == ["quick"]
    assert [task.id for task in result.plan] == ["1", "2"]
    assert result.transcript.entries[0] == Request("Go.")


def test_aegra_191_a_cancelled_run_leaves_no_call_without_an_outcome_and_the_chat_goes_on() -> None:
    plan = '1. work(name="a", seconds=9)\n2. say(value=$1)\n3. send(text="x")\n4. join()'
    result, _, _ = run_virtual(stopped_after, 0.5, plan, ANSWER)
    assert {step.task.id for step in result.steps} == {task.id for task in result.plan}
    following = play("1. say(value=1)\n2. join()", ANSWER, history=result.transcript)
    assert following.result.status == "finished"
    assert following.result["1"] == Ok(1)


def test_praisonai_4300_once_it_says_cancelled_no_further_effect_fires() -> None:
    plan = "\n".join(f'{number}. send(text="{number}")' for number in range(1, 6)) + "\n6. join()"

    async def main() -> list[str]:
        result, events, _ = await stopped_after(1.5, plan, ANSWER, tools=[one_by_one])
        assert events[-1].type == "run_cancelled"
        assert len([step for step in result.steps if isinstance(step.outcome, Cancelled)]) == 4
        before = list(calls)
        await anyio.sleep(100)
        assert calls == before
        return before

    @tool(name="send", effects="write", resource="post")
    async def one_by_one(text: str) -> str:
        """Send a text; one at a time."""
        calls.append(f"send {text}")
        await anyio.sleep(1)
        return "sent"

    assert run_virtual(main) == ["send 1", "send 2"]


def test_strands_pr_1772_a_run_is_stopped_by_a_call_and_still_ends_in_good_order() -> None:
    async def main() -> tuple[Result[Any], list[str]]:
        agent = Agent(ScriptedLLM(['1. work(name="a", seconds=9)\n2. join()']), tools=TOOLS)
        seen: list[str] = []
        async with agent.run_stream("Go.") as stream:
            async for event in stream.events():
                seen.append(event.type)
                if isinstance(event, StepStarted):
                    stream.cancel()
        return stream.result, seen

    result, seen = run_virtual(main)
    assert result.status == "cancelled"
    assert seen[-2:] == ["step_cancelled", "run_cancelled"]


def test_wish_stopping_while_the_plan_is_written_stops_the_model_too() -> None:
    llm = ScriptedLLM(
        ['1. work(name="a", seconds=50)\n' * 1 + "2. say(value=1)\n"], chunk=1, delay=1
    )

    async def main() -> Result[Any]:
        agent = Agent(llm, tools=TOOLS)
        async with agent.run_stream("Go.") as stream:
            async for event in stream.events():
                if isinstance(event, StepStarted):
                    stream.cancel()
        return stream.result

    result = run_virtual(main)
    (call,) = llm.calls
    assert not call.ended
    assert "2. say" not in call.said
    assert result["1"] == Cancelled("the run was cancelled")


def test_wish_a_step_that_the_time_limit_stopped_says_so_and_the_run_still_answers() -> None:
    seen = play(
        '1. work(name="a", seconds=9)\n2. say(value=1)\n3. join()',
        "Answer: half",
        limits=Limits(seconds=2),
    )
    assert seen.result.answer == "half"
    assert seen.result[TaskId("1")] == Cancelled("the time is up")
    assert seen.of(RunCancelled) == []
    assert [event.reason for event in seen.of(StepCancelled)] == ["the time is up"]
    assert "The time is up: answer with what there is." in seen.read()
