"""What is there to show of each step, whether it ran or not?

It does not know where and how a step is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmcompiler.events import Event, StepStarted
from llmcompiler.language.difference import line_of
from llmcompiler.plan import Each, Failed, Observation, Ok, Outcome, Plan, Task, Timing
from llmcompiler.result import Result
from llmcompiler.trace.words import counted, value_text

__all__ = ["Standing", "StepView", "of_plan", "of_run"]

Standing: TypeAlias = Literal["ok", "failed", "skipped", "cancelled", "planned"]


@dataclass(frozen=True, slots=True)
class StepView:
    """One step as a reader sees it.

    `fan` says how many calls it makes, ``""`` if one. `args` and `result` are JSON or the plan
    line and the error, whole. `timing` is None for a step that never ran.
    """

    id: str
    tool: str
    needs: tuple[str, ...]
    standing: Standing
    args: str
    result: str
    fan: str
    write: bool
    critical: bool
    timing: Timing | None

    @property
    def waited(self) -> float:
        """How long it was ready and did not run, in seconds."""
        return 0.0 if self.timing is None else max(0.0, self.timing.start - self.timing.ready)

    @property
    def ran(self) -> bool:
        """Whether there is a bar to draw."""
        return self.timing is not None


def of_plan(plan: Plan, critical: Iterable[str] = ()) -> tuple[StepView, ...]:
    """Return the steps of a plan that nobody has run."""
    path = frozenset(critical)
    return tuple(_planned(task, critical=task.id in path) for task in plan)


def of_run(result: Result[Any], events: Iterable[Event] = ()) -> tuple[StepView, ...]:
    """Return the steps of a run in the order of the plan, those it never came to included."""
    seen = {step.task.id: step for step in result.steps}
    tasks = {task.id: task for task in (*result.plan, *(step.task for step in result.steps))}
    calls = {event.step: event.elements for event in events if isinstance(event, StepStarted)}
    path = frozenset(result.critical_path.steps if result.critical_path.seconds else ())
    return tuple(
        _seen(seen[task.id], calls.get(task.id), critical=task.id in path)
        if task.id in seen
        else _planned(task, critical=False)
        for task in tasks.values()
    )


def _planned(task: Task, *, critical: bool) -> StepView:
    return StepView(
        id=task.id,
        tool=task.tool,
        needs=task.needs,
        standing="planned",
        args=line_of(task),
        result=f"needs approval: {task.policy.approve}" if task.policy.approve is not None else "",
        fan="×n" if _fans_out(task) else "",
        write=task.policy.effects == "write",
        critical=critical,
        timing=None,
    )


def _seen(step: Observation, calls: int | None, *, critical: bool) -> StepView:
    task, timing = step.task, step.timing
    ran = isinstance(step.outcome, Ok | Failed) or timing.end > timing.start
    fan = "" if not _fans_out(task) else "×n" if calls is None else f"×{calls}"
    return StepView(
        id=task.id,
        tool=task.tool,
        needs=task.needs,
        standing=step.outcome.status,
        args=line_of(task) if step.args is None else value_text(dict(step.args)),
        result=_result(step.outcome),
        fan=fan,
        write=task.policy.effects == "write",
        critical=critical,
        timing=timing if ran else None,
    )


def _result(outcome: Outcome) -> str:
    if isinstance(outcome, Ok):
        return value_text(outcome.value)
    if not isinstance(outcome, Failed):
        return outcome.reason
    said = f"{outcome.kind}: {outcome.message}"
    if outcome.attempts > 1:
        said += f" ({counted(outcome.attempts, 'call')})"
    if outcome.elements is not None:
        good = sum(isinstance(each, Ok) for each in outcome.elements)
        said += f" ({good} of {len(outcome.elements)} elements succeeded)"
    return said


def _fans_out(task: Task) -> bool:
    return any(isinstance(value, Each) for value in (*task.positional, *task.args.values()))
