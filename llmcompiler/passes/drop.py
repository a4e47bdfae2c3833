"""Which steps of a sealed plan does nobody read?

It does not know when a plan is sealed or how a step is taken out of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from llmcompiler.plan import Task, TaskId

__all__ = ["unread"]


def unread(
    tasks: Iterable[Task],
    joins: Sequence[TaskId] | None,
    settled: Collection[TaskId],
    started: Collection[TaskId],
) -> list[TaskId]:
    """Return the tasks that need not run, in the order given.

    Needed is what `joins` names, what writes, what has `started`, and all that these need, directly
    or through others. What is `settled` is over and is not returned. Where `joins` names nothing
    (None), every result is read. The two collections should answer ``in`` at once: sets, mappings.
    """
    if not joins:
        return []
    known = {task.id: task for task in tasks if task.id not in settled}
    needed: set[TaskId] = set()
    reached = [
        *joins,
        *(key for key, task in known.items() if key in started or task.policy.effects == "write"),
    ]
    while reached:
        key = reached.pop()
        task = known.get(key)
        if task is not None and key not in needed:
            needed.add(key)
            reached.extend(task.needs)
    return [key for key in known if key not in needed]
