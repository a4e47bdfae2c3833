"""What holds for every run, however its model errs and whenever it is stopped."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler import Agent, Limits, Result, tool
from llmcompiler.errors import EndpointError
from llmcompiler.events import Event, PlanChanged, event_from_json, event_to_json
from llmcompiler.messages import FinishReason
from llmcompiler.testing import Reply, ScriptedLLM, run_virtual
from llmcompiler.toolbox import ToolLike
from llmcompiler.transcript import Observed
from tests.agent.scenario import TOOLS

ENDS = {"step_finished", "step_failed", "step_skipped", "step_cancelled"}
SILENT_AFTER_THE_END = {"step_started", "step_retrying", "step_progress"}
CALLS = (
    'price(item="pen")', 'price(item="ghost")', "price(item=each ${r})", "add(left=${r}, right=1)",
    "add(left=each ${r}, right=each ${r})", 'book(item="x${{{r}}}")', 'book("a")', "items(3)",
    "items(n=0)", "slow(seconds=1)", "slow(seconds=each [0.5, 5])", "slow(seconds=each ${r})",
    "stubborn(x=${r})", 'prize(item="x")', "price(item=)", 'price("pen"',
)  # fmt: skip
OTHERS = ("Answer:", "hm", "", "join()", "3. join()", "Replan: more", "Thought: x", "<think>x")


@tool
async def items(n: int) -> list[str]:
    """Give items."""
    await anyio.sleep(0.3)
    return ["x" * length for length in range(n)]


@tool
async def stubborn(x: Any) -> int:
    """Answer a stop with an error of its own."""
    try:
        await anyio.sleep(3)
    except anyio.get_cancelled_exc_class():
        raise RuntimeError("in the cleanup") from None
    return 1


class Narrow:
    """A tool of which two calls may be under way, and the most that ever were."""

    def __init__(self) -> None:
        self.under_way = self.most = 0

        @tool(limit=2, retries=1, timeout=2)
        async def slow(seconds: float) -> float:
            """Take a while, fail after a second exactly."""
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                await anyio.sleep(seconds)
            finally:
                self.under_way -= 1
            if seconds == 1:
                raise ValueError("one")
            return seconds

        self.slow = slow


def reply(random: Random) -> Reply:
    """Write a turn as a model might that makes every mistake there is."""
    endings: tuple[FinishReason, ...] = ("stop", "stop", "stop", "stop", "stop", "cut", "length")
    error = EndpointError("u", "connection", "is gone") if random.random() < 0.03 else None
    if random.random() < 0.35:
        text = "Answer: done" if random.random() < 0.4 else random.choice(OTHERS)
        return Reply(text, random.choice(endings), error)
    number = random.choice([1, 1, 1, 2, 3, 4, 5])
    lines = ["Replan: because"] if random.random() < 0.3 else []
    for _ in range(random.randint(1, 5)):
        written = random.choice(CALLS)
        for mark, low in (("${r}", "$"), ("${{{r}}}", "${")):
            while mark in written:
                near = random.randint(max(0, number - 4), number + 1)
                written = written.replace(mark, f"{low}{near}" + ("}" if low == "${" else ""), 1)
        lines.append(f"{number}. {written}")
        number = max(1, number + random.choice([1, 1, 1, 1, 0, 2, -1]))
    if random.random() < 0.7:
        lines.append(f"{number}. join({random.choice(['', '', '$1', '$2, $1', '$77'])})")
    return Reply("\n".join([*lines, ""]), random.choice(endings), error)


def run(random: Random, narrow: Narrow) -> tuple[Result[str], list[Event]]:
    """Run to the end, which may be a stop at any time."""
    events: list[Event] = []

    async def main() -> Result[str]:
        llm = ScriptedLLM(
            [reply(random) for _ in range(25)],
            chunk=random.choice([None, 1, 5]),
            delay=random.choice([0, 0.02]),
            first_delay=random.choice([0, 0.1, 5]),
        )
        limits = Limits(
            seconds=random.choice([None, 300, 3, 8]),
            answer_seconds=2,
            replans=random.choice([0, 1, 2]),
            repairs=random.choice([0, 1, 2]),
            concurrency=random.choice([1, 2, 128]),
            mends=random.choice([0, 1, 3]),
            tool_calls=random.choice([None, None, None, 3]),
            model_calls=random.choice([None, None, None, 4]),
            result_chars=random.choice([None, 30]),
        )
        tools: list[ToolLike] = [*TOOLS, items, stubborn, narrow.slow]
        agent = Agent(llm, tools=tools, limits=limits)
        until = random.choice([1000.0, 1000.0, 1000.0, random.random() * 8])
        async with agent.run_stream("x", sinks=[events.append]) as stream:
            with anyio.move_on_after(until):
                async for _ in stream.events():
                    pass
            stream.cancel()
        return stream.result

    return run_virtual(main), events


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_every_run_ends_in_order_and_accounts_for_every_step(seed: int) -> None:
    narrow = Narrow()
    result, events = run(Random(seed), narrow)

    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events if event.type.startswith("run_")] == [
        "run_started",
        f"run_{result.status}",
    ]
    assert events[-1].type == f"run_{result.status}"
    assert result.answer if result.status == "finished" else result.error

    ended: Counter[str] = Counter()
    seen: dict[str, Counter[str]] = {"step_started": Counter(), "step_planned": Counter()}
    sealed = False
    for event in events:
        step = getattr(event, "step", None)
        if step is not None:
            assert event.type not in SILENT_AFTER_THE_END or not ended[step]
            ended[step] += event.type in ENDS
            if event.type in seen:
                seen[event.type][step] += 1
        if event.type == "step_started" and event.tool == "book":
            assert sealed, "a write began before its plan was whole"
        sealed = event.type == "plan_finished" or (sealed and event.type != "replan_started")
        assert event_from_json(event_to_json(event)) == event
    started, planned = seen["step_started"], seen["step_planned"]
    assert max(ended.values(), default=0) <= 1
    changes = [event for event in events if isinstance(event, PlanChanged)]
    again = Counter(str(step) for change in changes for step in change.steps)
    for step in planned:
        assert planned[step] == 1 + again[step]
        assert started[step] <= 1 + again[step]
    finished = {step for step, times in ended.items() if times}
    assert started.keys() <= planned.keys() <= finished
    assert sorted(step.task.id for step in result.steps) == sorted(finished)
    assert {task.id for task in result.plan} == planned.keys()
    assert narrow.most <= 2

    told = [e.observation.task.id for e in result.transcript.entries if isinstance(e, Observed)]
    assert len(told) == len(set(told))
    json.dumps(result.to_json(), allow_nan=False, ensure_ascii=False).encode()
