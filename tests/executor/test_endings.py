"""Every step comes to one end: who was asked is silent, the run is stopped, failures wait."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from llmcompiler import tool
from llmcompiler.approval import ApprovalRequest
from llmcompiler.events import Emitter
from llmcompiler.executor import Executor, Gate
from llmcompiler.passes import Passes
from llmcompiler.plan import (
    Cancelled,
    Failed,
    Observation,
    Ok,
    Skipped,
    TaskId,
    Timing,
)
from llmcompiler.testing import run_virtual
from llmcompiler.toolbox import Toolbox
from tests.agent.passing import lines, play
from tests.agent.scenario import calls
from tests.executor.bench import Bench, call, no_context, ref, wait


@tool
async def look(word: str, seconds: float = 1.0) -> str:
    """Look a word up."""
    await anyio.sleep(seconds)
    return word


# -- who approves ------------------------------------------------------------------------------


@tool(approve="always")
async def pay(amount: int) -> str:
    """Pay."""
    calls.append(f"pay {amount}")
    return "paid"


def _raises(request: ApprovalRequest) -> bool:
    raise SystemExit("no")


async def _breaks_off(request: ApprovalRequest) -> bool:
    raise anyio.get_cancelled_exc_class()


@pytest.mark.parametrize("approver", [_raises, _breaks_off])
def test_who_cannot_answer_has_denied(approver: Any) -> None:
    seen = play(lines("pay(1)", 'look("a")'), tools=[pay, look], approver=approver)
    outcome = seen.result["1"]
    assert isinstance(outcome, Failed)
    assert outcome.kind == "ApprovalDenied"
    assert seen.result["2"] == Ok("a")
    assert calls == []


def test_a_run_that_is_stopped_while_somebody_is_asked_ends() -> None:
    async def never(request: ApprovalRequest) -> bool:
        await anyio.sleep_forever()
        return True

    async def main() -> list[Observation]:
        emitter = Emitter("run", anyio.current_time)
        gate = Gate(emitter, approver=never)
        async with Executor(Toolbox([pay]), emitter, no_context, gate=gate) as executor:
            executor.add(call("1", "pay", amount=1))
            await anyio.sleep(1)
            executor.add(call("2", "pay", amount=2))  # nobody has been asked about this one yet
            executor.stop("enough")
        return executor.observations

    assert [each.outcome for each in run_virtual(main)] == [Cancelled("enough")] * 2


# -- what runs after a stop, and what is restored ------------------------------------------------


def test_stopping_while_calls_wait_for_others_does_not_wait_for_their_window() -> None:
    async def many(word: list[str]) -> list[str]:
        """Look words up."""
        return word

    @tool(bulk=many)
    async def find(word: str) -> str:
        """Look a word up."""
        return word

    async def body(executor: Executor) -> None:
        executor.add(call("1", "find", word="a"))

    async def main() -> float:
        await Bench(find, passes=Passes(bulk_window=3600))._main(body)
        return anyio.current_time()

    assert run_virtual(main) < 1


def test_a_failure_that_was_recorded_is_not_recorded_again_when_it_is_given_up() -> None:
    @tool
    async def fail() -> int:
        """Fail."""
        raise ValueError("no")

    async def body(executor: Executor) -> None:
        executor.mends = True
        executor.add(call("1", "fail"))
        await executor.wait_more(0)
        assert [each.task.id for each in executor.ailing] == ["1"]
        executor.stop("enough")
        executor.give_up([TaskId("1")])

    assert Bench(fail).run(body).order == ["1"]


def test_a_step_that_failed_again_while_others_were_written_is_not_given_up_with_them() -> None:
    async def body(executor: Executor) -> None:
        executor.mends = True
        executor.add(call("1", "look", word="1"))
        executor.add(call("2", "look", word="2"))
        await executor.wait_more(0)
        executor.replace(call("1", "look", word="3"))
        await anyio.sleep(1)
        executor.give_up([TaskId("1"), TaskId("2")])
        assert [each.task.id for each in executor.ailing] == ["1"]
        executor.give_up([TaskId("1")])
        assert not executor.ailing

    @tool
    async def look(word: str) -> str:
        """Look."""
        raise ValueError(word)

    assert Bench(look).run(body).order == ["2", "1"]


def test_what_was_restored_is_built_upon() -> None:
    def past(name: str, outcome: Any) -> Observation:
        return Observation(call(name, "wait", seconds=0.0), outcome, Timing(0, 0, 0))

    async def body(executor: Executor) -> None:
        executor.restore([past("1", Ok(7)), past("2", Failed("ValueError", "no"))])
        executor.add(call("3", "wait", seconds=1.0, after=ref("1")))
        executor.add(call("4", "wait", seconds=1.0, after=ref("2")))
        executor.seal()
        await executor.wait_settled()

    bench = Bench(wait).run(body)
    assert bench.outcomes["3"] == Ok(0)
    assert bench.outcomes["4"] == Skipped("it needs $2", TaskId("2"))


def test_two_who_wait_are_both_woken() -> None:
    async def main() -> list[str]:
        woken: list[str] = []
        emitter = Emitter("run", anyio.current_time)
        async with Executor(Toolbox([wait]), emitter, no_context) as executor:
            executor.add(call("1", "wait", seconds=1.0))

            async def waiting(name: str) -> None:
                await executor.wait_settled()
                woken.append(name)

            with anyio.fail_after(10):
                async with anyio.create_task_group() as group:
                    group.start_soon(waiting, "a")
                    group.start_soon(waiting, "b")
        return woken

    assert run_virtual(main) == ["a", "b"]
