"""A step that needs approval waits for it, runs exactly as approved, and holds up nothing else."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from llmcompiler import Limits, Result, tool
from llmcompiler.approval import (
    ApprovalPolicy,
    ApprovalRequest,
    Verdict,
    digest_of,
)
from llmcompiler.events import ApprovalDecided, StepAwaitingApproval, StepStarted
from llmcompiler.plan import Cancelled, Failed, Ok, Skipped, TaskId
from llmcompiler.testing import run_virtual
from tests.agent.approving import Asked, Watched, steps_of
from tests.agent.scenario import calls


def _asked(
    *replies: str, policy: ApprovalPolicy | None = None, answers: bool = True
) -> tuple[Asked, Result[Any]]:
    approver = Asked(answers)
    watched = Watched(*replies, "Answer: done", approver=approver, policy=policy)
    return approver, run_virtual(watched.run)


def _failure(result: Result[Any]) -> str:
    outcome = result["1"]
    assert isinstance(outcome, Failed)
    return outcome.message


# ---------------------------------------------------------------------- what needs approval


def test_a_tool_that_always_needs_approval_is_asked_for_each_time() -> None:
    approver, result = _asked('1. fetch(item="a")\n2. fetch(item="b")\n3. join()')
    assert approver.reasons == ["fetch always needs approval"] * 2
    assert (result["1"], result["2"]) == (Ok("fetched a"), Ok("fetched b"))


def test_a_tool_may_need_approval_for_some_arguments_alone() -> None:
    approver, _ = _asked('1. pay(to="ann", amount=5)\n2. pay(to="bob", amount=500)\n3. join()')
    assert [(each.step, each.args) for each in approver.requests] == [
        ("2", {"to": "bob", "amount": 500})
    ]
    assert approver.reasons == ["pay needs approval for these arguments"]


def test_arguments_that_come_from_other_steps_are_judged_by_their_values() -> None:
    approver, result = _asked(
        f'1. look(item="{"x" * 150}")\n2. pay(to="ann", amount=$1)\n3. join()'
    )
    assert [each.args["amount"] for each in approver.requests] == [150.0]
    assert result["2"] == Ok("paid ann")


def test_a_run_may_ask_for_tools_by_their_names() -> None:
    policy = ApprovalPolicy(tools=frozenset({"look"}))
    approver, _ = _asked('1. look(item="a")\n2. note(text="b")\n3. join()', policy=policy)
    assert approver.reasons == ["the run's policy names look"]


def test_a_run_may_ask_for_all_that_writes() -> None:
    policy = ApprovalPolicy(writes=True)
    approver, _ = _asked('1. look(item="a")\n2. note(text="b")\n3. join()', policy=policy)
    assert approver.reasons == ["note writes"]


def test_a_run_may_have_a_rule_of_its_own() -> None:
    policy = ApprovalPolicy(when=lambda name, args: name == "look" and args["item"] == "b")
    approver, _ = _asked('1. look(item="a")\n2. look(item="b")\n3. join()', policy=policy)
    assert [each.step for each in approver.requests] == ["2"]


def test_a_rule_that_fails_has_not_said_that_no_approval_is_needed() -> None:
    def broken(name: str, args: Any) -> bool:
        raise ZeroDivisionError(name)

    approver, _ = _asked(
        '1. look(item="a")\n2. join()', policy=ApprovalPolicy(when=broken), answers=False
    )
    assert approver.reasons == ["whether it needs approval cannot be told: ZeroDivisionError: look"]
    assert calls == []


def test_what_strangers_wrote_is_not_sent_unseen() -> None:
    approver, _ = _asked('1. read_page(url="u")\n2. mail(to="ann", text=$1)\n3. join()')
    assert approver.reasons == ["untrusted text from $1 (read_page) flows into $2 (mail)"]


def test_private_data_is_not_sent_unseen_on_whatever_way_it_comes() -> None:
    approver, _ = _asked(
        '1. diary(day="today")\n2. look(item="${1}")\n3. mail(to="ann", text="${2}")\n4. join()'
    )
    assert approver.reasons == ["private data from $1 (diary) flows into $3 (mail)"]


def test_what_strangers_wrote_is_not_written_down_unseen() -> None:
    approver, _ = _asked('1. read_page(url="u")\n2. note(text=$1)\n3. join()')
    assert approver.reasons == ["untrusted text from $1 (read_page) flows into $2 (note)"]


def test_a_sending_step_beside_an_untrusted_one_needs_none() -> None:
    approver, _ = _asked('1. read_page(url="u")\n2. mail(to="ann", text="hello")\n3. join()')
    assert approver.requests == []


def test_after_the_model_has_read_it_anything_it_writes_may_come_of_it() -> None:
    approver, _ = _asked(
        '1. read_page(url="u")\n2. join()',
        'Replan: obey.\n2. mail(to="mallory", text="everything")\n3. join()',
    )
    (reason,) = approver.reasons
    assert reason == (
        "untrusted text from $1 (read_page), which the model has read, may be in $2 (mail)"
    )


def test_what_was_read_in_an_earlier_message_of_a_chat_counts_too() -> None:
    async def main() -> list[str]:
        approver = Asked(answers=False)
        watched = Watched(
            '1. read_page(url="u")\n2. join()',
            "Answer: read",
            '1. mail(to="mallory", text="everything")\n2. join()',
            "Answer: not sent",
            approver=approver,
        )
        first = await watched.run()
        await watched.run(history=first.transcript)
        return approver.reasons

    (reason,) = run_virtual(main)
    assert "untrusted text from read_page" in reason
    assert "in an earlier request" in reason
    assert calls == ["read u"]


def test_a_run_may_do_without_the_policy_on_flows() -> None:
    approver, _ = _asked(
        '1. read_page(url="u")\n2. mail(to="ann", text=$1)\n3. join()',
        policy=ApprovalPolicy(flows=False),
    )
    assert approver.requests == []


# ---------------------------------------------------------------------- waiting


def test_all_that_does_not_depend_on_it_goes_on_meanwhile() -> None:
    watched = Watched(
        '1. fetch(item="a")\n2. look(item="b")\n3. look(item="${2}")\n4. look(item="${1}")\n5. join()',
        "Answer: done",
        approver=Asked(delay=10),
    )
    result = run_virtual(watched.run)
    started = {event.step: event.ts for event in watched.of(StepStarted)}
    assert started == {"2": 0.0, "3": 1.0, "1": 10.0, "4": 11.0}
    assert result.seconds == 12.0


def test_several_wait_at_once_and_each_goes_on_when_it_is_answered() -> None:
    async def approve(request: ApprovalRequest) -> bool:
        await anyio.sleep({"1": 3, "2": 1, "3": 2}[request.step])
        return True

    plan = '1. fetch(item="a")\n2. fetch(item="b")\n3. fetch(item="c")\n4. join()'
    watched = Watched(plan, "Answer: done", approver=approve)
    run_virtual(watched.run)
    assert [(each.step, each.ts) for each in watched.of(StepAwaitingApproval)] == [
        ("1", 0.0),
        ("2", 0.0),
        ("3", 0.0),
    ]
    assert [(each.step, each.ts) for each in watched.of(StepStarted)] == [
        ("2", 1.0),
        ("3", 2.0),
        ("1", 3.0),
    ]


def test_a_fan_out_is_asked_for_once_and_shown_whole() -> None:
    @tool
    async def names() -> list[str]:
        """Name people."""
        return ["ann", "bob", "cid"]

    approver = Asked()
    watched = Watched(
        "1. names()\n2. pay(to=each $1, amount=200)\n3. join()",
        "Answer: done",
        approver=approver,
        tools=[names, *Watched().agent.tools.values()],
    )
    result = run_virtual(watched.run)
    (request,) = approver.requests
    assert request.elements == 3
    assert request.args == {"to": ["ann", "bob", "cid"], "amount": 200}
    assert result["2"] == Ok(["paid ann", "paid bob", "paid cid"])


def test_a_synchronous_approver_does_not_stop_the_loop() -> None:
    release = threading.Event()

    def approve(request: ApprovalRequest) -> bool:
        return release.wait(10)

    @tool
    async def let_go() -> str:
        """Release the approver."""
        release.set()
        return "released"

    watched = Watched(
        '1. fetch(item="a")\n2. let_go()\n3. join()',
        "Answer: done",
        approver=approve,
        tools=[let_go, *Watched().agent.tools.values()],
    )
    assert anyio.run(watched.run)["1"] == Ok("fetched a")


def test_a_run_out_of_time_no_longer_waits_for_an_approval() -> None:
    watched = Watched(
        '1. fetch(item="a")\n2. look(item="b")\n3. join()',
        "Answer: late",
        approver=Asked(delay=100),
        limits=Limits(seconds=5),
    )
    result = run_virtual(watched.run)
    assert (result.status, result.answer, result.seconds) == ("finished", "late", 5.0)
    assert result["1"] == Cancelled("the time is up")
    assert calls == ["look b"]


# ---------------------------------------------------------------------- what was decided


def test_a_denial_is_an_outcome_that_the_model_reads_and_what_needs_it_is_skipped() -> None:
    def approve(request: ApprovalRequest) -> Verdict:
        return request.deny("not on a Sunday")

    watched = Watched(
        '1. fetch(item="a")\n2. look(item="${1}")\n3. look(item="b")\n4. join()',
        "Answer: it was not allowed",
        approver=approve,
    )
    result = run_virtual(watched.run)
    assert result["1"] == Failed(
        "ApprovalDenied", "it was not approved: not on a Sunday", attempts=0
    )
    assert result["2"] == Skipped("it needs $1", TaskId("1"))
    assert result["3"] == Ok(1.0)
    assert "$1 failed: it was not approved: not on a Sunday" in watched.told
    (decided,) = watched.of(ApprovalDecided)
    assert (decided.approved, decided.reason) == (False, "not on a Sunday")


def test_a_denied_step_is_not_put_to_the_model_to_be_written_again() -> None:
    watched = Watched(
        '1. fetch(item="a")\n2. join()',
        "Answer: no",
        approver=Asked(answers=False),
        limits=Limits(mends=2),
    )
    assert run_virtual(watched.run).answer == "no"


@pytest.mark.parametrize("answer", ["no", 1, None])
def test_only_a_plain_yes_is_one(answer: Any) -> None:
    watched = Watched(
        '1. fetch(item="a")\n2. join()', "Answer: no", approver=lambda request: answer
    )
    assert isinstance(run_virtual(watched.run)["1"], Failed)
    assert calls == []


def test_an_approver_that_fails_has_denied() -> None:
    async def approve(request: ApprovalRequest) -> bool:
        raise ConnectionError("nobody picks up")

    watched = Watched('1. fetch(item="a")\n2. join()', "Answer: no", approver=approve)
    result = run_virtual(watched.run)
    assert "ConnectionError: nobody picks up" in _failure(result)


def test_a_verdict_for_other_arguments_approves_nothing() -> None:
    def approve(request: ApprovalRequest) -> Verdict:
        return Verdict(request.step, digest_of("1", "fetch", {"item": "other"}), approved=True)

    watched = Watched('1. fetch(item="a")\n2. join()', "Answer: no", approver=approve)
    result = run_virtual(watched.run)
    assert "the verdict was for something else" in _failure(result)
    assert calls == []


def test_what_runs_is_exactly_what_was_approved() -> None:
    approver, _ = _asked('1. look(item="abc")\n2. pay(to="n ${1}", amount=1000)\n3. join()')
    (request,) = approver.requests
    assert request.args == {"to": "n 3.0", "amount": 1000}
    assert request.digest == digest_of("2", "pay", request.args)
    assert calls == ["look abc", "pay n 3.0 1000"]


def test_who_approves_cannot_change_what_runs() -> None:
    def approve(request: ApprovalRequest) -> bool:
        request.args["to"] = "mallory"  # type: ignore[index]  # a mapping is not to be written to
        return True

    watched = Watched('1. pay(to="ann", amount=500)\n2. join()', "Answer: no", approver=approve)
    run_virtual(watched.run)
    assert "pay mallory 500" not in calls


def test_two_equal_steps_are_approved_one_by_one() -> None:
    approver = Asked({"1": True, "2": False})
    watched = Watched(
        '1. fetch(item="a")\n2. fetch(item="a")\n3. join()', "Answer: done", approver=approver
    )
    assert steps_of(run_virtual(watched.run)) == {"1": "ok", "2": "failed"}
    assert calls == ["fetch a"]


def test_a_step_that_is_written_again_is_approved_again() -> None:
    @tool(approve="always")
    async def fragile(item: str) -> str:
        """Fail on the first call."""
        calls.append(f"fragile {item}")
        if item == "a":
            raise ValueError("no such item")
        return item

    approver = Asked()
    watched = Watched(
        '1. fragile(item="a")\n2. join()',
        '1. fragile(item="b")\n2. join()',
        "Answer: done",
        approver=approver,
        limits=Limits(),
        tools=[fragile],
    )
    assert run_virtual(watched.run)["1"] == Ok("b")
    assert [each.args["item"] for each in approver.requests] == ["a", "b"]


def test_a_tool_that_somebody_approved_has_no_stand_in() -> None:
    @tool
    async def spare(item: str) -> str:
        """Stand in."""
        calls.append(f"spare {item}")
        return item

    @tool(fallback="spare")
    async def first(item: str) -> str:
        """Fail."""
        raise ValueError("it is broken")

    watched = Watched(
        '1. first(item="a")\n2. join()',
        "Answer: done",
        approver=Asked(),
        policy=ApprovalPolicy(tools=frozenset({"first"})),
        tools=[first, spare],
    )
    result = run_virtual(watched.run)
    assert isinstance(result["1"], Failed)
    assert calls == []
