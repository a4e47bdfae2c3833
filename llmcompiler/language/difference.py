"""How does a plan differ from the one before, said in lines of plan text?

It does not know why a plan was changed, nor which of its steps have run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from llmcompiler.errors import PlanError
from llmcompiler.language.writer import write_task
from llmcompiler.plan import Plan, Task, TaskId, args_to_json, argument_to_json

__all__ = ["diff_plans", "line_of"]


def diff_plans(before: Plan | Sequence[Task], after: Plan | Sequence[Task]) -> tuple[str, ...]:
    """Return what changed from one plan to the other, nothing where nothing did.

    ``- 3. geocode(place="Oslo")`` was there before, ``+ 3. geocode(place="Lima")`` is there now,
    and a line behind two blanks stayed as it was and reads a step that changed. Steps are told
    apart by their ids. Two whole `Plan`s are compared in what they join as well.
    """
    old, new = _lines(before), _lines(after)
    tasks = {task.id: task for task in after}
    changed = {task for task in old.keys() | new.keys() if old.get(task) != new.get(task)}
    said: list[str] = []
    for task in _merged(list(old), list(new)):
        if task in changed:
            said += [f"- {old[task]}"] if task in old else []
            said += [f"+ {new[task]}"] if task in new else []
        elif not changed.isdisjoint(tasks[task].needs):
            said.append(f"  {new[task]}")
    if isinstance(before, Plan) and isinstance(after, Plan) and before.joins != after.joins:
        said += [f"- {_join(before)}", f"+ {_join(after)}"]
    return tuple(said)


def line_of(task: Task) -> str:
    """Write a step as a line of plan text, or as JSON where it has no form in it."""
    try:
        return write_task(task)
    except PlanError:
        shown = {
            "id": task.id,
            "tool": task.tool,
            "args": args_to_json(task.args),
            "positional": [argument_to_json(each) for each in task.positional],
            "when": None if task.when is None else argument_to_json(task.when),
        }
        optional = ("positional", "when")
        kept = {name: value for name, value in shown.items() if value or name not in optional}
        return json.dumps(kept, ensure_ascii=False)


def _lines(tasks: Plan | Sequence[Task]) -> dict[TaskId, str]:
    return {task.id: line_of(task) for task in tasks}


def _merged(old: list[TaskId], new: list[TaskId]) -> list[TaskId]:
    """Put what is gone behind the last thing that stood before it and is still there."""
    left = set(new)
    gone: dict[TaskId | None, list[TaskId]] = {}
    last: TaskId | None = None
    for task in old:
        if task in left:
            last = task
        else:
            gone.setdefault(last, []).append(task)
    return gone.get(None, []) + [each for task in new for each in (task, *gone.get(task, ()))]


def _join(plan: Plan) -> str:
    return f"join({', '.join(f'${task}' for task in plan.joins or ())})"
