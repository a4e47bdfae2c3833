"""Writes, resources, fallbacks, converted arguments, worker processes: what runs, when, how often."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from llmcompiler import Limits, tool
from llmcompiler.approval import ApprovalPolicy, ApprovalRequest
from llmcompiler.errors import ToolError
from llmcompiler.events import Emitter, StepFellBack, StepRetrying
from llmcompiler.executor import Executor
from llmcompiler.plan import (
    Cancelled,
    Failed,
    Observation,
    Ok,
    Policy,
    Skipped,
    Task,
    TaskId,
)
from llmcompiler.retry import Retry
from llmcompiler.toolbox import Tool, Toolbox
from tests.agent.passing import lines, play
from tests.agent.scenario import calls
from tests.executor.bench import Bench, call, no_context, ref


@tool(effects="write", resource="book")
async def enter(text: str, seconds: float = 1.0) -> str:
    """Write into the book."""
    calls.append(f"enter {text}")
    await anyio.sleep(seconds)
    calls.append(f"entered {text}")
    if text.startswith("bad"):
        raise ValueError(text)
    return text


@tool(resource="book")
async def read(page: int) -> str:
    """Read in the book."""
    calls.append(f"read {page}")
    await anyio.sleep(1)
    return f"page {page}"


@tool
async def look(word: str, seconds: float = 1.0) -> str:
    """Look a word up."""
    await anyio.sleep(seconds)
    return word


# -- resources and writes ----------------------------------------------------------------------


def test_writes_of_one_resource_happen_in_the_order_of_the_lines() -> None:
    plan = lines('look("slow", 5)', "enter(text=$1)", 'enter("b")', 'enter("c")')
    seen = play(plan, tools=[look, enter])
    assert [each for each in calls if "enter " in each] == ["enter slow", "enter b", "enter c"]
    assert seen.ends == {"1": 5.0, "2": 6.0, "3": 7.0, "4": 8.0}


def test_what_is_read_after_a_write_sees_it_and_what_is_read_before_does_not() -> None:
    play(lines("read(1)", 'enter("x")', "read(2)"), tools=[read, enter])
    assert calls == ["read 1", "enter x", "entered x", "read 2"]


def test_never_are_two_calls_of_a_resource_under_way() -> None:
    @tool(resource="book", limit=3)
    async def scan(page: int) -> int:
        """Scan the book."""
        await anyio.sleep(1)
        return page

    plan = lines("read(1)", "scan(1)", "read(2)", "scan(2)", 'look("free")')
    seen = play(plan, tools=[read, scan, look])
    assert sorted(seen.ends.values()) == [1.0, 1.0, 2.0, 3.0, 4.0]
    assert seen.ends["5"] == 1.0


def test_a_failed_write_that_is_written_again_keeps_its_place_in_the_line() -> None:
    plan = lines('enter("bad")', 'enter("b")', "read(1)")
    play(plan, lines('enter("good")'), tools=[enter, read], limits=Limits())
    assert calls[1:] == [
        "entered bad",
        "enter good",
        "entered good",
        "enter b",
        "entered b",
        "read 1",
    ]


def test_a_write_that_needs_a_later_one_does_not_wait_for_its_turn_for_ever() -> None:
    def writing(name: str, **args: Any) -> Task:
        policy = Policy(effects="write", resource="book")
        return Task(TaskId(name), "enter", args, policy=policy)

    bench = Bench(enter).run_all(
        writing("first", text=ref("second")),
        writing("second", text="b"),
        writing("third", text="c"),
    )
    assert bench.order == ["second", "first", "third"]
    assert set(map(type, bench.outcomes.values())) == {Ok}


@pytest.mark.parametrize("given", ["tool", "step"])
def test_a_write_is_made_once_however_many_tries_were_asked_for(given: str) -> None:
    @tool(effects="write", idempotent=False)
    async def send(text: str) -> str:
        """Send."""
        calls.append(text)
        raise OSError("broken line")

    made = send if given == "step" else Tool(**{**_fields(send), "retries": Retry(3)})
    task = Task(TaskId("1"), "send", {"text": "x"}, policy=Policy(effects="write", retries=3))
    bench = Bench(made).run_all(task)
    assert bench.outcomes["1"] == Failed("OSError", "OSError: broken line", 1)
    assert calls == ["x"]


def test_an_idempotent_write_is_tried_again() -> None:
    @tool(effects="write", idempotent=True, retries=1)
    async def put(text: str) -> str:
        """Put."""
        calls.append(text)
        if len(calls) == 1:
            raise OSError("busy")
        return text

    seen = play(lines('put("x")'), tools=[put])
    assert seen.result["1"] == Ok("x")
    assert len(seen.of(StepRetrying)) == 1


def _fields(made: Tool[..., Any]) -> dict[str, Any]:
    return {name: getattr(made, name) for name in made.__dataclass_fields__}


# -- fallbacks ---------------------------------------------------------------------------------


@tool
async def backup(word: str) -> str:
    """Look a word up elsewhere."""
    calls.append(f"backup {word}")
    await anyio.sleep(1)
    if word == "ghost":
        raise ValueError("nor here")
    return f"backup of {word}"


@tool(fallback="backup", retries=Retry(1, delay=1.0))
async def second(word: str) -> str:
    """Look a word up in a second place."""
    calls.append(f"second {word}")
    raise OSError("down")


@tool(fallback="second")
async def first(word: str) -> str:
    """Look a word up in the first place."""
    calls.append(f"first {word}")
    raise OSError("gone")


def test_the_fallbacks_of_a_tool_are_tried_one_after_the_other() -> None:
    seen = play(lines('first("a")'), tools=[first, second, backup])
    assert seen.result["1"] == Ok("backup of a")
    assert calls == ["first a", "second a", "second a", "backup a"]
    told = [(event.step, event.tool, event.message) for event in seen.of(StepFellBack)]
    assert told == [("1", "second", "OSError: gone"), ("1", "backup", "OSError: down")]


def test_when_every_fallback_fails_all_that_was_tried_is_told() -> None:
    outcome = play(lines('first("ghost")'), tools=[first, second, backup]).result["1"]
    assert isinstance(outcome, Failed)
    assert outcome.attempts == 4
    assert outcome.message == (
        "OSError: gone; and second, tried instead: OSError: down"
        "; and backup, tried instead: ValueError: nor here"
    )


def test_a_fallback_keeps_its_own_tools_limit() -> None:
    running: list[int] = []
    most: list[int] = []

    @tool(limit=1)
    async def spare(word: str) -> str:
        """Stand in."""
        running.append(1)
        most.append(len(running))
        await anyio.sleep(1)
        running.pop()
        return word

    @tool(fallback="spare")
    async def flaky(word: str) -> str:
        """Fail."""
        raise OSError("down")

    plan = lines('spare("a")', 'flaky("b")', 'flaky("c")', 'spare("d")')
    seen = play(plan, tools=[spare, flaky])
    assert max(most) == 1
    assert sorted(seen.ends.values()) == [1.0, 2.0, 3.0, 4.0]


def test_a_run_that_is_stopped_while_a_fallback_waits_for_its_turn_ends() -> None:
    @tool(limit=1)
    async def spare(word: str) -> str:
        """Stand in, slowly."""
        await anyio.sleep(50)
        return word

    @tool(fallback="spare")
    async def flaky(word: str) -> str:
        """Fail."""
        raise OSError("down")

    async def body(executor: Executor) -> None:
        for n, name in enumerate(("spare", "flaky", "flaky")):
            executor.add(call(str(n), name, word=str(n)))
        await anyio.sleep(1)
        executor.stop("enough")

    bench = Bench(spare, flaky).run(body)
    assert set(bench.outcomes.values()) == {Cancelled("enough")}


def test_a_write_falls_back_only_if_it_surely_did_nothing() -> None:
    def writer(error: Exception) -> Tool[..., Any]:
        @tool(effects="write", fallback="other")
        async def send(text: str) -> str:
            """Send."""
            raise error

        return send

    @tool(effects="write")
    async def other(text: str) -> str:
        """Send otherwise."""
        return "sent otherwise"

    for error, outcome in (
        (ToolError("no such person"), Ok("sent otherwise")),
        (OSError("no answer"), Failed("OSError", "OSError: no answer", 1)),
    ):
        assert play(lines('send("x")'), tools=[writer(error), other]).result["1"] == outcome


@pytest.mark.parametrize("named", ["first", "backup"])
def test_no_tool_stands_in_where_a_person_is_to_be_asked(named: str) -> None:
    asked: list[str] = []

    def approve(request: ApprovalRequest) -> bool:
        asked.append(request.tool)
        return True

    @tool(fallback="backup")
    async def first(word: str) -> str:
        """Fail."""
        raise OSError("gone")

    policy = ApprovalPolicy(tools=frozenset({named}))
    seen = play(lines('first("a")'), tools=[first, backup], policy=policy, approver=approve)
    assert seen.result["1"] == Failed("OSError", "OSError: gone", 1)
    assert asked == [name for name in ["first"] if name == named]


# -- what references bring ------------------------------------------------------------------------


@tool
async def count() -> int:
    """Return a number."""
    return 3


@tool
async def anything(kind: str) -> Any:
    """Return anything."""
    return {"list": [1, "x", 2], "null": None}.get(kind)


@tool
async def half(x: float) -> float:
    """Return the half."""
    return x / 2


def test_what_was_converted_of_a_reference_is_told_with_the_step() -> None:
    seen = play(lines("count()", "half(x=$1)", 'look(word="n=${1}")'), tools=[count, half, look])
    told = {step.task.id: step.conversions for step in seen.result.steps}
    assert told == {"1": (), "2": ("x: 3 -> 3.0",), "3": ("word: ${1} as text",)}
    args = {str(step.task.id): step.args for step in seen.result.steps}
    assert isinstance((args["2"] or {})["x"], float)


def test_a_value_that_does_not_fit_fails_its_step_and_the_reference_is_named() -> None:
    seen = play(lines('anything("null")', "half(x=$1)", "half(x=$2)"), tools=[anything, half])
    outcome = seen.result["2"]
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.attempts) == ("ToolArgumentError", 0)
    assert "$1" in outcome.message
    assert isinstance(seen.result["3"], Skipped)


def test_elements_that_do_not_fit_fail_alone() -> None:
    seen = play(lines('anything("list")', "half(each $1)"), tools=[anything, half])
    outcome = seen.result["2"]
    assert isinstance(outcome, Failed)
    assert [type(each) for each in outcome.elements or ()] == [Ok, Failed, Ok]


# -- worker processes -----------------------------------------------------------------------------


@tool(cpu=True)
def burn(seconds: float) -> int:
    """Hold a core for a while, and the interpreter with it."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return threading.get_native_id()


def test_a_tool_that_computes_holds_up_neither_the_loop_nor_this_process() -> None:
    gaps: list[float] = []

    async def main() -> list[Observation]:
        emitter = Emitter("run", anyio.current_time)
        async with (
            anyio.create_task_group() as group,
            Executor(Toolbox([burn]), emitter, no_context) as executor,
        ):

            async def tick() -> None:
                before = time.perf_counter()
                while True:
                    await anyio.lowlevel.checkpoint()
                    gaps.append(time.perf_counter() - before)
                    before = time.perf_counter()

            group.start_soon(tick)
            executor.add(call("1", "burn", seconds=1.0))
            late = Task(TaskId("2"), "burn", {"seconds": 60.0}, policy=Policy(timeout=0.5))
            executor.add(late)
            await executor.wait_settled()
            group.cancel_scope.cancel()
        return executor.observations

    outcomes = {str(each.task.id): each.outcome for each in anyio.run(main)}
    assert isinstance(outcomes["1"], Ok)
    assert outcomes["1"].value != threading.get_native_id()
    assert outcomes["2"] == Failed("ToolTimeoutError", "timed out after 0.5 s", 1)
    assert max(gaps) < 0.9, "the loop stood still"
