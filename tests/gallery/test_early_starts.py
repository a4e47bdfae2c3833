"""Complaint: tools wait until the model has ended its turn; and what may go wrong when they do not."""

from __future__ import annotations

import pytest

from llmcompiler import Agent, tool
from llmcompiler.events import (
    Event,
    PlanDelta,
    PlanFinished,
    StepAwaitingApproval,
    StepPlanned,
    StepStarted,
)
from llmcompiler.messages import LLM
from llmcompiler.plan import Ok
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from tests.gallery.scene import ANSWER, TOOLS, calls, follow, play


def test_openai_agents_3404_a_tool_starts_before_the_turn_ends() -> None:
    plan = '1. work(name="a", seconds=5)\n2. work(name="b", seconds=0.1)\n3. join()'
    seen = play(plan, ANSWER, chunk=1, delay=0.1)
    sealed = seen.of(PlanFinished)[0].ts
    assert seen.starts["1"] < sealed
    assert seen.starts["1"] == pytest.approx(plan.index("\n") * 0.1, abs=0.11)
    # stream and tools overlap: the longer of both, not their sum
    tools_over = max(step.timing.end for step in seen.result.steps)
    assert tools_over == pytest.approx(max(seen.starts["1"] + 5, sealed), abs=0.2)


@pytest.mark.parametrize("chunk", [1, 3, 7, None])
def test_langchain_37409_and_37410_a_call_is_made_once_its_line_is_whole_not_before(
    chunk: int | None,
) -> None:
    seen = play(
        '1. work(name="one", seconds=1)\n2. work(name="two", seconds=10)\n3. join()',
        ANSWER,
        chunk=chunk,
        delay=0.1,
    )
    for step, line in (("1", "seconds=1)\n"), ("2", "seconds=10)\n")):
        (planned,) = [event for event in seen.of(StepPlanned) if event.step == step]
        said = "".join(event.text for event in seen.of(PlanDelta) if event.seq < planned.seq)
        assert line in said or chunk is None
    assert [step.args for step in seen.result.steps] == [
        {"name": "one", "seconds": 1},
        {"name": "two", "seconds": 10},
    ]


def test_librechat_pr_177_arguments_that_can_be_read_too_early_are_not_used() -> None:
    pieces = ("1. say(value=1", "2", '3)\n2. say(value="a', '", )\n3. join()')
    seen = play(Reply(chunks=pieces), ANSWER, delay=1.0)
    assert seen.result["1"] == Ok(123)
    assert seen.result["2"] == Ok("a")
    assert [event.args for event in seen.of(StepStarted)] == [{"value": 123}, {"value": "a"}]


def test_mastra_pr_24211_what_writes_or_needs_approval_does_not_start_early() -> None:
    asked: list[float] = []

    @tool(approve="always")
    async def look(name: str) -> str:
        """Look at something that one has to be allowed to see."""
        calls.append(f"look {name}")
        return name

    seen = play(
        '1. send(text="hello")\n2. look(name="file")\n3. work(name="read")\n4. join()',
        ANSWER,
        tools=[*TOOLS, look],
        approver=lambda request: asked.append(1) is None,
        chunk=1,
        delay=0.1,
    )
    sealed = seen.of(PlanFinished)[0]
    started = {event.step: event for event in seen.of(StepStarted)}
    assert started["3"].seq < sealed.seq
    assert started["1"].seq > sealed.seq
    waited = seen.of(StepAwaitingApproval)[0]
    assert waited.step == "2"
    assert waited.seq < started["2"].seq
    assert len(asked) == 1


def test_koda_pr_648_a_read_beside_a_long_write_overlaps_its_writing() -> None:
    text = "word " * 100
    seen = play(
        f'1. work(name="read", seconds=3)\n2. send(text="{text}")\n3. join()',
        ANSWER,
        chunk=1,
        delay=0.1,
    )
    (read,) = [step for step in seen.result.steps if step.task.id == "1"]
    written = seen.starts["2"]
    assert read.timing.end < written, "it was over before the other call was even written"


def test_eino_pr_934_what_follows_a_step_runs_too_while_the_plan_is_being_written() -> None:
    first = '1. work(name="a")\n2. work(name="b", after=$1)\n'
    seen = play(Reply(chunks=(first, "3. say(value=$2)\n", "4. join()")), ANSWER, delay=10.0)
    assert seen.starts == {"1": 0.0, "2": 1.0, "3": 10.0}
    assert seen.of(PlanFinished)[0].ts == 20.0


def test_hazard_readers_of_events_hear_of_a_call_before_it_is_made() -> None:
    order: list[str] = []

    @tool
    async def act() -> str:
        """Do something."""
        order.append("called")
        return "ok"

    def hook(event: Event) -> None:
        if isinstance(event, StepPlanned | StepStarted):
            order.append(event.type)

    async def main() -> None:
        model: LLM = ScriptedLLM(["1. act()\n2. join()", ANSWER], chunk=1, delay=0.1)
        await Agent(model, tools=[act]).run("Go.", sinks=[hook])

    run_virtual(main)
    assert order == ["step_planned", "step_started", "called"]


@pytest.mark.parametrize("reason", ["cut", "length"])
def test_hazard_a_stream_that_breaks_and_is_begun_anew_runs_nothing_twice(reason: str) -> None:
    plan = '1. work(name="a")\n2. work(name="b")\n3. send(text="c")\n4. join()'
    broken = Reply(plan[:45], reason="cut" if reason == "cut" else "length")
    play(broken, plan, ANSWER, chunk=1, delay=0.1)
    assert [call for call in calls if "over" not in call] == ["a", "b", "send c"]


def test_hazard_what_was_started_is_on_record_with_its_arguments() -> None:
    plan = '1. say(value={"a": [1]})\n2. work(name="x", after=$1.a)\n3. join()'
    seen = run_virtual(follow, ScriptedLLM([plan, ANSWER]))
    assert [(event.step, event.tool, event.args) for event in seen.of(StepStarted)] == [
        ("1", "say", {"value": {"a": [1]}}),
        ("2", "work", {"name": "x", "after": [1]}),
    ]
    assert [step["args"] for step in seen.result.to_json()["steps"]] == [
        {"value": {"a": [1]}},
        {"name": "x", "after": [1]},
    ]
