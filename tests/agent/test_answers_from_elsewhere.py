"""Answers to approvals come from elsewhere: while a run is watched, from whoever decides."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from llmcompiler import Result
from llmcompiler.approval import ApprovalRequest, Approvals, Verdict
from llmcompiler.errors import ApprovalError
from llmcompiler.events import StepAwaitingApproval, StepFinished
from llmcompiler.plan import Ok, TaskId
from llmcompiler.testing import run_virtual
from tests.agent.approving import Watched, steps_of
from tests.agent.scenario import calls


def test_answers_may_come_from_elsewhere_in_any_order() -> None:
    approvals = Approvals()
    plan = '1. fetch(item="a")\n2. fetch(item="b")\n3. fetch(item="c")\n4. join()'
    watched = Watched(plan, "Answer: done", approver=approvals)

    async def main() -> Result[Any]:
        async with watched.agent.run_stream("Do it", sinks=[watched.events.append]) as run:
            async for event in run.events():
                match event:
                    case StepAwaitingApproval() if len(approvals.pending) == 3:
                        digests = {each.step: each.digest for each in approvals.pending}
                        assert event.digest == digests[event.step]
                        if event.step == "3":
                            approvals.decide(approvals.pending[1].approve())
                    case StepFinished(step="2"):
                        left = approvals.pending
                        approvals.decide(left[1].deny("no"))
                        approvals.decide(left[0].approve())
                    case _:
                        pass
        return run.result

    result = run_virtual(main)
    assert steps_of(result) == {"2": "ok", "3": "failed", "1": "ok"}
    assert approvals.pending == ()


def test_an_answer_to_what_nobody_asked_is_refused() -> None:
    approvals = Approvals()
    watched = Watched('1. fetch(item="a")\n2. join()', "Answer: done", approver=approvals)

    async def main() -> None:
        async with watched.agent.run_stream("Do it") as run:
            async for event in run.events():
                if not isinstance(event, StepAwaitingApproval):
                    continue
                (request,) = approvals.pending
                with pytest.raises(ApprovalError, match=r"'7'.*no step of that name waits"):
                    approvals.decide(Verdict(TaskId("7"), request.digest, approved=True))
                with pytest.raises(ApprovalError, match="other arguments"):
                    approvals.decide(Verdict(request.step, "0" * 16, approved=True))
                approvals.decide(request.approve())
                with pytest.raises(ApprovalError, match="no step of that name waits"):
                    approvals.decide(request.approve())
        assert run.result["1"] == Ok("fetched a")

    run_virtual(main)


def test_a_run_that_was_stopped_waits_for_no_answer_any_more() -> None:
    approvals = Approvals()
    watched = Watched('1. fetch(item="a")\n2. join()', approver=approvals)

    async def main() -> None:
        asked: list[ApprovalRequest] = []
        async with watched.agent.run_stream("Do it") as run:
            async for event in run.events():
                if isinstance(event, StepAwaitingApproval):
                    asked.extend(approvals.pending)
                    run.cancel()
        assert approvals.pending == ()
        with pytest.raises(ApprovalError):
            approvals.decide(asked[0].approve())

    run_virtual(main)
    assert calls == []


def test_two_runs_that_wait_for_the_same_step_are_answered_one_by_one() -> None:
    approvals = Approvals()
    replies = ['1. fetch(item="a")\n2. join()'] * 2 + ["Answer: done"] * 2
    watched = Watched(*replies, approver=approvals)
    results: list[Result[Any]] = []

    async def go() -> None:
        results.append(await watched.run())

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go)
            tasks.start_soon(go)
            await anyio.sleep(1)
            first, second = approvals.pending
            assert first == second
            approvals.decide(first.approve())
            assert len(approvals.pending) == 1
            approvals.decide(second.deny())

    run_virtual(main)
    assert sorted(str(steps_of(each)) for each in results) == ["{'1': 'failed'}", "{'1': 'ok'}"]
