"""How a run ends that is not simply answered: time, cancellation, errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest

from llmcompiler import Agent, Limits, Result
from llmcompiler.errors import (
    EndpointError,
    LLMCompilerError,
    RunTimeoutError,
)
from llmcompiler.events import (
    Event,
    StepStarted,
)
from llmcompiler.messages import LLM
from llmcompiler.plan import Cancelled, Ok
from llmcompiler.roles import TurnItem, TurnRequest
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from tests.agent.scenario import PLAN, TOOLS, run


def test_when_time_is_up_the_answer_is_made_of_what_there_is() -> None:
    done = run(
        PLAN,
        "Answer: The pen is 3.",
        limits=Limits(seconds=1.5),
    )
    assert done.result.answer == "The pen is 3."
    assert done.result["3"] == Cancelled("the time is up")
    assert done.last_texts()[-2:] == [
        "$3 cancelled: the time is up",
        "The time is up: answer with what there is.",
    ]


def test_when_time_is_up_while_planning_what_was_written_is_kept() -> None:
    done = run(
        Reply('1. price(item="pen")\n2. price(item="ruler")\n3. join()'),
        "Answer: 3",
        limits=Limits(seconds=4),
        chunk=1,
        delay=0.1,
    )
    assert done.result["1"] == Ok(3.0)
    assert done.result.status == "finished"


def test_a_run_out_of_time_with_nothing_in_hand_is_a_typed_error() -> None:
    done = run("Answer: never", limits=Limits(seconds=1), first_delay=100.0)
    assert isinstance(done.result.error, RunTimeoutError)


def test_an_answer_that_has_begun_is_heard_out() -> None:
    done = run("Answer: " + "word " * 10, limits=Limits(seconds=2), chunk=5, delay=0.5)
    assert done.result.answer == ("word " * 10).strip()


def test_a_planner_that_fails_in_mid_plan_ends_the_run_and_keeps_what_finished() -> None:
    """Defect 2: any failure of the planner hung the run."""
    broken = EndpointError("http://x", "connection", "went away: start it again")
    done = run(
        Reply('1. price(item="pen")\n', error=broken),
        chunk=1,
        delay=0.1,
    )
    assert done.result.status == "failed"
    assert done.result.error is broken
    assert len(done.result.steps) == 1


def test_an_error_that_is_raised_carries_what_had_finished() -> None:
    async def main() -> None:
        more = '2. price(item="x")\n3. join()'
        llm = ScriptedLLM(['1. price(item="pen")\n2. join()', more, more])
        await Agent(llm, tools=TOOLS, limits=Limits(replans=0)).run("x")

    with pytest.raises(LLMCompilerError) as caught:
        run_virtual(main)
    result = caught.value.result
    assert isinstance(result, Result)
    assert result["1"] == Ok(3.0)


def test_leaving_the_stream_stops_the_run_and_its_tools() -> None:
    async def main() -> Result[str]:
        agent = Agent(ScriptedLLM([PLAN]), tools=TOOLS)
        async with agent.run_stream("x") as stream:
            async for event in stream.events():
                if isinstance(event, StepStarted):
                    break
        return stream.result

    result = run_virtual(main)
    assert result.status == "cancelled"
    assert {type(step.outcome) for step in result.steps} == {Cancelled}


def test_a_streamed_run_that_is_stopped_still_comes_to_its_last_event_and_result() -> None:
    async def main() -> tuple[Result[str], list[str]]:
        seen: list[str] = []
        async with Agent(ScriptedLLM([PLAN]), tools=TOOLS).run_stream("x") as stream:
            async for event in stream.events():
                seen.append(event.type)
                if isinstance(event, StepStarted):
                    stream.cancel()
        return stream.result, seen

    result, seen = run_virtual(main)
    assert result.status == "cancelled"
    assert seen[-1] == "run_cancelled"


def test_cancelling_a_run_reaches_its_tools_and_passes_through() -> None:
    async def main() -> tuple[bool, list[Event]]:
        events: list[Event] = []
        agent = Agent(ScriptedLLM([PLAN]), tools=TOOLS)
        with anyio.move_on_after(1.5) as scope:
            await agent.run("x", sinks=[events.append])
        return scope.cancelled_caught, events

    caught, events = run_virtual(main)
    assert caught
    assert [event.type for event in events][-2:] == ["step_cancelled", "run_cancelled"]


def test_an_error_of_the_caller_inside_the_stream_arrives_as_it_is() -> None:
    async def main() -> None:
        async with Agent(ScriptedLLM([PLAN]), tools=TOOLS).run_stream("x"):
            await anyio.sleep(0.5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_virtual(main)


def test_a_planner_with_a_bug_raises_it_as_it_is() -> None:
    class Broken:
        async def turn(self, request: TurnRequest, llm: LLM) -> AsyncGenerator[TurnItem, None]:
            raise ZeroDivisionError
            yield

        def grammar(self, request: TurnRequest) -> str | None:
            return None

    async def main() -> None:
        await Agent(ScriptedLLM([]), tools=TOOLS, planner=Broken()).run("x")

    with pytest.raises(ZeroDivisionError):
        run_virtual(main)
