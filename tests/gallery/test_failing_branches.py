"""Complaint: one failing branch ruins the whole batch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from llmcompiler import Agent, Limits, ToolError, tool
from llmcompiler.errors import EndpointError
from llmcompiler.events import StepRetrying
from llmcompiler.messages import Prompt
from llmcompiler.plan import Cancelled, Failed, Ok, Skipped, TaskId
from llmcompiler.testing import FunctionLLM, Reply, ScriptedLLM, run_virtual
from tests.gallery.scene import ANSWER, LEAVE, TOOLS, calls, play


def test_langgraph_7412_one_failing_branch_keeps_its_siblings() -> None:
    seen = play(
        '1. work(name="slow", seconds=3)\n2. fail(message="no such city")\n'
        '3. work(name="quick")\n4. join()',
        LEAVE,
        "Answer: two of three",
    )
    assert seen.result.answer == "two of three"
    assert seen.result["1"] == Ok("slow"), "it was under way when its sibling failed"
    assert seen.result["3"] == Ok("quick")
    assert seen.result["2"] == Failed("ValueError", "ValueError: no such city")
    read = seen.read()
    assert '$1 = "slow"' in read
    assert "$2 failed: ValueError: no such city" in read
    assert '$3 = "quick"' in read


_ERRORS = {
    "refusal": ToolError("there is no such thing"),
    "foreign": KeyError("thing"),
    "type": TypeError("not callable"),
    "exit": SystemExit(3),
    "group": ExceptionGroup("two", [OSError("gone"), OSError("gone")]),
}


@tool
async def break_down(how: str) -> str:
    """Raise an error of some kind."""
    raise _ERRORS[how]


@pytest.mark.parametrize("how", _ERRORS)
def test_langgraph_6486_every_kind_of_error_is_treated_alike(how: str) -> None:
    seen = play(
        f'1. break_down(how="{how}")\n2. work(name="sibling", seconds=2)\n3. join()',
        LEAVE,
        ANSWER,
        tools=[*TOOLS, break_down],
    )
    outcome = seen.result["1"]
    assert isinstance(outcome, Failed)
    assert outcome.kind == type(_ERRORS[how]).__name__
    assert seen.result["2"] == Ok("sibling")
    assert seen.result.answer == "done"


def test_langgraph_6486_arguments_that_do_not_fit_are_treated_like_any_other_error() -> None:
    seen = play(
        '1. say(value="soon")\n2. work(name="x", seconds=$1)\n3. work(name="sibling", seconds=2)\n4. join()',
        LEAVE,
        ANSWER,
    )
    outcome = seen.result["2"]
    assert isinstance(outcome, Failed)
    assert outcome.attempts == 0, "it was never called"
    assert seen.result["3"] == Ok("sibling")


def test_deepagents_694_a_failing_subagent_leaves_the_others_alone() -> None:
    down = EndpointError("http://x", "connection", "is not there: start it")
    models = {
        "good": lambda: ScriptedLLM(
            ['1. work(name="inner", seconds=2)\n2. join()', "Answer: good"]
        ),
        "bad": lambda: ScriptedLLM([Reply('1. work(name="lost")\n', error=down)]),
    }

    @tool
    async def delegate(to: str) -> str | None:
        """Let another agent answer."""
        inner: Agent[str] = Agent(models[to](), tools=TOOLS)
        return (await inner.run("Do it.")).answer

    seen = play(
        '1. delegate(to="bad")\n2. delegate(to="good")\n3. join()',
        LEAVE,
        ANSWER,
        tools=[delegate],
    )
    assert seen.result["2"] == Ok("good")
    failed = seen.result["1"]
    assert isinstance(failed, Failed)
    assert "the model server at http://x is not there: start it" in failed.message


def test_pydantic_ai_4423_no_sibling_is_orphaned_when_something_else_breaks() -> None:
    async def talk(prompt: Prompt) -> AsyncIterator[str]:
        yield '1. work(name="a", seconds=50)\n2. work(name="b", seconds=50)\n'
        await anyio.sleep(1)
        raise ZeroDivisionError("a bug in a model's client")

    async def main() -> tuple[list[str], int]:
        agent = Agent(FunctionLLM(talk), tools=TOOLS)
        with pytest.raises(ZeroDivisionError):
            await agent.run("Go.")
        return list(calls), len(asyncio.all_tasks())

    done, tasks = run_virtual(main)
    assert sorted(done) == ["a", "a over", "b", "b over"], "both ended before the error came out"
    assert tasks == 1, "only the test itself is left"


def test_pydantic_ai_6370_results_and_retries_of_finished_siblings_are_not_lost() -> None:
    tries: list[int] = []

    @tool(retries=3)
    async def flaky() -> int:
        """Succeed at the third try."""
        tries.append(len(tries))
        if len(tries) < 3:
            raise ConnectionError("busy")
        return 7

    plan = "1. flaky()\n2. pay(amount=5)\n3. say(value=[$1, $2])\n4. join()"
    seen = play(plan, tools=[*TOOLS, flaky])
    assert seen.result.status == "pending"
    assert seen.result["1"] == Ok(7)
    assert [event.attempt for event in seen.of(StepRetrying)] == [2, 3]

    async def go_on() -> Any:
        with seen.agent.override(model=ScriptedLLM([ANSWER])):
            return await seen.agent.resume(
                seen.result, [request.approve() for request in seen.result.pending]
            )

    result = run_virtual(go_on)
    assert len(tries) == 3, "what had finished was not done again"
    assert result["3"] == Ok([7, "paid 5"])


def test_crewai_pr_6712_no_thread_goes_on_behind_the_back_of_a_run_that_is_over() -> None:
    raised = threading.Event()
    effects: list[str] = []

    @tool
    def breaks() -> str:
        """Raise in a thread."""
        raised.set()
        raise RuntimeError("no")

    @tool
    def writes() -> str:
        """Go on in another thread after the first has failed."""
        raised.wait(10)
        effects.append("written")
        return "written"

    seen = play("1. breaks()\n2. writes()\n3. join()", LEAVE, ANSWER, tools=[breaks, writes])
    assert seen.result["2"] == Ok("written"), "its effect is on record"
    assert effects == ["written"]


@pytest.mark.parametrize("number", [742, 3355])
def test_adk_python_742_and_3355_a_tool_server_that_breaks_does_not_crash_the_run(
    number: int,
) -> None:
    lost = ConnectionError(f"tool server {number} went away")
    nested = ExceptionGroup("unhandled", [ExceptionGroup("inner", [lost])])

    @tool
    async def remote() -> str:
        """Ask a tool server."""
        raise nested if number == 742 else lost

    seen = play(
        '1. remote()\n2. work(name="local")\n3. join()', LEAVE, ANSWER, tools=[*TOOLS, remote]
    )
    assert seen.result.status == "finished"
    assert seen.result["2"] == Ok("local")
    failed = seen.result["1"]
    assert isinstance(failed, Failed)
    assert failed.message == f"ConnectionError: tool server {number} went away"


def test_adk_python_5297_an_error_while_tidying_up_does_not_hide_the_first_one() -> None:
    @tool
    async def untidy() -> str:
        """Fail once more when stopped."""
        try:
            await anyio.sleep(50)
        finally:
            raise RuntimeError("could not tidy up")

    first = EndpointError("http://x", "connection", "went away: start it again")
    seen = play(Reply("1. untidy()\n", error=first), tools=[untidy], chunk=1, delay=0.1)
    assert seen.result.status == "failed"
    assert seen.result.error is first
    assert seen.result["1"] == Cancelled("the run failed")


def test_wish_every_branch_has_an_outcome_of_its_own() -> None:
    seen = play(
        '1. say(value=1)\n2. fail(message="no")\n3. say(value=$2)\n4. work(name="long", seconds=9)\n'
        "5. join()",
        ANSWER,
        limits=Limits(mends=0, seconds=5),
    )
    assert seen.result["1"] == Ok(1)
    assert seen.result["2"] == Failed("ValueError", "ValueError: no")
    assert seen.result["3"] == Skipped("it needs $2", TaskId("2"))
    assert seen.result["4"] == Cancelled("the time is up")
    assert len(seen.result.steps) == 4, "each once"


def test_wish_an_effect_that_nobody_asked_to_stop_is_not_stopped_by_a_failure() -> None:
    seen = play(
        '1. fail(message="no")\n2. send(text="hello")\n3. pay(amount=1)\n4. join()',
        LEAVE,
        ANSWER,
        approver=lambda request: True,
    )
    assert seen.result["2"] == Ok("sent")
    assert sorted(calls) == ["pay 1", "send hello"]
