"""A run that nobody is there to approve ends as pending, and is gone on with where it stood."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import anyio
import pytest

from llmcompiler import Limits, Result, tool
from llmcompiler.approval import Verdict
from llmcompiler.errors import ApprovalError, ConfigurationError
from llmcompiler.events import (
    ApprovalDecided,
    PlanStarted,
    RunFinished,
    RunPaused,
    StepAwaitingApproval,
    StepStarted,
)
from llmcompiler.messages import Price
from llmcompiler.plan import Failed, Ok, Plan, Task, TaskId
from llmcompiler.testing import run_virtual
from tests.agent.approving import TOOLS, Asked, Watched, no, steps_of, yes
from tests.agent.scenario import calls

PLAN = (
    '1. look(item="abc")\n2. fetch(item="a")\n3. look(item="${2}")\n'
    '4. fetch(item="b")\n5. look(item="${1}")\n6. join()'
)


def test_without_an_approver_a_run_ends_when_nothing_else_is_left_to_do() -> None:
    watched = Watched(PLAN)
    result = run_virtual(watched.run)
    assert (result.status, result.answer, result.error) == ("pending", None, None)
    assert [(each.step, each.tool, each.args) for each in result.pending] == [
        ("2", "fetch", {"item": "a"}),
        ("4", "fetch", {"item": "b"}),
    ]
    assert steps_of(result) == {"1": "ok", "5": "ok"}
    assert watched.of(RunPaused)[0].pending == ("2", "4")
    assert watched.events[-1] is watched.of(RunPaused)[0]
    assert result.seconds == 2.0


def test_what_waits_is_in_the_json_of_the_result() -> None:
    shown = run_virtual(Watched(PLAN).run).to_json()
    assert shown["status"] == "pending"
    assert shown["pending"][0] == {
        "step": "2",
        "tool": "fetch",
        "args": {"item": "a"},
        "digest": run_virtual(Watched(PLAN).run).pending[0].digest,
        "reason": "fetch always needs approval",
    }


def test_once_all_is_approved_the_run_goes_on_to_its_answer() -> None:
    async def main() -> tuple[Watched, Result[Any], Result[Any]]:
        watched = Watched(PLAN, "Answer: done")
        before = await watched.run()
        return watched, before, await watched.resume(before, *yes(before))

    watched, before, after = run_virtual(main)
    assert (after.status, after.answer) == ("finished", "done")
    assert after.run_id == before.run_id
    assert steps_of(after) == {"1": "ok", "5": "ok", "2": "ok", "4": "ok", "3": "ok"}
    assert sorted(calls) == ["fetch a", "fetch b", "look 3.0", "look abc", "look fetched a"]
    assert "$3 = 9.0" in watched.told
    assert "$1 = 3.0" in watched.told
    assert after.pending == ()
    assert after.paused is None


def test_the_conversation_of_a_run_that_went_on_only_grew() -> None:
    async def main() -> Watched:
        watched = Watched(PLAN, "Answer: done")
        before = await watched.run()
        after = await watched.resume(before, *yes(before))
        length = len(before.transcript.entries)
        assert after.transcript.entries[:length] == before.transcript.entries
        assert len(after.transcript.entries) > length
        return watched

    prompts = run_virtual(main).llm.prompts
    for earlier, later in pairwise(prompts):
        assert later.messages[: len(earlier.messages)] == earlier.messages


def test_some_may_be_answered_and_the_rest_later() -> None:
    async def main() -> tuple[Result[Any], Result[Any]]:
        watched = Watched(PLAN, "Answer: done")
        first = await watched.run()
        second = await watched.resume(first, first.pending[1].approve())
        assert second.status == "pending"
        return second, await watched.resume(second, *yes(second))

    second, third = run_virtual(main)
    assert [each.step for each in second.pending] == ["2"]
    assert steps_of(second) == {"1": "ok", "5": "ok", "4": "ok"}
    assert third.status == "finished"
    assert calls.count("fetch b") == 1


def test_without_a_verdict_it_waits_on_and_nothing_runs_twice() -> None:
    async def main() -> Result[Any]:
        watched = Watched(PLAN)
        before = await watched.run()
        return await watched.resume(before)

    after = run_virtual(main)
    assert after.status == "pending"
    assert [each.step for each in after.pending] == ["2", "4"]
    assert sorted(calls) == ["look 3.0", "look abc"]


def test_a_denial_may_come_later_too() -> None:
    async def main() -> tuple[Watched, Result[Any]]:
        watched = Watched(PLAN, "Answer: not all of it")
        before = await watched.run()
        return watched, await watched.resume(before, *no(before, "too dear"))

    watched, after = run_virtual(main)
    assert after.answer == "not all of it"
    assert steps_of(after)["3"] == "skipped"
    assert isinstance(after["2"], Failed)
    assert "$2 failed: it was not approved: too dear" in watched.told
    assert not [call for call in calls if call.startswith("fetch")]


@pytest.mark.parametrize(
    ("verdict", "problem"),
    [
        (Verdict(TaskId("1"), "0" * 16, approved=True), "no step of that name waits"),
        (Verdict(TaskId("2"), "0" * 16, approved=True), "given for other arguments"),
    ],
)
def test_a_verdict_that_fits_nothing_is_refused_before_anything_runs(
    verdict: Verdict, problem: str
) -> None:
    async def main() -> None:
        watched = Watched(PLAN)
        before = await watched.run()
        calls.clear()
        with pytest.raises(ApprovalError, match=problem):
            await watched.resume(before, *yes(before), verdict)
        assert calls == []

    run_virtual(main)


def test_no_result_is_gone_on_with_twice() -> None:
    async def main() -> None:
        watched = Watched(PLAN, "Answer: done")
        before = await watched.run()
        await watched.resume(before, *yes(before))
        with pytest.raises(ApprovalError, match="was resumed already"):
            await watched.resume(before, *yes(before))

    run_virtual(main)
    assert calls.count("fetch a") == 1


def test_a_verdict_that_was_refused_does_not_use_the_result_up() -> None:
    async def main() -> Result[Any]:
        watched = Watched(PLAN, "Answer: done")
        before = await watched.run()
        with pytest.raises(ApprovalError):
            await watched.resume(before, Verdict(TaskId("9"), "", approved=True))
        return await watched.resume(before, *yes(before))

    assert run_virtual(main).answer == "done"


def test_a_result_that_waits_for_nothing_is_not_gone_on_with() -> None:
    async def main() -> None:
        watched = Watched("Answer: hello")
        with pytest.raises(ConfigurationError, match="its status is 'finished'"):
            await watched.resume(await watched.run())

    run_virtual(main)


def test_what_has_no_verdict_is_put_to_an_approver_that_is_there_by_then() -> None:
    async def main() -> Result[Any]:
        before = await Watched(PLAN).run()
        other = Watched("Answer: done", approver=Asked({"4": True}))
        return await other.resume(before, before.pending[0].approve())

    assert steps_of(run_virtual(main))["4"] == "ok"


def test_usage_and_calls_of_the_model_add_up() -> None:
    async def main() -> tuple[Result[Any], Result[Any]]:
        watched = Watched(PLAN, "Answer: done", price=Price(1_000_000, 2_000_000))
        before = await watched.run()
        return before, await watched.resume(before, *yes(before))

    before, after = run_virtual(main)
    assert (before.usage.model_calls, after.usage.model_calls) == (1, 2)
    assert (
        after.usage.completion_tokens == before.usage.completion_tokens + len("Answer: done") // 4
    )
    assert len(after.calls) == 2
    assert before.cost is not None
    assert after.cost is not None
    assert after.cost > before.cost


def test_events_time_and_timeline_go_on_where_they_stood_whatever_the_wait_was() -> None:
    async def main() -> tuple[Watched, Result[Any]]:
        watched = Watched(PLAN, "Answer: done")
        before = await watched.run()
        await anyio.sleep(3600)
        return watched, await watched.resume(before, *yes(before))

    watched, after = run_virtual(main)
    assert [event.seq for event in watched.events] == list(range(1, len(watched.events) + 1))
    assert [event.ts for event in watched.events] == sorted(event.ts for event in watched.events)
    assert [each.turn for each in watched.of(PlanStarted)] == [1, 2]
    assert [each.step for each in watched.of(StepAwaitingApproval)] == ["2", "4", "2", "4"]
    assert [each.approved for each in watched.of(ApprovalDecided)] == [True, True]
    assert [each.step for each in watched.of(StepStarted)] == ["1", "5", "2", "4", "3"]
    assert isinstance(watched.events[-1], RunFinished)
    assert {bar.step: (bar.start, bar.end) for bar in after.timeline} == {
        "1": (0.0, 1.0),
        "5": (1.0, 2.0),
        "2": (2.0, 3.0),
        "4": (2.0, 3.0),
        "3": (3.0, 4.0),
    }
    assert after.seconds == 4.0


def test_limits_count_what_the_run_used_before_it_waited() -> None:
    async def main() -> Result[Any]:
        watched = Watched(PLAN, "Answer: as far as it goes", limits=Limits(tool_calls=4, mends=0))
        before = await watched.run()
        return await watched.resume(before, *yes(before))

    after = run_virtual(main)
    assert after.answer == "as far as it goes"
    assert isinstance(after["3"], Failed)
    assert len(calls) == 4


def test_a_run_that_went_on_may_plan_again_with_numbers_that_go_on_too() -> None:
    async def main() -> Result[Any]:
        watched = Watched(
            '1. fetch(item="a")\n2. join()',
            'Replan: more.\n2. look(item="${1}")\n3. fetch(item="c")\n4. join()',
            "Answer: done",
        )
        first = await watched.run()
        second = await watched.resume(first, *yes(first))
        assert (second.status, second.pending[0].step) == ("pending", "3")
        return await watched.resume(second, *yes(second))

    last = run_virtual(main)
    assert steps_of(last) == {"1": "ok", "2": "ok", "3": "ok"}
    assert [len(plan) for plan in last.plans] == [1, 2]
    assert len(calls) == 3


def test_a_number_that_was_given_up_is_not_given_to_another_step() -> None:
    async def main() -> Result[Any]:
        watched = Watched(
            '1. fetch(item="a")\n2. nothing(item="b")\n3. join()',
            "2. nothing(again=1)",
            'Replan: more.\n3. look(item="c")\n4. join()',
            "Answer: done",
            limits=Limits(repairs=1, mends=0),
        )
        first = await watched.run()
        return await watched.resume(first, *yes(first))

    last = run_virtual(main)
    assert steps_of(last) == {"2": "failed", "1": "ok", "3": "ok"}


def test_a_step_that_failed_after_it_was_approved_is_approved_anew_when_it_is_mended() -> None:
    @tool(approve="always")
    async def fragile(item: str) -> str:
        """Fail on the first call."""
        calls.append(f"fragile {item}")
        if len(calls) == 1:
            raise ValueError("not now")
        return item

    async def main() -> tuple[Result[Any], Result[Any]]:
        watched = Watched(
            '1. fragile(item="a")\n2. join()',
            '1. fragile(item="b")\n2. join()',
            "Answer: done",
            limits=Limits(),
            tools=[fragile],
        )
        first = await watched.run()
        second = await watched.resume(first, *yes(first))
        return second, await watched.resume(second, *yes(second))

    second, third = run_virtual(main)
    assert second.status == "pending"
    assert second.pending[0].args == {"item": "b"}
    assert third["1"] == Ok("b")
    assert calls == ["fragile a", "fragile b"]


def test_what_the_mend_of_another_step_brings_does_not_wait_for_the_approval() -> None:
    async def main() -> Result[Any]:
        watched = Watched(
            '1. fetch(item="a")\n2. look(item="")\n3. look(item="x")\n4. join()',
            '2. look(item="y")\n3. join()',
            "Answer: done",
            limits=Limits(),
        )
        first = await watched.run()
        assert steps_of(first) == {"3": "ok", "2": "ok"}
        return await watched.resume(first, *yes(first))

    assert steps_of(run_virtual(main)) == {"3": "ok", "2": "ok", "1": "ok"}


def test_writes_keep_their_order_while_one_of_them_waits() -> None:
    async def main() -> Result[Any]:
        watched = Watched(
            '1. note(text="a")\n2. pay(to="ann", amount=500)\n3. note(text="b")\n4. join()',
            "Answer: done",
        )
        first = await watched.run()
        assert "note b" not in calls
        return await watched.resume(first, *yes(first))

    run_virtual(main)
    assert calls == ["note a", "pay ann 500", "note b"]


def test_results_that_nobody_reads_are_still_not_asked_for_after_a_wait() -> None:
    async def main() -> Result[Any]:
        watched = Watched(
            '1. fetch(item="a")\n2. look(item="${1}")\n3. look(item="zz ${1}")\n4. join($2)',
            "Answer: done",
        )
        first = await watched.run()
        return await watched.resume(first, *yes(first))

    after = run_virtual(main)
    assert steps_of(after) == {"1": "ok", "2": "ok", "3": "skipped"}
    assert not any("zz" in call for call in calls)


def test_a_plan_that_was_handed_in_waits_and_goes_on_without_a_model() -> None:
    async def main() -> Result[Any]:
        watched = Watched()
        plan = Plan((Task(TaskId("a"), "fetch", {"item": "x"}),))
        first = await watched.agent.execute(plan)
        assert (first.status, first.request) == ("pending", None)
        return await watched.resume(first, *yes(first))

    last = run_virtual(main)
    assert (last.status, last["a"]) == ("finished", Ok("fetched x"))


def test_the_next_message_of_a_chat_may_follow_a_run_that_went_on() -> None:
    async def main() -> Result[Any]:
        watched = Watched(PLAN, "Answer: done", "Answer: hello again")
        first = await watched.run()
        second = await watched.resume(first, *yes(first))
        return await watched.run(history=second.transcript)

    assert run_virtual(main).answer == "hello again"


def test_a_run_that_goes_on_has_its_time_limit_anew() -> None:
    async def main() -> Result[Any]:
        watched = Watched(PLAN, "Answer: done", limits=Limits(seconds=3, mends=0))
        first = await watched.run()
        return await watched.resume(first, *yes(first))

    after = run_virtual(main)
    assert steps_of(after)["3"] == "ok"
    assert {each.name for each in TOOLS} >= {step.task.tool for step in after.steps}
