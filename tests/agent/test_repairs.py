"""Turns that are not quite right: forms, refused lines, cut streams."""

from __future__ import annotations

import pytest

from llmcompiler import Agent, Plan, Result
from llmcompiler.errors import (
    PlanError,
    ReplyError,
)
from llmcompiler.events import (
    PlanIgnored,
    PlanStarted,
    StepPlanned,
    StepRejected,
    StepStarted,
)
from llmcompiler.plan import Failed, Ok, Ref, Skipped, Task, TaskId
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from tests.agent.scenario import TOOLS, calls, run


def test_however_the_stream_is_cut_into_chunks_every_line_is_run() -> None:
    """Defects 10 and 11 of the original: chunks with several lines lost tasks and blanks."""
    plan = '1. price(item="New York city")\n2. price(item="b")\n3. join()'
    for chunk in (None, 1, 2, 3, 7, 50):
        calls.clear()
        done = run(plan, "Answer: ok", chunk=chunk)
        assert calls == ["New York city", "b"]
        assert len(done.result.steps) == 2


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


def test_a_write_waits_for_a_repair_as_well() -> None:
    done = run(
        '1. book(item="a")\n2. prize(item="x")\n3. join()', '2. price(item="x")', "Answer: ok"
    )
    order = [(type(e), e.step) for e in done.events if isinstance(e, StepPlanned | StepStarted)]
    assert order.index((StepStarted, TaskId("1"))) > order.index((StepPlanned, TaskId("2")))


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


def test_a_line_said_again_in_other_words_never_runs_twice() -> None:
    done = run(
        Reply('1. price("pen")\n2. add(left="$1", right=1)\n3. price("ru', reason="cut"),
        '1. price("pen")\n2. add("$1", 1)\n3. price("ruler")\n4. join()',
        "Answer: ok",
    )
    assert calls == ["pen", "ruler", "3.0+1.0"]
    assert [event.reason for event in done.of(PlanIgnored)].count("this step is known already") == 2


def test_a_repair_turn_that_repairs_nothing_costs_its_line_and_not_the_run() -> None:
    done = run(
        '1. price(item="pen")\n2. prize(item="x")\n3. join()',
        "Answer: I cannot mend that.",
        "I really cannot.",
        "Answer: The pen is 3.",
    )
    assert done.result.answer == "The pen is 3."
    assert (done.result["1"], type(done.result["2"])) == (Ok(3.0), Failed)


def test_a_cut_plan_that_had_been_at_its_end_is_taken_as_it_is() -> None:
    done = run(Reply('1. book(item="a")\n', reason="length"), "That was all.", "Answer: Booked it.")
    assert done.result.answer == "Booked it."
    assert calls == ["book a"]


def test_nothing_is_written_for_a_plan_that_was_cut_to_the_last() -> None:
    done = run(
        Reply('1. book(item="a")\n2. price(item="pen")\n', reason="cut"),
        Reply('3. book(item="${2}")\n', reason="cut"),
        Reply("", reason="cut"),
        'Replan: once more\n4. book(item="b")\n5. join()',
        "Answer: Only b.",
    )
    skipped = Skipped("it writes, and its plan was cut off before its end")
    assert (done.result["1"], done.result["3"]) == (skipped, skipped)
    assert done.result["2"] == Ok(3.0)
    assert calls == ["pen", "book b"]


def test_a_repair_that_is_cut_after_the_plan_is_whole_is_not_gone_on_with() -> None:
    done = run(
        '1. price(item="pen")\n2. prize(item="x")\n3. price(item="z")\n4. join()',
        Reply('2. price(item="x")\n', reason="length"),
        "Answer: ok",
    )
    assert done.result.answer == "ok"


def test_going_on_from_a_cut_counts_from_the_highest_line_and_not_from_the_last_repair() -> None:
    done = run(
        '1. price(item="pen")\n2. prize(item="x")\n3. price(item="z")\n',
        Reply('2. price(item="x")\n', reason="length"),
        "join()",
        "Answer: ok",
    )
    assert done.last_texts(2)[-1] == "The plan was cut off after line 3: go on from there."


@pytest.mark.parametrize("last", ['1. prize(item="pen")', Reply('1. price(item="p', reason="cut")])
def test_a_plan_that_is_not_repaired_is_not_handed_out(last: str | Reply) -> None:
    async def main() -> None:
        bad = '1. prize(item="pen")\n2. add(left=$1, right=1)\n3. join()'
        await Agent(ScriptedLLM([bad, last, last]), tools=TOOLS).plan("The pen?")

    with pytest.raises(PlanError, match="did you mean 'price'"):
        run_virtual(main)


def test_a_plan_cut_off_again_and_again_is_not_handed_out() -> None:
    async def main() -> None:
        cut = [Reply(f"{n}. price(item='pen')\n", reason="length") for n in (1, 2, 3)]
        await Agent(ScriptedLLM(cut), tools=TOOLS).plan("The pen?")

    with pytest.raises(ReplyError, match="cut off"):
        run_virtual(main)
