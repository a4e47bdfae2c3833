"""What does a step of a workflow file cost, beside the same step of a plan that a model wrote?

It does not know how either is run: both go to the same executor.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import anyio

from benchmarks.plans_table import Row, Say
from llmcompiler import Agent, Plan, Task, tool
from llmcompiler.plan import Ref, TaskId
from llmcompiler.testing import ScriptedLLM
from llmcompiler.workflow import Workflow

__all__ = ["workflows"]

_COUNT = 2000


@tool
async def nop(x: float) -> float:
    """Give one more."""
    return x + 1


def _by_model() -> Plan:
    first = Task(TaskId("1"), "nop", {"x": 0})
    rest = (
        Task(TaskId(str(n)), "nop", {"x": Ref(TaskId(str(n - 1)))}) for n in range(2, _COUNT + 1)
    )
    return Plan((first, *rest))


def _by_hand() -> str:
    lines = ["tools: [benchmarks.plans_workflows]", "steps:", "  s1: {uses: nop, with: {x: 0}}"]
    lines += [
        f'  s{n}: {{uses: nop, with: {{x: "${{{{ steps.s{n - 1}.output }}}}"}}}}'
        for n in range(2, _COUNT + 1)
    ]
    return "\n".join([*lines, ""])


def workflows(say: Say, repeat: int) -> Iterator[Row]:
    """CPU time of a chain of 2,000 steps: the plan of a file, and a plan as a model writes it."""
    begun = time.process_time()
    workflow = Workflow.loads(_by_hand())
    loading = time.process_time() - begun
    agent = Agent(ScriptedLLM([]), tools=workflow.tools)

    def taken(plan: Plan) -> float:
        async def main() -> None:
            result = await agent.execute(plan)
            assert result.steps[-1].outcome.status == "ok"

        began = time.process_time()
        anyio.run(main)
        return time.process_time() - began

    plans = (_by_model(), workflow.plan())
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat + 1):
        for plan, seconds in zip(plans, times, strict=True):
            seconds.append(taken(plan))
    model, hand = (statistics.median(seconds[1:]) for seconds in times)
    yield Row(
        "a step of a workflow's plan, against the same step of a model's plan",
        hand / model,
        "x",
        "<=",
        1.1,
        f"{hand / _COUNT * 1e6:.0f} µs and {model / _COUNT * 1e6:.0f} µs; loading and checking the "
        f"{_COUNT:,} steps took {loading:.2f} s of CPU",
    )
