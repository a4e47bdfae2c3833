"""What goes wrong only when two things come together: a mend, a repair, a pause, a limit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from llmcompiler import Agent, Limits, tool
from llmcompiler.errors import ContextLengthError, EndpointError
from llmcompiler.events import (
    LimitReached,
    PlanChanged,
    PlanFinished,
    PlanIgnored,
    ReplanStarted,
    StepAwaitingApproval,
    StepPlanned,
    StepStarted,
)
from llmcompiler.plan import Failed, Ok, Skipped, TaskId
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from llmcompiler.transcript import Rejected
from llmcompiler_planners.steps import steps_of as written_so_far
from tests.agent.approving import TOOLS as APPROVED
from tests.agent.approving import Asked, Watched, no, steps_of, yes
from tests.agent.scenario import calls, run

PLAN = (
    '1. price(item="ghost")\n2. price(item="pen")\n3. add(left=$1, right=$2)\n'
    "4. add(left=$3, right=1)\n5. join()"
)
MEND = '1. price(item="host")\n'
LATE = "# " + "x" * 12 + "\n"  # at a tenth of a second a letter longer than what it comes after


# -- mends ------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [1, 5], ids=["while it runs", "when it is over"])
def test_a_step_that_has_begun_since_the_failed_one_was_mended_is_not_changed(late: int) -> None:
    mend = f"{MEND}{LATE * late}3. add(left=$1, right=10)\n5. join()"
    done = run(PLAN, mend, "Answer: 8", chunk=1, delay=0.1)
    assert done.result["4"] == Ok(8.0)
    assert calls.count("4.0+3.0") == 1
    assert [event.steps for event in done.of(PlanChanged)] == [("1",)]
    ignored = done.of(PlanIgnored)[-1]
    assert ignored.text == "3. add(left=$1, right=10)"
    assert ignored.reason == "this step waits for none that failed any more"


def test_a_step_that_waits_for_one_that_has_begun_may_still_be_changed() -> None:
    mend = f"{MEND}{LATE}4. add(left=$3, right=10)\n5. join()"
    done = run(PLAN, mend, "Answer: 17", chunk=1, delay=0.04)
    assert done.result["4"] == Ok(17.0)
    assert [event.steps for event in done.of(PlanChanged)] == [("1",), ("4",)]


def test_a_changed_line_after_the_failed_one_is_corrected_like_that_one() -> None:
    mend = f"{MEND}3. ad(left=$1, right=10)\n5. join()"
    done = run(PLAN, mend, "3. add(left=$1, right=10)\njoin()", "Answer: 15")
    assert done.result["4"] == Ok(15.0)
    assert [event.steps for event in done.of(PlanChanged)] == [("1",), ("3",)]


def test_a_line_after_the_failed_one_that_says_the_same_is_not_called_failed() -> None:
    done = run(PLAN, f"{MEND}3. add(left=$1, right=$2)\n5. join()", "Answer: 8")
    assert [event.reason for event in done.of(PlanIgnored)] == ["this step is known already"]


def test_a_line_without_a_number_is_no_longer_asked_for_once_the_step_is_mended() -> None:
    done = run(PLAN, 'price(item="host"\n', f"{MEND}join()", "Answer: 8")
    assert done.result.answer == "8"


def test_what_nobody_will_correct_any_more_is_not_asked_for() -> None:
    wrong = '1. prize(item="host")\njoin()'
    done = run(PLAN, wrong, wrong, "Answer: unknown", limits=Limits(repairs=1))
    assert [type(entry) for entry in done.result.transcript.entries].count(Rejected) == 1
    assert isinstance(done.result["1"], Failed)


def test_a_model_that_is_gone_in_a_mend_leaves_the_plan_as_it_was() -> None:
    gone = EndpointError("u", "connection", "is gone")
    done = run(PLAN, Reply('1. prize(item="host")\n', error=gone))
    assert done.result.error is gone
    assert steps_of(done.result) == {"1": "failed", "2": "ok", "3": "cancelled", "4": "cancelled"}
    assert len(done.of(PlanFinished)) == len(done.result.plans) == 1


def test_a_mend_that_was_cut_keeps_the_lines_that_were_whole() -> None:
    done = run(PLAN, Reply(f"{MEND}3. add(le", "length"), "Answer: 8")
    assert done.result["4"] == Ok(8.0)
    done = run(PLAN, Reply('1. price(item="ho', "cut"), "Answer: unknown")
    assert isinstance(done.result["1"], Failed)


def test_a_step_that_is_over_because_of_another_is_not_brought_back_by_a_mend() -> None:
    watched = Watched(
        '1. look(item="")\n2. fetch(item="a")\n3. look(item="${1} ${2}")\n4. join()',
        '1. look(item="abc")\n3. look(item="x ${1}")\njoin()',
        "Answer: no",
        approver=Asked(False),
        limits=Limits(),
    )
    result = run_virtual(watched.run)
    assert steps_of(result) == {"1": "ok", "2": "failed", "3": "skipped"}
    assert [event.steps for event in watched.of(PlanChanged)] == [("1",)]


def test_of_two_failed_steps_one_may_be_written_to_need_the_other() -> None:
    plan = '1. price(item="ghost")\n2. price(item="ghost")\n3. join()'
    done = run(plan, '2. add(left=$1, right=1)\n1. price(item="pen")\njoin()', "Answer: 4")
    assert done.result["2"] == Ok(4.0)
    done = run(plan, "2. add(left=$1, right=1)\njoin()", "Answer: unknown")
    assert isinstance(done.result["1"], Failed)
    assert done.result["2"] == Skipped("it needs $1", TaskId("1"))


def test_a_line_that_was_set_aside_changes_nothing_in_what_the_grammar_knows() -> None:
    done = run(PLAN, f'{MEND}2. book(item="pen")\njoin()', "Answer: 8")
    steps = written_so_far(done.result.transcript).tasks
    assert steps[TaskId("2")].tool == "price"
    assert steps[TaskId("1")].args == {"item": "host"}


# -- data flow --------------------------------------------------------------------------------


def test_a_refused_line_that_is_corrected_to_read_a_page_has_the_mail_after_it_approved() -> None:
    plan = '1. read_page(link="x")\n2. mail(to="me", text="${1}")\n3. join()'
    asked = Asked(False)
    watched = Watched(plan, '1. read_page(url="x")\njoin()', "Answer: no", approver=asked)
    result = run_virtual(watched.run)
    assert asked.reasons == ["untrusted text from $1 (read_page) flows into $2 (mail)"]
    assert steps_of(result) == {"1": "ok", "2": "failed"}
    assert result.plan["2"].policy.approve == asked.reasons[0]


def test_a_mail_that_was_set_aside_is_approved_when_what_it_sends_was_mended_meanwhile() -> None:
    watched = Watched(
        '1. look(item="")\n2. mail(to="me", text="${1}")\n3. look(item="${1}")\n4. join($3)',
        '1. read_page(url="x")\njoin()',
        'Replan: mail it too.\n4. look(item="${2}")\n5. join()',
        limits=Limits(),
    )
    result = run_virtual(watched.run)
    assert [request.step for request in result.pending] == ["2"]
    assert not [call for call in calls if call.startswith("mail")]


def test_a_plan_that_is_only_written_says_what_flows_through_a_corrected_line() -> None:
    async def main() -> Any:
        plan = '1. read_page(link="x")\n2. mail(to="me", text="${1}")\n3. join()'
        agent = Agent(ScriptedLLM([plan, '1. read_page(url="x")']), tools=APPROVED)
        return await agent.plan("x")

    assert "untrusted text" in run_virtual(main)["2"].policy.approve


@tool(untrusted=True, pure=True)
async def page(url: str) -> str:
    """Read a page that never changes."""
    return f"page {url}"


def test_nothing_of_a_plan_starts_before_it_was_judged_what_flows_into_it(tmp_path: Any) -> None:
    async def main(*replies: str) -> Watched:
        tools = [*APPROVED, page]
        watched = Watched(*replies, limits=Limits(), tools=tools, cache=tmp_path / "kept.sqlite")
        try:
            await watched.run()
        finally:
            await watched.agent.aclose()
        return watched

    run_virtual(main, '1. page(url="x")\n2. join()', "Answer: kept")
    plan = '1. look(item="")\n2. mail(to="me", text="${1}")\n3. join()'
    watched = run_virtual(main, plan, '1. page(url="x")\njoin()')
    assert [event.step for event in watched.of(StepAwaitingApproval)] == ["2"]
    assert not [call for call in calls if call.startswith("mail")]
    assert "2" not in {event.step for event in watched.of(StepStarted)}


# -- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan",
    ['1. price(item="pen")\n2. prize(item="pen")\n3. join()', Reply('1. price(item="pen")\n2. pr', "length")],
    ids=["refused", "cut"],
)  # fmt: skip
def test_the_last_call_answers_with_results_also_when_the_plan_is_not_in_order(plan: Any) -> None:
    done = run(plan, "Answer: 3", limits=Limits(model_calls=2))
    assert done.result["1"] == Ok(3.0)
    assert "$1 = 3.0" in done.last_texts()
    assert "No model calls are left" in done.last_texts()[-1]
    assert [event.limit for event in done.of(LimitReached)] == ["model_calls"]


def test_lines_that_are_all_known_are_no_reason_to_go_on_for_ever() -> None:
    again = '1. price(item="pen")\n2. join()'
    done = run(again, again, again, "Answer: 3", limits=Limits(replans=5))
    assert done.result.answer == "3"
    assert len(done.of(ReplanStarted)) == 1
    assert calls == ["pen"]


def test_a_reply_that_filled_the_context_is_named_as_what_did() -> None:
    full = ContextLengthError(1025, 1024)
    done = run(Reply('1. price(item="pen")\n2. pr', "length"), Reply(error=full))
    assert isinstance(done.result.error, ContextLengthError)
    assert "the reply before, which was cut off, took up the rest" in str(done.result.error)
    assert run(Reply(error=full)).result.error is full


# -- the end of a plan ------------------------------------------------------------------------


def test_a_plan_that_was_broken_off_is_not_told_to_be_whole() -> None:
    cut = Reply('1. price(item="pen")\n2. bo', "cut")
    done = run(cut, "Answer: 3", limits=Limits(repairs=0))
    assert [(event.steps, event.whole) for event in done.of(PlanFinished)] == [(1, False)]
    done = run('1. price(item="pen")\n2. join()', "Answer: 3")
    assert [(event.steps, event.whole) for event in done.of(PlanFinished)] == [(1, True)]


def test_a_plan_is_whole_when_the_turn_that_corrects_it_is() -> None:
    plan = '1. prize(item="pen")\n2. book(item="a")\n3. join()'
    more = '1. price(item="pen")\n4. book(item="b")\n5. join()'
    done = run(plan, more, "Answer: 3", chunk=1, delay=0.1)
    (finished,) = done.of(PlanFinished)
    assert finished.steps == 3
    assert finished.seq > max(event.seq for event in done.of(StepPlanned))
    assert calls == ["pen", "book a", "book b"]
    done = run(plan, '1. price(item="pen")\n', "Answer: 3")
    assert [event.steps for event in done.of(PlanFinished)] == [2]


# -- pauses -----------------------------------------------------------------------------------


def test_the_number_of_a_line_that_was_given_up_stays_taken_after_a_pause() -> None:
    async def main() -> Any:
        watched = Watched(
            '1. fetch(item="a")\n2. nothing()\n3. join()',
            'Replan: more.\n2. look(item="b")\n3. look(item="c")\n4. join()',
            "Answer: done",
            limits=Limits(mends=0, repairs=0),
        )
        before = await watched.run()
        return await watched.resume(before, *yes(before))

    after = run_virtual(main)
    assert steps_of(after) == {"1": "ok", "2": "failed", "3": "ok"}
    assert calls == ["fetch a", "look c"]


def test_what_nobody_read_before_a_pause_does_not_run_after_it() -> None:
    async def main() -> tuple[Watched, Any]:
        watched = Watched(
            '1. look(item="a")\n2. look(item="${1}")\n3. fetch(item="${2}")\n4. join($1)',
            'Replan: more.\n4. fetch(item="b")\n5. join()',
            "Answer: done",
        )
        before = await watched.run()
        assert [request.step for request in before.pending] == ["4"]
        return watched, await watched.resume(before, *yes(before))

    watched, after = run_virtual(main)
    assert steps_of(after) == {"1": "ok", "4": "ok", "2": "skipped", "3": "skipped"}
    assert calls == ["look a", "fetch b"]
    assert "$2 = " not in watched.told


def test_a_step_that_nobody_reads_is_not_asked_about_anew_after_a_pause() -> None:
    async def main() -> tuple[Watched, Any]:
        watched = Watched(
            '1. look(item="a")\n2. fetch(item="${1}")\n3. fetch(item="c")\n'
            '4. look(item="${3}")\n5. join($1, $4)',
            "Answer: done",
        )
        before = await watched.run()
        assert [request.step for request in before.pending] == ["3"]
        return watched, await watched.resume(before, *yes(before))

    watched, after = run_virtual(main)
    assert after.status == "finished"
    assert {event.step for event in watched.of(StepAwaitingApproval)} == {"3"}


def test_what_was_asked_about_before_a_pause_still_is_and_runs_if_it_is_approved() -> None:
    plan = '1. fetch(item="a")\n2. look(item="b")\n3. join($2)'

    async def main() -> Any:
        watched = Watched(plan, "Answer: done")
        before = await watched.run()
        assert [request.step for request in before.pending] == ["1"]
        return await watched.resume(before, *yes(before))

    after = run_virtual(main)
    assert steps_of(after) == {"1": "ok", "2": "ok"}


def test_what_was_set_aside_before_a_pause_runs_when_a_later_plan_asks_for_it() -> None:
    async def main() -> Any:
        watched = Watched(
            '1. fetch(item="a")\n2. look(item="${1}")\n3. look(item="${2}")\n4. join($1)',
            'Replan: more.\n4. look(item="${3}")\n5. join()',
            "Answer: done",
        )
        before = await watched.run()
        return await watched.resume(before, *yes(before))

    assert steps_of(run_virtual(main)) == {"1": "ok", "2": "ok", "3": "ok", "4": "ok"}


def test_a_step_is_mended_after_a_pause_and_another_pause_and_a_replan_follow() -> None:
    async def main() -> tuple[Watched, Any]:
        watched = Watched(
            '1. fetch(item="a")\n2. look(item="${1}")\n3. look(item="")\n4. join()',
            '3. fetch(item="c")\njoin()',
            'Replan: more.\n4. look(item="${3}")\n5. join()',
            "Answer: done",
            limits=Limits(),
        )
        result = await watched.run()
        assert [request.step for request in result.pending] == ["1", "3"]
        result = await watched.resume(result, result.pending[1].approve())
        return watched, await watched.resume(result, *no(result))

    watched, after = run_virtual(main)
    assert steps_of(after) == {"1": "failed", "2": "skipped", "3": "ok", "4": "ok"}
    assert calls.count("fetch c") == 1
    assert [len(plan) for plan in after.plans] == [3, 1]
    for earlier, later in pairwise(watched.llm.prompts):
        assert later.messages[: len(earlier.messages)] == earlier.messages
