"""Plans that are handed in, overrides that overlap, requests that are none."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from llmcompiler import Agent, Plan, Result
from llmcompiler.errors import EmptyRequestError, PlanError
from llmcompiler.messages import LLM
from llmcompiler.plan import Failed, Json, Ok, Ref, Task, TaskId, Template
from llmcompiler.testing import ScriptedLLM, run_virtual
from tests.agent.scenario import TOOLS, calls

ONE = Task(TaskId("1"), "price", {"item": "pen"})


def execute(plan: Plan, request: str | None = None, *replies: str) -> Result[str]:
    async def main() -> Result[str]:
        return await Agent(ScriptedLLM(list(replies)), tools=TOOLS).execute(plan, request)

    return run_virtual(main)


def test_a_numbered_plan_with_a_guard_is_answered_like_any_other() -> None:
    guarded = Task(TaskId("2"), "price", {"item": "ruler"}, when=Template((Ref(TaskId("1")),)))
    result = execute(Plan((ONE, guarded)), "Both?", "Answer: 3 and 5")
    assert result.answer == "3 and 5"
    assert result["2"] == Ok(5.0)


def test_a_join_that_names_no_task_is_refused_before_anything_runs() -> None:
    with pytest.raises(PlanError, match="join names '7'"):
        execute(Plan((ONE,), joins=(TaskId("7"),)))
    assert calls == []


def test_an_expression_that_fails_fails_its_step_alone() -> None:
    class Broken:
        refs: tuple[Ref, ...] = ()

        def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
            raise ZeroDivisionError("division by zero")

    tasks = (
        ONE,
        Task(TaskId("2"), "price", {"item": Broken()}),
        Task(TaskId("3"), "price", {"item": "x"}, when=Broken()),
    )
    result = execute(Plan(tasks))
    failed = Failed("BindingError", "ZeroDivisionError: division by zero", attempts=0)
    assert [result[step] for step in ("1", "2", "3")] == [Ok(3.0), failed, failed]


def test_a_request_of_blanks_is_refused_with_a_plan_as_well() -> None:
    with pytest.raises(EmptyRequestError):
        execute(Plan((ONE,)), "  ")
    assert calls == []


def test_a_streamed_run_that_is_refused_leaves_nothing_open() -> None:
    async def main() -> None:
        with pytest.raises(EmptyRequestError):
            async with Agent(ScriptedLLM([]), tools=[]).run_stream(" "):
                pass

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run_virtual(main)
        gc.collect()
    assert [str(each.message) for each in warned] == []


def test_overrides_that_overlap_leave_the_agent_as_it_was() -> None:
    async def main() -> None:
        real: LLM = ScriptedLLM([])
        agent: Agent[Any] = Agent(real, tools=[])

        async def override(begin: float, end: float) -> None:
            await anyio.sleep(begin)
            with agent.override(model=ScriptedLLM([])):
                await anyio.sleep(end - begin)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(override, 0, 2)
            tasks.start_soon(override, 1, 3)
        assert agent.model is real

    run_virtual(main)
