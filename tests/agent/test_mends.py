"""A step that failed is written again under its id, and nothing else of the plan is."""

from __future__ import annotations

from typing import Any

from llmcompiler import Agent, Limits, Plan, Task, tool
from llmcompiler.events import (
    PlanChanged,
    PlanIgnored,
    ReplanStarted,
    StepFailed,
    StepMending,
    StepSkipped,
    StepStarted,
)
from llmcompiler.plan import Failed, Ok, Skipped, TaskId
from llmcompiler.testing import ScriptedLLM, run_virtual
from llmcompiler.transcript import Mend
from tests.agent.scenario import TOOLS, calls, run

PLAN = (
    '1. price(item="ghost")\n2. price(item="pen")\n3. add(left=$1, right=$2)\n'
    "4. add(left=$3, right=1)\n5. join()"
)


def test_only_the_failed_step_is_written_again_and_what_waited_for_it_goes_on() -> None:
    done = run(PLAN, '1. price(item="host")\n2. join()', "Answer: 8")
    assert done.result.answer == "8"
    assert [done.result[step] for step in "1234"] == [Ok(4.0), Ok(3.0), Ok(7.0), Ok(8.0)]
    assert calls == ["ghost", "pen", "host", "4.0+3.0", "7.0+1.0"]
    assert done.of(StepFailed) == done.of(StepSkipped) == done.of(ReplanStarted) == []
    (mending,) = done.of(StepMending)
    assert (mending.step, mending.kind) == ("1", "ValueError")


def test_the_plan_in_the_result_and_an_event_show_what_was_changed() -> None:
    done = run(PLAN, '1. price(item="host")\n2. join()', "Answer: 8")
    (changed,) = done.of(PlanChanged)
    assert changed.steps == ("1",)
    assert changed.before == ('1. price(item="ghost")',)
    assert changed.after == ('1. price(item="host")',)
    assert done.result.plan["1"].args == {"item": "host"}
    assert len(done.result.plans) == 1


def test_the_model_reads_the_failure_and_what_has_finished_and_is_asked_for_that_line_alone() -> (
    None
):
    done = run(PLAN, '1. price(item="host")\n2. join()', "Answer: 8")
    texts = done.last_texts(1)
    assert "1 failed: ValueError: there is no such item" in texts[-1]
    assert "$2 = 3.0" in texts
    assert [type(entry) for entry in done.result.transcript.entries].count(Mend) == 1


def test_independent_steps_run_on_while_the_model_thinks_about_the_failed_one() -> None:
    plan = (
        '1. price(item="ghost")\n2. price(item="pen")\n3. add(left=$2, right=1)\n'
        "4. add(left=$3, right=1)\n5. add(left=$1, right=$4)\n6. join()"
    )
    done = run(plan, '1. price(item="host")\n2. join()', "Answer: ok", first_delay=2.0)
    started = {event.step: event.ts for event in done.of(StepStarted)}
    assert started["3"] == started["2"] + 1
    assert started["4"] == started["2"] + 2, "it waited for the model"
    assert started["5"] - done.of(PlanChanged)[0].ts == 1, "the mended step took a second"


def test_what_the_model_leaves_as_it_is_failed_for_good() -> None:
    done = run(PLAN, "1. join()", "Answer: unknown")
    assert done.result.answer == "unknown"
    assert isinstance(done.result["1"], Failed)
    assert done.result["3"] == Skipped("it needs $1", TaskId("1"))
    texts = done.last_texts()
    assert "$1 failed: ValueError: there is no such item" in texts, "it is told what became final"
    assert "$3 skipped: it needs $1" in texts


def test_an_answer_where_a_line_is_asked_for_leaves_the_failure_as_it_is() -> None:
    done = run(PLAN, "Answer: too early", "Answer: unknown")
    assert done.result.answer == "unknown"
    assert isinstance(done.result["1"], Failed)


def test_a_step_that_waits_for_the_failed_one_may_be_written_again_too() -> None:
    done = run(PLAN, '1. price(item="host")\n4. add(left=$3, right=10)\n5. join()', "Answer: 17")
    assert done.result["4"] == Ok(17.0)
    assert [event.steps for event in done.of(PlanChanged)] == [("1",), ("4",)]


def test_a_line_that_did_not_fail_is_not_written_again() -> None:
    done = run(PLAN, '2. price(item="ruler")\n1. price(item="host")\n3. join()', "Answer: 8")
    assert done.result["2"] == Ok(3.0)
    assert calls.count("ruler") == 0
    assert 'price(item="ruler")' in done.of(PlanIgnored)[0].text


def test_a_correction_that_is_wrong_itself_is_refused_once_more() -> None:
    done = run(PLAN, '1. prize(item="host")\n2. join()', '1. price(item="host")', "Answer: 8")
    assert done.result["1"] == Ok(4.0)
    assert "did you mean 'price'?" in done.last_texts(2)[-1]


def test_a_correction_must_give_what_the_steps_after_it_need() -> None:
    done = run(PLAN, '1. book(item="host")\n2. join()', '1. price(item="host")', "Answer: 8")
    assert done.result["1"] == Ok(4.0)
    assert "line 3 needs $1 to be a number" in done.last_texts(2)[-1]
    assert not any(call.startswith("book") for call in calls)


def test_the_same_call_once_more_is_no_correction_and_is_not_made() -> None:
    done = run(PLAN, '1. price(item="ghost")\n2. join()', "Answer: unknown")
    assert calls.count("ghost") == 1
    assert done.result["1"] == Failed("ValueError", "ValueError: there is no such item", 1)
    assert len(done.of(StepMending)) == 1


def test_a_call_that_failed_twice_in_the_same_way_is_not_made_a_third_time() -> None:
    again = 'Replan: once more.\n{n}. price(item="ghost")\n{m}. join()'
    done = run(
        '1. price(item="ghost")\n2. join()',
        again.format(n=2, m=3),
        again.format(n=3, m=4),
        "Answer: unknown",
        limits=Limits(mends=0),
    )
    assert calls.count("ghost") == 2
    outcome = done.result["3"]
    assert isinstance(outcome, Failed)
    assert outcome.attempts == 0
    assert "failed twice in the same way" in outcome.message


@tool
async def risky(word: str) -> str:
    """Fail for bad words."""
    if word.startswith("bad"):
        raise ValueError(word)
    return word


def test_so_many_turns_are_spent_on_mends_as_the_limit_says_and_no_more() -> None:
    async def main(mends: int, *replies: str) -> Any:
        llm = ScriptedLLM([*replies, "Answer: done"])
        agent = Agent(llm, tools=[risky], limits=Limits(mends=mends))
        result = await agent.run("x")
        llm.assert_complete()
        return result["1"]

    bad, worse, good = (f'1. risky(word="{word}")\n2. join()' for word in ("bad", "bad too", "ok"))
    assert run_virtual(main, 0, bad) == Failed("ValueError", "ValueError: bad", 1)
    assert run_virtual(main, 1, bad, worse) == Failed("ValueError", "ValueError: bad too", 1)
    assert run_virtual(main, 2, bad, worse, good) == Ok("ok")


def test_a_step_that_fails_while_the_plan_is_written_is_mended_when_it_is_whole() -> None:
    done = run(PLAN, '1. price(item="host")\n2. join()', "Answer: 8", chunk=1, delay=0.1)
    assert done.result["4"] == Ok(8.0)
    assert done.of(ReplanStarted) == []


def test_several_failures_at_once_are_put_to_the_model_together() -> None:
    plan = '1. price(item="ghost")\n2. price(item="ghost")\n3. join()'
    done = run(plan, '1. price(item="a")\n2. price(item="bb")\n3. join()', "Answer: ok")
    assert [event.step for event in done.of(StepMending)] == ["1", "2"]
    assert (done.result["1"], done.result["2"]) == (Ok(1.0), Ok(2.0))


def test_a_reference_that_leads_nowhere_is_mended_as_well() -> None:
    plan = '1. price(item="pen")\n2. price(item="${1.name}")\n3. join()'
    done = run(plan, '2. price(item="x${1}")\n3. join()', "Answer: ok")
    assert done.result["2"] == Ok(4.0)


def test_a_plan_that_was_handed_in_without_a_request_has_nobody_to_mend_it() -> None:
    async def main() -> None:
        plan = Plan((Task(TaskId("1"), "price", {"item": "ghost"}),))
        result = await Agent(ScriptedLLM([]), tools=TOOLS).execute(plan)
        assert isinstance(result["1"], Failed)

    run_virtual(main)


def test_the_time_limit_holds_while_a_failed_step_is_mended() -> None:
    done = run(
        PLAN, '1. price(item="host")', "Answer: late", limits=Limits(seconds=5), first_delay=3
    )
    assert done.result.answer == "late"
    assert isinstance(done.result["1"], Failed)
    assert "The time is up" in done.last_texts()[-1]


class Unused(ScriptedLLM):
    """A model that says that it is not used to mends."""

    mends = 0


def test_a_model_that_is_not_used_to_mends_is_asked_for_none_unless_a_limit_says_so() -> None:
    async def main(*replies: str, limits: Limits | None = None) -> Any:
        llm = Unused([*replies, "Answer: done"])
        result = await Agent(llm, tools=[risky], limits=limits).run("x")
        llm.assert_complete()
        return result["1"]

    async def asked() -> Any:
        good = '1. risky(word="ok")\n2. join()'
        return await main('1. risky(word="bad")\n2. join()', good, limits=Limits(mends=1))

    failed = run_virtual(main, '1. risky(word="bad")\n2. join()')
    assert failed == Failed("ValueError", "ValueError: bad", 1)
    assert run_virtual(asked) == Ok("ok")
