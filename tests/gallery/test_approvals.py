"""Complaint: approval does not go together with parallel calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from llmcompiler import Agent, ApprovalRequest, Result, Verdict
from llmcompiler.errors import ApprovalError
from llmcompiler.plan import Failed, Ok, Skipped, TaskId
from llmcompiler.testing import ScriptedLLM, run_virtual
from tests.gallery.scene import ANSWER, calls, play

THREE = "1. pay(amount=1)\n2. pay(amount=2)\n3. pay(amount=3)\n4. join()"


def go_on(agent: Agent[Any], before: Result[Any], verdicts: Sequence[Verdict]) -> Result[Any]:
    """Resume with the model that answers at once."""

    async def main() -> Result[Any]:
        with agent.override(model=ScriptedLLM([ANSWER])):
            return await agent.resume(before, verdicts)

    return run_virtual(main)


def paid() -> list[str]:
    return [call for call in calls if call.startswith("pay")]


def test_langgraph_6624_all_calls_that_wait_are_there_at_once() -> None:
    seen = play(THREE)
    assert seen.result.status == "pending"
    assert [request.args for request in seen.result.pending] == [
        {"amount": 1},
        {"amount": 2},
        {"amount": 3},
    ]
    assert paid() == []


def test_langgraph_pr_3126_resuming_does_not_run_the_siblings_again() -> None:
    seen = play('1. work(name="sibling")\n2. send(text="letter")\n3. pay(amount=9)\n4. join()')
    before = list(calls)
    assert "send letter" in before
    result = go_on(seen.agent, seen.result, [each.approve() for each in seen.result.pending])
    assert calls == [*before, "pay 9"]
    assert [result[step] for step in "123"] == [Ok("sibling"), Ok("sent"), Ok("paid 9")]


def test_agent_framework_pr_7692_every_call_that_was_approved_runs() -> None:
    seen = play(THREE)
    result = go_on(seen.agent, seen.result, [each.approve() for each in seen.result.pending])
    assert sorted(paid()) == ["pay 1", "pay 2", "pay 3"]
    assert [result[step] for step in "123"] == [Ok("paid 1"), Ok("paid 2"), Ok("paid 3")]


def test_mastra_pr_19435_approvals_are_given_one_by_one_and_in_any_order() -> None:
    seen = play(THREE)
    by_step = {each.step: each for each in seen.result.pending}
    second = go_on(seen.agent, seen.result, [by_step[TaskId("3")].approve()])
    assert paid() == ["pay 3"]
    assert [each.step for each in second.pending] == ["1", "2"]
    third = go_on(seen.agent, second, [by_step[TaskId("2")].deny("too much")])
    assert [each.step for each in third.pending] == ["1"]
    last = go_on(seen.agent, third, [by_step[TaskId("1")].approve()])
    assert last.status == "finished"
    assert paid() == ["pay 3", "pay 1"]
    assert last["2"] == Failed("ApprovalDenied", "it was not approved: too much", attempts=0)


def test_extra_139_what_was_approved_is_exactly_what_runs() -> None:
    seen = play("1. say(value=10)\n2. pay(amount=$1)\n3. join()")
    (request,) = seen.result.pending
    assert request.args == {"amount": 10}
    forged = replace(request, args={"amount": 10_000}, digest="0" * 16)
    with pytest.raises(ApprovalError, match="other arguments"):
        go_on(seen.agent, seen.result, [forged.approve()])
    assert paid() == []
    go_on(seen.agent, seen.result, [request.approve()])
    assert paid() == ["pay 10"]


def test_extra_139_arguments_that_changed_in_the_meantime_are_asked_about_anew() -> None:
    seen = play("1. pay(amount=1)\n2. join()")
    (request,) = seen.result.pending
    paused = seen.result.paused
    assert paused is not None
    (plan,) = paused.plans
    swapped = replace(plan, tasks=(replace(plan.tasks[0], args={"amount": 500}),))
    other = replace(seen.result, paused=replace(paused, plans=(swapped,)))
    result = go_on(seen.agent, other, [request.approve()])
    assert paid() == []
    assert [each.args for each in result.pending] == [{"amount": 500}]


def test_wish_untouched_siblings_go_on_while_somebody_thinks() -> None:
    async def slowly(request: ApprovalRequest) -> bool:
        await anyio.sleep(60)
        return True

    seen = play(
        '1. pay(amount=1)\n2. work(name="a", seconds=2)\n3. work(name="b", after=$2)\n'
        "4. say(value=$1)\n5. join()",
        ANSWER,
        approver=slowly,
    )
    assert (seen.starts["2"], seen.starts["3"]) == (0.0, 2.0)
    assert (seen.starts["1"], seen.starts["4"]) == (60.0, 60.0)


def test_wish_a_denial_is_an_outcome_that_the_model_reads() -> None:
    seen = play(
        "1. pay(amount=1)\n2. say(value=$1)\n3. join()",
        "Answer: You did not want to pay.",
        approver=lambda request: request.deny("not today"),
    )
    assert seen.result["2"] == Skipped("it needs $1", TaskId("1"))
    assert "$1 failed: it was not approved: not today" in seen.read()
    assert len(seen.llm.prompts) == 2, "no turn was spent on mending it"
    assert paid() == []
