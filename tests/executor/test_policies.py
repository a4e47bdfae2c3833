"""What a step says for itself goes before what its tool says: attempts, places, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler import tool
from llmcompiler.events import PassApplied, StepRetrying
from llmcompiler.executor import Executor
from llmcompiler.passes import Passes
from llmcompiler.plan import Each, Failed, Ok, Policy, Task, TaskId
from llmcompiler.recall import Recall
from llmcompiler.retry import Retry
from llmcompiler.toolbox import Tool
from tests.executor.bench import Bench, call, ref


def under(policy: Policy, name: str, function: str, **args: Any) -> Task:
    return Task(TaskId(name), function, args, policy=policy)


class Crowd:
    """A tool that takes a second, and how many of its calls were under way at once, by step."""

    def __init__(self, **settings: Any) -> None:
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}

        async def stay(n: int, step: str = "") -> int:
            """Stay a second."""
            self.now[step] = self.now.get(step, 0) + 1
            self.most[step] = max(self.most.get(step, 0), self.now[step])
            await anyio.sleep(1)
            self.now[step] -= 1
            return n

        self.tool: Tool[..., Any] = tool(**settings)(stay)


@tool
async def numbers(count: int) -> list[int]:
    """Count."""
    return list(range(count))


# -- Policy.limit ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 7), st.none() | st.integers(1, 4)), min_size=1, max_size=3),
    st.none() | st.integers(1, 5),
    st.integers(1, 9),
)
def test_of_one_step_at_most_so_many_calls_are_under_way(
    fans: Sequence[tuple[int, int | None]], tools: int | None, concurrency: int
) -> None:
    crowd = Crowd(limit=tools)
    tasks: list[Task] = []
    for at, (count, limit) in enumerate(fans):
        tasks.append(call(f"n{at}", "numbers", count=count))
        each = Each(ref(f"n{at}"))
        tasks.append(under(Policy(limit=limit), f"s{at}", "stay", n=each, step=f"s{at}"))
    bench = Bench(crowd.tool, numbers, concurrency=concurrency).run_all(*tasks)
    for at, (count, limit) in enumerate(fans):
        assert bench.outcomes[f"s{at}"] == Ok(list(range(count)))
        assert crowd.most[f"s{at}"] <= min(limit or count, tools or count, concurrency)
    if len(fans) == 1:
        count, limit = fans[0]
        at_once = min(limit or count, tools or count, concurrency, count)
        assert crowd.most["s0"] == at_once
        assert bench.ends["s0"] == -(-count // at_once)


def test_another_step_of_the_tool_does_not_wait_for_a_steps_own_limit() -> None:
    crowd = Crowd()
    bench = Bench(crowd.tool, numbers).run_all(
        call("1", "numbers", count=3),
        under(Policy(limit=1), "2", "stay", n=Each(ref("1")), step="2"),
        call("3", "stay", n=7, step="3"),
    )
    assert (bench.ends["2"], bench.ends["3"]) == (3.0, 1.0)


# -- Policy.retry ------------------------------------------------------------------------------


def shaky(fails: int, **settings: Any) -> Tool[..., Any]:
    """Make a tool that fails so many times."""
    tries: list[int] = []

    @tool(**settings)
    async def ask() -> int:
        """Ask."""
        tries.append(1)
        if len(tries) <= fails:
            raise ConnectionError(f"busy {len(tries)}")
        return len(tries)

    return ask


def test_a_steps_own_way_of_trying_again_goes_before_its_tools() -> None:
    policy = Policy(retries=9, retry=Retry(2, delay=1.0, linear=True))
    bench = Bench(shaky(2, retries=0)).run_all(under(policy, "1", "ask"))
    assert bench.outcomes["1"] == Ok(3)
    assert bench.ends["1"] == 3.0, "it waited 1 s and then 2 s"
    waits = [event.wait for event in bench.events if isinstance(event, StepRetrying)]
    assert waits == [1.0, 2.0]


def test_a_step_may_take_its_tools_further_attempts_away() -> None:
    bench = Bench(shaky(1, retries=5)).run_all(under(Policy(retry=Retry()), "1", "ask"))
    assert bench.outcomes["1"] == Failed("ConnectionError", "ConnectionError: busy 1", 1)


@pytest.mark.parametrize(("kind", "attempts"), [("OSError", 3), ("ValueError", 1)])
def test_a_step_may_say_which_errors_are_worth_another_try(kind: str, attempts: int) -> None:
    policy = Policy(retry=Retry(2, on=(kind,)))
    bench = Bench(shaky(9)).run_all(under(policy, "1", "ask"))
    message = f"ConnectionError: busy {attempts}"
    assert bench.outcomes["1"] == Failed("ConnectionError", message, attempts)


def test_a_write_is_not_tried_again_whatever_its_step_says() -> None:
    policy = Policy(effects="write", retry=Retry(5))
    bench = Bench(shaky(1, effects="write")).run_all(under(policy, "1", "ask"))
    assert bench.outcomes["1"] == Failed("ConnectionError", "ConnectionError: busy 1", 1)


# -- Policy.cache ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pure", "asked", "kept"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_a_step_may_say_whether_its_result_is_kept(
    tmp_path: Path, pure: bool, asked: bool | None, kept: bool
) -> None:
    made: list[int] = []

    @tool(pure=pure)
    async def look(n: int) -> int:
        """Look."""
        made.append(n)
        return n * 2

    bench = Bench(look)
    for _ in range(2):
        recall = Recall(tmp_path / "kept.db")
        try:
            bench = Bench(look, passes=Passes(merge=False), recall=recall).run_all(
                under(Policy(cache=asked), "1", "look", n=4)
            )
        finally:
            recall.close()
        assert bench.outcomes["1"] == Ok(8)
    assert len(made) == (1 if kept else 2)
    found = [each for each in bench.events if isinstance(each, PassApplied)]
    assert [each.name for each in found] == (["cache"] if kept else [])


def test_a_step_that_will_have_nothing_kept_is_not_given_what_another_kept(tmp_path: Path) -> None:
    made: list[int] = []

    @tool(pure=True)
    async def look(n: int) -> int:
        """Look."""
        made.append(n)
        return n * 2

    recall = Recall(tmp_path / "kept.db")

    async def body(executor: Executor) -> None:
        for name, asked in (("1", None), ("2", False), ("3", True)):
            executor.add(under(Policy(cache=asked), name, "look", n=4))
            await executor.wait_settled()

    try:
        Bench(look, passes=Passes(merge=False), recall=recall).run(body)
    finally:
        recall.close()
    assert len(made) == 2
