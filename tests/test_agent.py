"""The whole loop on a scripted model, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from llmcompiler import Agent, Limits, Plan, Result, RunContext, tool
from llmcompiler.errors import (
    EmptyRequestError,
    EndpointError,
    LLMCompilerError,
    PlanError,
    ReplyError,
    RunTimeoutError,
)
from llmcompiler.events import (
    AnswerDelta,
    Event,
    PlanIgnored,
    PlanStarted,
    ReplanStarted,
    StepPlanned,
    StepRejected,
    StepStarted,
)
from llmcompiler.messages import LLM, Prompt
from llmcompiler.plan import Cancelled, Failed, Ok, Ref, Skipped, Task, TaskId
from llmcompiler.roles import TurnItem, TurnRequest
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual

calls: list[str] = []


@pytest.fixture(autouse=True)
def _forget_calls() -> None:
    calls.clear()


@tool
async def price(item: str) -> float:
    """Look a price up.

    Args:
        item: What to look up.
    """
    calls.append(item)
    await anyio.sleep(1)
    if item == "ghost":
        raise ValueError("there is no such item")
    return float(len(item))


@tool
async def add(left: float, right: float) -> float:
    """Add two numbers."""
    calls.append(f"{left}+{right}")
    await anyio.sleep(1)
    return left + right


@tool(effects="write")
async def book(item: str) -> str:
    """Book an item."""
    calls.append(f"book {item}")
    return f"booked {item}"


TOOLS = [price, add, book]
PLAN = '1. price(item="pen")\n2. price(item="ruler")\n3. add(left=$1, right=$2)\n4. join()'


class Outcome:
    """What a run came to, with what its model was asked and what was seen on the way."""

    def __init__(self, result: Result[Any], llm: ScriptedLLM, events: Sequence[Event]) -> None:
        self.result = result
        self.prompts: list[Prompt] = list(llm.prompts)
        self.events = events

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def last_texts(self, prompt: int = -1) -> list[str]:
        return [message.text for message in self.prompts[prompt].messages]


def run(
    *replies: str | Reply,
    request: str = "What do they cost?",
    limits: Limits | None = None,
    output_type: Any = str,
    **scripted: Any,
) -> Outcome:
    """Run to the end, however it ends; every reply must have been asked for."""

    async def main() -> Outcome:
        llm = ScriptedLLM(list(replies), **scripted)
        agent = Agent(llm, tools=TOOLS, limits=limits, output_type=output_type)
        events: list[Event] = []
        async with agent.run_stream(request, sinks=[events.append]) as stream:
            async for _ in stream.events():
                pass
        llm.assert_complete()
        return Outcome(stream.result, llm, events)

    return run_virtual(main)


def test_a_greeting_needs_no_tool_and_no_second_call() -> None:
    done = run("Answer: Hello!")
    assert (done.result.status, done.result.answer, done.result.plans) == ("finished", "Hello!", ())
    assert len(done.prompts) == 1


def test_a_request_becomes_a_plan_a_graph_and_an_answer() -> None:
    done = run(PLAN, "Answer: 8 in all.")
    assert done.result.answer == "8 in all."
    assert [step.outcome for step in done.result.steps] == [Ok(3.0), Ok(5.0), Ok(8.0)]
    assert done.result.critical_path.steps == ("1", "3") or done.result.critical_path.steps == (
        "2",
        "3",
    )
    assert round(done.result.seconds, 3) == 2.0
    assert round(done.result.speedup, 3) == 1.5
    assert done.last_texts()[-3:] == ["$1 = 3.0", "$2 = 5.0", "$3 = 8.0"]


def test_the_first_step_runs_while_the_plan_is_still_being_written() -> None:
    done = run(PLAN, "Answer: ok", chunk=1, delay=0.1)
    started = {event.step: event.ts for event in done.of(StepStarted)}
    first_line = len('1. price(item="pen")\n') * 0.1
    assert started["1"] == pytest.approx(first_line, abs=0.11)


def test_however_the_stream_is_cut_into_chunks_every_line_is_run() -> None:
    """Defects 10 and 11 of the original: chunks with several lines lost tasks and blanks."""
    plan = '1. price(item="New York city")\n2. price(item="b")\n3. join()'
    for chunk in (None, 1, 2, 3, 7, 50):
        calls.clear()
        done = run(plan, "Answer: ok", chunk=chunk)
        assert calls == ["New York city", "b"]
        assert len(done.result.steps) == 2


def test_the_answer_is_streamed_from_its_first_word() -> None:
    done = run("Answer: one two three", chunk=4, delay=1.0)
    deltas = done.of(AnswerDelta)
    assert "".join(delta.text for delta in deltas) == "one two three"
    assert len(deltas) > 2
    assert deltas[0].ts < deltas[-1].ts


def test_an_answer_may_hold_parentheses_and_several_lines() -> None:
    """Defect 23: the answer ended at the first closing parenthesis."""
    text = "Arthur (magazine) Co\nis older.\n\n- Replan the trip (really)"
    assert run(f"Answer: {text}").result.answer == text


def test_a_failed_step_is_an_observation_and_the_joiner_replans() -> None:
    done = run(
        '1. price(item="ghost")\n2. price(item="pen")\n3. add(left=$1, right=$2)\n4. join()',
        'Replan: $1 failed.\n4. price(item="host")\n5. add(left=$4, right=$2)\n6. join()',
        "Answer: 7",
    )
    assert done.result.answer == "7"
    assert done.result["1"] == Failed("ValueError", "ValueError: there is no such item", 1)
    assert done.result["3"] == Skipped("it needs $1", TaskId("1"))
    assert done.result["5"] == Ok(7.0)
    assert calls.count("pen") == 1, "what had finished was run again"
    (replan,) = done.of(ReplanStarted)
    assert (replan.replan, replan.reason) == (1, "$1 failed.")
    assert "$3 skipped: it needs $1" in done.last_texts(1)


def test_a_replan_after_success_refers_to_earlier_results_and_continues_numbering() -> None:
    done = run(
        '1. price(item="pen")\n2. join()',
        "2. add(left=$1, right=10)\n3. join()",
        "Answer: 13",
    )
    assert done.result["2"] == Ok(13.0)
    assert [len(plan) for plan in done.result.plans] == [1, 1]
    assert done.of(ReplanStarted)[0].reason == ""


def test_at_the_limit_of_replans_the_next_turn_must_answer_and_is_told_so() -> None:
    ghost = '{n}. price(item="ghost")\n{m}. join()'
    done = run(
        ghost.format(n=1, m=2),
        "Replan: once more.\n" + ghost.format(n=2, m=3),
        "Answer: It could not be found.",
        limits=Limits(replans=1),
    )
    assert done.result.answer == "It could not be found."
    assert done.last_texts()[-1] == "No replans are left: answer with what there is."


def test_no_replans_means_one_plan_and_an_answer() -> None:
    """Defect 24: max_replans of 0 crashed."""
    done = run('1. price(item="pen")\n2. join()', "Answer: 3", limits=Limits(replans=0))
    assert done.result.answer == "3"


def test_a_plan_where_the_answer_is_due_is_refused_and_not_run() -> None:
    done = run(
        '1. price(item="pen")\n2. join()',
        '2. price(item="ruler")\n3. join()',
        "Answer: 3",
        limits=Limits(replans=0),
    )
    assert done.result.answer == "3"
    assert calls == ["pen"]


def test_a_model_that_never_answers_at_the_limit_is_a_typed_error() -> None:
    more = '2. price(item="ruler")\n3. join()'
    done = run('1. price(item="pen")\n2. join()', more, more, limits=Limits(replans=0))
    assert isinstance(done.result.error, ReplyError)
    assert done.result.error.text == more
    assert done.result["1"] == Ok(3.0)


def test_a_reply_that_fits_no_form_is_retried_once_with_the_complaint() -> None:
    done = run("I think so.", "Answer: Yes.")
    assert done.result.answer == "Yes."
    assert done.last_texts()[-1].startswith("That was neither a plan nor an answer")
    assert [event.purpose for event in done.of(PlanStarted)] == ["plan", "retry"]


def test_a_second_reply_that_fits_no_form_is_an_error_that_carries_the_text() -> None:
    done = run("I think so.", "Really.")
    assert done.result.status == "failed"
    assert isinstance(done.result.error, ReplyError)
    assert done.result.error.text == "Really."


@pytest.mark.parametrize("reply", ["", "   \n", "Answer:", "Answer:   "])
def test_an_empty_answer_is_never_given(reply: str) -> None:
    done = run(reply, "Answer: Something.")
    assert done.result.answer == "Something."


def test_an_unknown_tool_is_repaired_while_the_others_run() -> None:
    """Defect 3: an unknown tool hung the run."""
    done = run(
        '1. price(item="pen")\n2. prize(item="ruler")\n3. add(left=$1, right=$2)\n4. join()',
        '2. price(item="ruler")',
        "Answer: 8",
        delay=0.2,
    )
    assert done.result["3"] == Ok(8.0)
    (rejected,) = done.of(StepRejected)
    assert (rejected.step, rejected.line) == ("2", 2)
    assert rejected.message == "there is no tool 'prize'; did you mean 'price'?"
    assert done.last_texts(1)[-1] == (
        "Line 2 was rejected: there is no tool 'prize'; did you mean 'price'?\n"
        "Write only the corrected lines."
    )
    assert calls.count("pen") == 1


def test_after_two_repair_turns_in_a_row_a_line_is_given_up_and_the_joiner_sees_it() -> None:
    done = run(
        '1. price(item="pen")\n2. prize(item="x")\n3. add(left=$1, right=$2)\n4. join()',
        '2. prise(item="x")',
        '2. prcie(itm="x")',
        "Answer: Only the pen.",
    )
    assert done.result.answer == "Only the pen."
    given_up = done.result["2"]
    assert isinstance(given_up, Failed)
    assert given_up.kind == "PlanError"
    assert done.result["3"] == Skipped("it needs $2", TaskId("2"))
    assert any(text.startswith("$2 failed: there is no tool") for text in done.last_texts())


def test_a_replan_may_refer_to_a_line_that_was_given_up_and_is_skipped() -> None:
    done = run(
        '1. prize(item="x")\n2. join()',
        '1. prize(item="x")',
        '1. prize(item="x")',
        "Replan: again\n2. add(left=$1, right=1)\n3. join()",
        "Answer: no",
    )
    assert done.result["2"] == Skipped("it needs $1", TaskId("1"))


def test_a_line_that_cannot_be_read_goes_back_with_its_place() -> None:
    """Defect 12: such a line was dropped in silence."""
    done = run(
        '1. price(item="pen")\n2. price(item=)\n3. join()', '2. price(item="b")', "Answer: ok"
    )
    assert done.result["2"] == Ok(1.0)
    (rejected,) = done.of(StepRejected)
    assert rejected.line == 2
    assert rejected.column > 1


def test_a_duplicate_id_does_not_overwrite_a_result() -> None:
    """Defect 14: both tools ran and one result was lost."""
    done = run(
        '1. price(item="pen")\n1. price(item="ruler")\n2. join()',
        '2. price(item="ruler")',
        "Answer: ok",
    )
    assert (done.result["1"], done.result["2"]) == (Ok(3.0), Ok(5.0))


def test_ids_may_have_gaps_and_begin_anywhere() -> None:
    """Defect 13: such plans raised KeyError."""
    done = run('7. price(item="pen")\n9. add(left=$7, right=1)\n12. join()', "Answer: 4")
    assert done.result["9"] == Ok(4.0)


def test_a_cut_plan_goes_on_and_a_started_tool_never_runs_twice() -> None:
    done = run(
        Reply('1. price(item="pen")\n2. price(item="ru', reason="cut"),
        '1. price(item="pen")\n2. price(item="ruler")\n3. join()',
        "Answer: ok",
    )
    assert calls == ["pen", "ruler"]
    assert done.last_texts(1)[-1] == "The plan was cut off after line 1: go on from there."
    assert [event.purpose for event in done.of(PlanStarted)] == ["plan", "continue", "join"]


def test_a_plan_cut_by_length_goes_on_as_well() -> None:
    done = run(
        Reply('1. price(item="pen")\n', reason="length"),
        '2. price(item="ruler")\n3. join()',
        "Answer: ok",
    )
    assert calls == ["pen", "ruler"]
    assert done.result.status == "finished"


def test_a_stream_that_breaks_off_after_join_is_whole() -> None:
    done = run(Reply('1. price(item="pen")\n2. join()', reason="cut"), "Answer: 3")
    assert len(done.prompts) == 2
    assert done.result.answer == "3"


def test_a_cut_answer_goes_on_where_it_stopped() -> None:
    done = run(Reply("Answer: one two", reason="cut"), "Answer: three")
    assert done.result.answer is not None
    assert done.result.answer.startswith("one two")
    assert done.result.answer.endswith("three")


def test_an_answer_that_is_cut_again_and_again_is_an_error_with_what_there_is() -> None:
    done = run(*[Reply("Answer: one", reason="length")] * 4)
    assert isinstance(done.result.error, ReplyError)
    assert "cut off" in str(done.result.error)


def test_a_missing_join_is_supplied_and_reported() -> None:
    done = run('1. price(item="pen")', "Answer: 3")
    assert done.result.answer == "3"
    assert [event.reason for event in done.of(PlanIgnored)] == ["a missing join() was supplied"]


def test_what_follows_join_is_ignored_with_an_event() -> None:
    done = run('1. price(item="pen")\n2. join()\n3. price(item="x")\n', "Answer: 3")
    assert calls == ["pen"]
    assert any("price" in event.text for event in done.of(PlanIgnored))


def test_a_plan_of_join_alone_asks_for_the_answer() -> None:
    done = run("1. join()", "Answer: Nothing to do.")
    assert done.result.answer == "Nothing to do."


def test_join_with_references_shows_the_joiner_those_results_alone() -> None:
    done = run(PLAN.replace("join()", "join($3)"), "Answer: 8")
    assert done.last_texts()[-1] == "$3 = 8.0"
    assert not any(text.startswith("$1 =") for text in done.last_texts())


def test_a_write_never_starts_before_the_plan_is_sealed() -> None:
    done = run(
        '1. book(item="a")\n2. price(item="pen")\n3. join()',
        "Answer: ok",
        chunk=1,
        delay=0.1,
    )
    started = {event.step: event.ts for event in done.of(StepStarted)}
    assert started["1"] > started["2"]


def test_a_write_waits_for_a_repair_as_well() -> None:
    done = run(
        '1. book(item="a")\n2. prize(item="x")\n3. join()', '2. price(item="x")', "Answer: ok"
    )
    order = [(type(e), e.step) for e in done.events if isinstance(e, StepPlanned | StepStarted)]
    assert order.index((StepStarted, TaskId("1"))) > order.index((StepPlanned, TaskId("2")))


def test_a_write_of_a_replan_waits_for_that_plan() -> None:
    done = run(
        '1. price(item="pen")\n2. join()',
        'Replan: book\n2. book(item="a")\n3. price(item="b")\n4. join()',
        "Answer: ok",
        chunk=1,
        delay=0.1,
    )
    started = {event.step: event.ts for event in done.of(StepStarted)}
    assert started["2"] > started["3"]


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


def test_output_of_a_type_is_read_from_the_answer() -> None:
    class Sum(BaseModel):
        total: float

    done = run(PLAN, 'Answer: {"total": 8}', output_type=Sum)
    assert done.result.output == Sum(total=8)


def test_output_that_is_not_of_the_type_is_asked_for_once_more() -> None:
    done = run('Answer: "many"', "Answer: 3", output_type=int)
    assert done.result.output == 3
    assert done.result.answer == "3"
    assert "not of the type asked for" in done.last_texts()[-1]


def test_the_conversation_only_grows_and_each_prompt_continues_the_one_before() -> None:
    done = run(
        '1. price(item="ghost")\n2. prize(item="b")\n3. join()',
        '2. price(item="b")',
        'Replan: again\n3. price(item="c")\n4. join()',
        "Answer: ok",
    )
    for before, after in pairwise(done.prompts):
        assert after.messages[: len(before.messages)] == before.messages


def test_what_stands_before_the_first_request_is_the_same_for_every_request() -> None:
    first = run("Answer: a", request="One?")
    second = run("Answer: b", request="Two?")
    assert first.prompts[0].messages[0] == second.prompts[0].messages[0]
    assert first.prompts[0].messages[0].kind == "rules"


def test_a_chat_goes_on_from_the_transcript_and_numbers_begin_at_one_again() -> None:
    async def main() -> None:
        llm = ScriptedLLM(
            [
                '1. price(item="pen")\n2. join()',
                "Answer: 3",
                '1. price(item="ruler")\n2. join()',
                "Answer: 5",
            ]
        )
        agent = Agent(llm, tools=TOOLS)
        first = await agent.run("The pen?")
        second = await agent.run("And the ruler?", history=first.transcript)
        assert second["1"] == Ok(5.0)
        texts = [message.text for message in llm.prompts[2].messages]
        assert texts[-1] == "And the ruler?"
        assert "Answer: 3" in texts

    run_virtual(main)


def test_what_a_tool_asks_of_the_model_counts_in_the_runs_usage() -> None:
    @tool
    async def summarise(ctx: RunContext[None], text: str) -> str:
        """Summarise."""
        return await ctx.ask(f"Summarise: {text}")

    async def main() -> None:
        llm = ScriptedLLM(['1. summarise(text="long")\n2. join()', "short", "Answer: done"])
        result = await Agent(llm, tools=[summarise]).run("Summarise it")
        assert result["1"] == Ok("short")
        assert result.usage.model_calls == 3

    run_virtual(main)


def test_a_joiner_of_its_own_reads_the_results() -> None:
    async def main() -> None:
        planner = ScriptedLLM(['1. price(item="pen")\n2. join()'])
        joiner = ScriptedLLM(["Answer: 3"])
        result = await Agent(planner, joiner=joiner, tools=TOOLS).run("The pen?")
        assert result.answer == "3"
        joiner.assert_complete()

    run_virtual(main)


def test_plan_runs_nothing_and_is_repaired() -> None:
    async def main() -> Plan:
        llm = ScriptedLLM(['1. prize(item="pen")\n2. join()', '1. price(item="pen")'])
        return await Agent(llm, tools=TOOLS).plan("The pen?")

    plan = run_virtual(main)
    assert [(task.id, task.tool) for task in plan] == [("1", "price")]
    assert plan.request == "The pen?"
    assert calls == []


def test_a_plan_can_be_executed_with_and_without_a_request() -> None:
    plan = Plan(
        (
            Task(TaskId("sum"), "add", {"left": Ref(TaskId("a")), "right": 1.0}),
            Task(TaskId("a"), "price", {"item": "pen"}),
        )
    )

    async def main() -> tuple[Result[str], Result[str]]:
        llm = ScriptedLLM(["Answer: 4"])
        agent = Agent(llm, tools=TOOLS)
        return await agent.execute(plan), await agent.execute(plan, "What is it?")

    silent, answered = run_virtual(main)
    assert (silent["sum"], silent.answer, silent.usage.model_calls) == (Ok(4.0), None, 0)
    assert answered.answer == "4"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([("a", "add", {"left": Ref(TaskId("b")), "right": 1.0}), ("b", "add", {"left": Ref(TaskId("a")), "right": 1.0})], "circle"),
        ([("a", "add", {"left": Ref(TaskId("c")), "right": 1.0})], "no task 'c'"),
        ([("a", "prize", {"item": "x"})], "did you mean 'price'"),
        ([("a", "price", {"item": "x"}), ("a", "price", {"item": "y"})], "two tasks"),
    ],
)  # fmt: skip
def test_an_illegal_plan_is_refused_before_anything_runs(
    tasks: list[tuple[str, str, dict[str, Any]]], message: str
) -> None:
    plan = Plan(tuple(Task(TaskId(key), name, args) for key, name, args in tasks))

    async def main() -> None:
        await Agent(ScriptedLLM([]), tools=TOOLS).execute(plan)

    with pytest.raises(PlanError, match=message):
        run_virtual(main)
    assert calls == []


def test_override_holds_for_the_block_alone() -> None:
    async def main() -> None:
        agent = Agent(ScriptedLLM(["Answer: real"]), tools=TOOLS)
        with agent.override(model=ScriptedLLM(["Answer: double"]), tools=[]):
            assert (await agent.run("x")).answer == "double"
        assert (await agent.run("x")).answer == "real"
        assert len(agent.tools) == 3

    run_virtual(main)


def test_an_empty_request_is_refused_before_the_model_is_asked() -> None:
    async def main() -> None:
        await Agent(ScriptedLLM([]), tools=TOOLS).run("  ")

    with pytest.raises(EmptyRequestError):
        run_virtual(main)


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


def test_two_runs_of_one_agent_do_not_mix() -> None:
    async def main() -> None:
        llm = ScriptedLLM(
            {
                "pens": '1. price(item="pen")\n2. join()',
                "rulers": '1. price(item="ruler")\n2. join()',
                "$1 = 3.0": "Answer: 3",
                "$1 = 5.0": "Answer: 5",
            }
        )
        agent = Agent(llm, tools=TOOLS)
        answers: dict[str, str | None] = {}

        async def ask(request: str) -> None:
            answers[request] = (await agent.run(request)).answer

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "pens")
            tasks.start_soon(ask, "rulers")
        assert answers == {"pens": "3", "rulers": "5"}

    run_virtual(main)


def test_the_json_of_a_result_has_every_part_of_the_contract() -> None:
    shown = run(
        '1. price(item="ghost")\n2. price(item="pen")\n3. price(item="is ${2}")\n4. join()',
        "Answer: some",
    ).result.to_json()
    assert shown["answer"] == "some"
    assert shown["status"] == "finished"
    assert shown["error"] is None
    assert shown["plans"][0][2] == {
        "id": "3",
        "tool": "price",
        "args": {"item": {"template": "is ${2}"}},
        "needs": ["2"],
    }
    by_id = {step["id"]: step for step in shown["steps"]}
    assert by_id["1"]["status"] == "failed"
    assert by_id["1"]["error"] == {
        "type": "ValueError",
        "message": "ValueError: there is no such item",
    }
    assert by_id["3"]["args"] == {"item": "is 3.0"}
    assert (by_id["3"]["output"], by_id["3"]["start"], by_id["3"]["end"]) == (6.0, 1.0, 2.0)
    assert set(shown["usage"]) == {
        "prompt_tokens",
        "reused_tokens",
        "completion_tokens",
        "model_calls",
    }
    assert shown["timing"] == {"total": 2.0, "critical_path": 2.0, "sum_of_steps": 3.0}
