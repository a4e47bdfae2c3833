"""A plan seen as a graph: order, cycles, critical path, width, a picture.

It does not know tools, models or how a plan is run; networkx is loaded on first need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmcompiler.errors import PlanError, did_you_mean
from llmcompiler.plan import Plan, Task, TaskId

if TYPE_CHECKING:
    import networkx

__all__ = ["CriticalPath", "critical_path", "in_order", "to_digraph", "to_mermaid", "width"]


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The chain of steps that nothing could have shortened but the steps themselves.

    `seconds` is the sum of their durations.
    """

    steps: tuple[TaskId, ...] = ()
    seconds: float = 0.0


def critical_path(tasks: Iterable[Task], seconds: Mapping[TaskId, float]) -> CriticalPath:
    """Find the longest chain through `tasks`, each weighing its `seconds` (0 where unknown).

    `tasks` come in an order in which each stands after what it needs.
    """
    best: dict[TaskId, float] = {}
    before: dict[TaskId, TaskId | None] = {}
    for task in tasks:
        needed = [need for need in task.needs if need in best]
        last = max(needed, key=lambda need: best[need], default=None)
        best[task.id] = seconds.get(task.id, 0.0) + (best[last] if last is not None else 0.0)
        before[task.id] = last
    if not best:
        return CriticalPath()
    end: TaskId | None = max(best, key=lambda task: best[task])
    total = best[end] if end is not None else 0.0
    steps: list[TaskId] = []
    while end is not None:
        steps.append(end)
        end = before[end]
    return CriticalPath(tuple(reversed(steps)), total)


def to_digraph(plan: Plan) -> networkx.DiGraph[Any]:
    """Return the plan as a networkx graph: nodes are task ids, edges go from need to task."""
    import networkx

    graph: networkx.DiGraph[Any] = networkx.DiGraph()
    for task in plan:
        graph.add_node(task.id, task=task)
    for task in plan:
        graph.add_edges_from((need, task.id) for need in task.needs)
    return graph


def in_order(plan: Plan) -> tuple[Task, ...]:
    """Return the tasks so that each stands after what it needs, else in the order of writing.

    Raises `PlanError` for a duplicate id, a reference to no task, or a cycle, shown as a path.
    """
    import networkx

    known: dict[TaskId, Task] = {}
    for task in plan:
        if task.id in known:
            raise PlanError(f"two tasks have the id {task.id!r}", line=task.line, task=task.id)
        known[task.id] = task
    for task in plan:
        for need in task.needs:
            if need not in known:
                raise PlanError(
                    f"there is no task {need!r}{did_you_mean(need, known)}",
                    line=task.line,
                    task=task.id,
                )
    graph = to_digraph(plan)
    place = {task.id: index for index, task in enumerate(plan)}
    try:
        order = list(networkx.lexicographical_topological_sort(graph, key=lambda key: place[key]))
    except networkx.NetworkXUnfeasible:
        cycle = networkx.find_cycle(graph)
        path = " -> ".join([str(edge[0]) for edge in cycle] + [str(cycle[0][0])])
        raise PlanError(f"the tasks wait for each other in a circle: {path}") from None
    return tuple(known[key] for key in order)


def width(plan: Plan) -> int:
    """Return how many tasks can run at once at most, if all take equally long."""
    import networkx

    generations = networkx.topological_generations(to_digraph(plan))
    return max((len(each) for each in generations), default=0)


def to_mermaid(plan: Plan) -> str:
    """Draw the plan as a mermaid flowchart, edges reduced to those that matter."""
    return plan.to_mermaid()
