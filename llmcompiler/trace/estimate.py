"""What would a plan cost before it is run: how many calls, how long at best, who must be asked?

It does not know where durations were learned, nor what results will be.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from llmcompiler.graph import CriticalPath, critical_path, in_order, width
from llmcompiler.plan import Argument, Each, Expression, Plan, Ref, Task, TaskId, Template
from llmcompiler.trace.words import counted, seconds_text, step_list

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan would take.

    `calls` is how many tool calls it makes at least: one for each step, and none yet for the steps
    in `fan_outs`, which make one for every element of a list that is not known before. `distinct`
    is the same after equal reads are merged. `path` is the longest chain by learned durations, in
    seconds; tools in `unknown` have none and count as nothing in it. `width` is how many steps can
    run at once; `writes` and `approvals` name the steps that change something and those that
    somebody must approve. `tokens` is about how many the model reads for the answer, results left
    aside: a quarter of the letters; None where that was not asked for.
    """

    steps: int
    calls: int
    distinct: int
    fan_outs: tuple[TaskId, ...]
    path: CriticalPath
    unknown: tuple[str, ...]
    width: int
    writes: tuple[TaskId, ...]
    approvals: tuple[TaskId, ...]
    tokens: int | None = None

    @property
    def text(self) -> str:
        """All of it in a few lines, without a newline behind the last."""
        if not self.steps:
            return "no steps"
        calls = counted(self.calls, "call")
        if self.fan_outs:
            calls = f"at least {calls}, and one for each element in {step_list(self.fan_outs)}"
        if self.distinct < self.calls:
            calls += f"; {self.distinct} after merging equal ones"
        lines = [
            f"{counted(self.steps, 'step')}, at most {self.width} at once",
            calls,
            self._path_text(),
        ]
        if self.writes:
            lines.append(f"writes: {step_list(self.writes)}")
        if self.approvals:
            lines.append(f"needs approval: {step_list(self.approvals)}")
        if self.tokens is not None:
            lines.append(f"about {self.tokens:,} tokens to read for the answer, beside the results")
        return "\n".join(lines)

    def _path_text(self) -> str:
        unknown = ", ".join(self.unknown)
        if not self.path.seconds:
            return f"duration unknown: none is learned of {unknown}" if unknown else "takes no time"
        chain = " → ".join(self.path.steps)
        said = f"critical path {seconds_text(self.path.seconds)} ({chain})"
        return f"{said}, without {unknown}, of unknown duration" if unknown else said


def estimate(plan: Plan, seconds: Callable[[str], float | None]) -> Estimate:
    """Estimate a plan; `seconds` gives what a tool usually takes, or None where nobody knows.

    Effects and approvals are known of plans that `check` has seen; a step without a stated effect
    counts as a read. Raises `PlanError` for a duplicate id, a reference to no task, or a cycle.
    """
    tasks = in_order(plan)
    learned = {tool: seconds(tool) for tool in dict.fromkeys(task.tool for task in plan)}
    fan_outs = frozenset(task.id for task in tasks if _fans_out(task))
    return Estimate(
        steps=len(tasks),
        calls=len(tasks) - len(fan_outs),
        distinct=len(_distinct(tasks) - fan_outs),
        fan_outs=tuple(task.id for task in plan if task.id in fan_outs),
        path=critical_path(tasks, {task.id: learned[task.tool] or 0.0 for task in tasks}),
        unknown=tuple(tool for tool, known in learned.items() if known is None),
        width=width(plan),
        writes=tuple(task.id for task in plan if task.policy.effects == "write"),
        approvals=tuple(task.id for task in plan if task.policy.approve is not None),
    )


def _fans_out(task: Task) -> bool:
    return any(isinstance(value, Each) for value in (*task.positional, *task.args.values()))


def _distinct(tasks: Iterable[Task]) -> set[TaskId]:
    """Return the first of every group of equal reads, and every write.

    Reading the results of two equal steps is equal too, so that whole equal branches count once.
    """
    first: dict[Hashable, TaskId] = {}
    stands_for: dict[TaskId, TaskId] = {}
    for task in tasks:
        key: Hashable = task.id
        if task.policy.effects != "write":
            positional = tuple(_key(value, stands_for) for value in task.positional)
            named = frozenset((name, _key(value, stands_for)) for name, value in task.args.items())
            key = (task.tool, positional, named, task.when and _key(task.when, stands_for))
        stands_for[task.id] = first.setdefault(key, task.id)
    return set(stands_for.values())


def _key(argument: Argument, stands_for: Mapping[TaskId, TaskId]) -> Hashable:
    """Return something that is equal for equal arguments, and for no others."""
    match argument:
        case None | bool() | int() | float() | str():
            return type(argument).__name__, argument
        case Ref():
            return "ref", stands_for[argument.task], argument.path
        case Each():
            return "each", _key(argument.ref, stands_for)
        case Template():
            return "template", tuple(_key(part, stands_for) for part in argument.parts)
        case Mapping():
            pairs = ((name, _key(value, stands_for)) for name, value in argument.items())
            return "object", frozenset(pairs)
        case Expression():
            return "expression", id(argument)
        case _:
            return "list", tuple(_key(value, stands_for) for value in argument)
