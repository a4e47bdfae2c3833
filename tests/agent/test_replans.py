"""Replans: after a failure, after success, at the limit."""

from __future__ import annotations

from llmcompiler import Limits
from llmcompiler.errors import (
    ReplyError,
)
from llmcompiler.events import (
    ReplanStarted,
    StepStarted,
)
from llmcompiler.plan import Failed, Ok, Skipped, TaskId
from tests.agent.scenario import calls, run


def test_a_failed_step_is_an_observation_and_the_joiner_replans() -> None:
    done = run(
        '1. price(item="ghost")\n2. price(item="pen")\n3. add(left=$1, right=$2)\n4. join()',
        'Replan: $1 failed.\n4. price(item="host")\n5. add(left=$4, right=$2)\n6. join()',
        "Answer: 7",
        limits=Limits(mends=0),
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
        limits=Limits(replans=1, mends=0),
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


def test_a_replan_may_refer_to_a_line_that_was_given_up_and_is_skipped() -> None:
    done = run(
        '1. prize(item="x")\n2. join()',
        '1. prize(item="x")',
        '1. prize(item="x")',
        "Replan: again\n2. add(left=$1, right=1)\n3. join()",
        "Answer: no",
    )
    assert done.result["2"] == Skipped("it needs $1", TaskId("1"))


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


def test_a_bare_join_after_the_results_asks_for_the_answer_and_cannot_go_on_for_ever() -> None:
    done = run('1. price(item="pen")\n2. join()', "2. join()", "Answer: 3")
    assert done.result.answer == "3"
    again = run('1. price(item="pen")\n2. join()', "2. join()", "2. join()", "2. join()")
    assert isinstance(again.result.error, ReplyError)


def test_a_result_that_join_passed_over_is_told_when_a_later_plan_asks_for_it() -> None:
    done = run(
        '1. price(item="pen")\n2. price(item="ruler")\n3. join($2)',
        'Replan: the pen too.\n3. price(item="x")\n4. join($1, $3)',
        "Replan: and one more.\n4. add(left=$3, right=0)\n5. join()",
        "Answer: ok",
        chunk=1,  # a step that has started is not dropped
        delay=0.1,
    )
    told = [text for text in done.last_texts() if text.startswith("$")]
    assert told == ["$2 = 5.0", "$1 = 3.0", "$3 = 1.0", "$4 = 1.0"]
