"""How a run ends that is not simply answered: time, cancellation, errors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncGenerator

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from llmcompiler import Agent, Limits, Result, RunContext, tool
from llmcompiler.errors import (
    EndpointError,
    LLMCompilerError,
    RunTimeoutError,
)
from llmcompiler.events import (
    Event,
    PlanIgnored,
    StepStarted,
)
from llmcompiler.messages import LLM
from llmcompiler.plan import Cancelled, Ok
from llmcompiler.roles import TurnItem, TurnRequest
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from llmcompiler.transcript import Turn
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


def test_time_that_is_up_while_the_model_is_silent_leaves_no_empty_turn() -> None:
    done = run(
        '1. price(item="pen")\n2. join()',
        "Answer: too late",
        "Answer: 3",
        limits=Limits(seconds=3.5),
        first_delay=1.5,
    )
    assert done.result.answer == "3"
    assert Turn("") not in done.result.transcript.entries


def test_what_a_failed_run_stops_does_not_say_that_somebody_stopped_it() -> None:
    broken = EndpointError("http://x", "connection", "went away: start it again")
    done = run(Reply('1. price(item="pen")\n', error=broken), chunk=1, delay=0.1)
    assert done.result["1"] == Cancelled("the run failed")
    assert done.of(PlanIgnored) == []


def test_a_tool_that_ends_the_program_leaves_a_cancelled_run_behind() -> None:
    @tool
    def leave() -> int:
        """Leave."""
        raise KeyboardInterrupt

    events: list[Event] = []

    async def main() -> None:
        agent = Agent(ScriptedLLM(["1. leave()\n2. join()"]), tools=[leave])
        with contextlib.suppress(BaseExceptionGroup):
            await agent.run("x", sinks=[events.append])

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main)
    assert events[-1].type == "run_cancelled"


def test_a_thread_that_was_left_behind_adds_no_event_to_a_run_that_is_over() -> None:
    release, done = threading.Event(), threading.Event()
    events: list[Event] = []

    @tool(timeout=0.05)
    def stuck(ctx: RunContext[None]) -> int:
        """Hang until released, then go on as if nothing had happened."""
        release.wait(10)
        try:
            ctx.progress(1)
            anyio.from_thread.run(ctx.ask, "still there?")
        finally:
            done.set()
        return 1

    async def main() -> None:
        llm = ScriptedLLM(["1. stuck()\n2. join()", "Answer: no", "yes"])
        agent = Agent(llm, tools=[stuck], limits=Limits(mends=0))
        await agent.run("x", sinks=[events.append])
        release.set()
        await anyio.to_thread.run_sync(done.wait, 10)

    anyio.run(main)
    assert events[-1].type == "run_finished"


def test_a_plan_that_is_only_asked_for_ends_its_events_too() -> None:
    async def main(*replies: str) -> list[str]:
        events: list[Event] = []
        agent = Agent(ScriptedLLM(list(replies)), tools=TOOLS)
        with contextlib.suppress(LLMCompilerError):
            await agent.plan("x", sinks=[events.append])
        return [event.type for event in events]

    assert run_virtual(main, PLAN)[-1] == "run_finished"
    assert run_virtual(main, "hm", "hm")[-1] == "run_failed"
