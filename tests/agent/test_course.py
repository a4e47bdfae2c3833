"""From request to plan to answer, in virtual time."""

from __future__ import annotations

import pytest

from llmcompiler.events import (
    AnswerDelta,
    PlanIgnored,
    StepStarted,
)
from llmcompiler.plan import Ok
from tests.agent.scenario import PLAN, run


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


def test_join_with_a_name_of_no_step_says_so_and_hides_nothing() -> None:
    done = run('1. price(item="pen")\n2. join($9)', "Answer: 3")
    assert done.last_texts()[-1] == "$1 = 3.0"
    (ignored,) = done.of(PlanIgnored)
    assert (ignored.text, ignored.reason) == ("$9", "join() names a step that there is not")


def test_join_may_name_a_step_that_waits_for_its_repair() -> None:
    done = run(
        '1. price(item="pen")\n2. prize(item="ruler")\n3. join($2)',
        '2. price(item="ruler")',
        "Answer: 5",
    )
    assert done.last_texts()[-1] == "$2 = 5.0"
    assert done.of(PlanIgnored) == []
