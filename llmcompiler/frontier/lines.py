"""Whose turn is it at a resource? Writes keep their order, and reads theirs relative to writes.

It does not know what is to be done at the resource, nor when a task is ready otherwise.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from llmcompiler.plan import Task, TaskId

__all__ = ["Lines"]


@dataclass(order=True, slots=True)
class _Place:
    """A task in its line, by its place in the plan. One that is `waiting` waits for nothing else."""

    key: tuple[int, int]
    task: Task = field(compare=False)
    writes: bool = field(compare=False)
    waiting: bool = field(default=False, compare=False)


class Lines:
    """One line for each resource, of the tasks that use it and have no outcome yet.

    A task that writes has its turn when all before it are gone, one that reads when all writes
    before it are. Places are those in the plan, so a line that is written again keeps its own.
    Where tasks may need later ones, which `crossed` says, nobody waits for those that need them:
    `dependents` tells who does.
    """

    def __init__(self, dependents: Callable[[Iterable[TaskId]], Collection[TaskId]]) -> None:
        self._dependents = dependents
        self._lines: dict[str, list[_Place]] = {}
        self._places: dict[TaskId, _Place] = {}
        self._count = 0
        self._latest = 0
        self.crossed = False

    def enter(self, task: Task) -> None:
        """Take in a task, if it uses a resource."""
        self._count += 1
        number = int(task.id) if task.id.isdecimal() and len(task.id) <= 18 else self._count
        self.crossed = self.crossed or number < self._latest
        self._latest = max(self._latest, number)
        if task.policy.resource is not None:
            self._insert(task, task.policy.resource, (number, self._count))

    def replace(self, task: Task) -> list[Task]:
        """Put a task in the place of the one of its id; return those whose turn has come by that."""
        self.crossed = True
        before = self._places.pop(task.id, None)
        if before is None:
            self.enter(task)
            return []
        left = before.task.policy.resource or ""
        self._lines[left].remove(before)
        if task.policy.resource is not None:
            self._insert(task, task.policy.resource, before.key)
        return self._freed(left)

    def may_go(self, task: Task) -> bool:
        """Say whether it is the task's turn; if not, `leave` will tell when it is."""
        place = self._places.get(task.id)
        if place is None:
            return True
        place.waiting = not any(free is place for free in self._free(place.task.policy.resource))
        return not place.waiting

    def leave(self, task: TaskId) -> list[Task]:
        """Let a task go, and return those whose turn has come because of it."""
        place = self._places.pop(task, None)
        if place is None:
            return []
        resource = place.task.policy.resource or ""
        self._lines[resource].remove(place)
        return self._freed(resource)

    def _insert(self, task: Task, resource: str, key: tuple[int, int]) -> None:
        place = self._places[task.id] = _Place(key, task, task.policy.effects == "write")
        insort(self._lines.setdefault(resource, []), place)

    def _freed(self, resource: str) -> list[Task]:
        freed = [free for free in self._free(resource) if free.waiting]
        for free in freed:
            free.waiting = False
        return [free.task for free in freed]

    def _free(self, resource: str | None) -> Iterator[_Place]:
        """Yield those of a line whose turn it is: reads up to the first write, or that."""
        line = self._lines[resource or ""]
        if self.crossed:
            yield from self._free_across(line)
            return
        for at, other in enumerate(line):
            if other.writes:
                if at == 0:
                    yield other
                return
            yield other

    def _free_across(self, line: list[_Place]) -> Iterator[_Place]:
        for at, place in enumerate(line):
            before = [other for other in line[:at] if other.writes or place.writes]
            if before:
                # Whoever needs this one cannot go before it, wherever it stands.
                after = self._dependents((place.task.id,))
                if any(other.task.id not in after for other in before):
                    continue
            yield place
