"""Of the calls that may start, which should start first?

It does not know limits, clocks or what a call does: only tasks and how long their tools usually take.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeAlias

from typing_extensions import TypeVar

from llmcompiler.plan import Task, TaskId

__all__ = ["Ranks", "Ready"]

T = TypeVar("T")

_ALLOWANCE = 4  # tasks that may be looked at, on average, for each that is added or settled
_CHANGED = 1.25  # a usual duration that moved by less than this factor changes no order
_NOTICED = 0.001  # nor does one that moved by fewer seconds than this
_LOOK_AGAIN = 4  # durations are looked up when this many times as many tasks have settled


_Take: TypeAlias = Callable[[Task, "Iterable[TaskId] | None"], None]
_Note: TypeAlias = "TaskId | tuple[_Take, Task, Iterable[TaskId] | None]"


class Ranks:
    """How long the longest path from a task to an end of the plan is, in seconds.

    Only tasks without an outcome count, each as long as its tool usually takes: `usual` says how
    long, or None; a tool it does not know takes the mean of those in the plan that it knows, or
    one second. Adding and settling only take notes; the work is done when a rank is asked for.
    Durations are looked up when a tool is first met, and again when 1, 4, 16, … tasks have settled.
    """

    def __init__(self, usual: Callable[[str], float | None]) -> None:
        self._usual = usual
        self._durations: dict[str, float | None] = {}
        self._guess = 1.0
        self._tools: dict[TaskId, str] = {}
        self._needs: dict[TaskId, tuple[TaskId, ...]] = {}
        self._weights: dict[TaskId, float] = {}
        self._ranks: dict[TaskId, float] = {}
        self._places: dict[TaskId, int] = {}
        self._settled: set[TaskId] = set()
        self._ahead: dict[TaskId, list[TaskId]] = {}  # who needs a task that was not added yet
        self._fresh: dict[TaskId, None] = {}
        self._stale = False
        self._settles = 0
        self._next_look = 1
        self._spent = 0
        self._risen: list[TaskId] = []
        self._notes: list[_Note] = []
        self.version = 0
        """How often all ranks were worked out anew; in between they only rise."""

    def add(self, task: Task, needs: Iterable[TaskId] | None = None) -> None:
        """Take in a task; `needs` are all that it waits for, where its references are not all."""
        self._notes.append((self._added, task, needs))

    def replace(self, task: Task, needs: Iterable[TaskId] | None = None) -> None:
        """Take in another task under the id of one that has no outcome."""
        self._notes.append((self._replaced, task, needs))

    def settle(self, task: TaskId) -> None:
        """Take in that a task has an outcome, or will never be added."""
        self._notes.append(task)

    def _read_notes(self) -> None:
        for note in self._notes:
            if isinstance(note, tuple):
                take, task, needs = note
                take(task, needs)
            else:
                self._over(note)
        self._notes.clear()

    def _added(self, task: Task, needs: Iterable[TaskId] | None) -> None:
        key = task.id
        self._places[key] = len(self._places)
        self._settled.discard(key)
        self._enter(task, needs)
        self._spent -= _ALLOWANCE
        for dependent in self._ahead.pop(key, ()):
            self._fresh[dependent] = None

    def _replaced(self, task: Task, needs: Iterable[TaskId] | None) -> None:
        if task.id in self._needs:
            self._enter(task, needs)
            self._stale = True
        else:
            self._added(task, needs)

    def _over(self, task: TaskId) -> None:
        needs = self._needs.pop(task, ())
        rank = self._ranks.pop(task, 0.0)
        for need in needs:
            below = self._ranks.get(need)
            if below is not None and below <= self._weights[need] + rank:
                self._stale = True
        self._settled.add(task)
        self._weights.pop(task, None)
        self._tools.pop(task, None)
        self._ahead.pop(task, None)
        self._fresh.pop(task, None)
        self._spent -= _ALLOWANCE
        self._settles += 1
        if self._settles == self._next_look:
            self._next_look *= _LOOK_AGAIN
            self._look_up()

    def rank(self, task: TaskId) -> float:
        """Return the rank of a task in seconds; 0 if it has an outcome or is not known."""
        self._work_out()
        return self._ranks.get(task, 0.0)

    def _enter(self, task: Task, needs: Iterable[TaskId] | None) -> None:
        key, tool = task.id, task.tool
        if tool not in self._durations:
            self._meet(tool)
        duration = self._durations[tool]
        weight = self._guess if duration is None else duration
        self._tools[key] = tool
        self._weights[key] = self._ranks[key] = weight
        found = self._needs[key] = task.needs if needs is None else tuple(needs)
        for need in found:
            if need not in self._needs and need not in self._settled:
                self._ahead.setdefault(need, []).append(key)
        self._fresh[key] = None

    def _meet(self, tool: str) -> None:
        self._durations[tool] = self._usual(tool)
        self._guess_anew()

    def _look_up(self) -> None:
        for tool, before in self._durations.items():
            now = self._usual(tool)
            if now is not None and (before is None or _differ(before, now)):
                self._durations[tool] = now
                self._stale = True
        self._guess_anew()

    def _guess_anew(self) -> None:
        known = [duration for duration in self._durations.values() if duration is not None]
        guess = sum(known) / len(known) if known else 1.0
        if guess != self._guess:
            self._guess = guess
            self._stale = self._stale or len(known) < len(self._durations)

    def _catch_up(self) -> None:
        """Work ranks out unless that was done too often already: old ones order well enough."""
        if self._notes:
            self._read_notes()
        if self._spent <= 0:
            self._work_out()

    def _work_out(self) -> None:
        if self._notes:
            self._read_notes()
        if self._stale or (self._fresh and not self._raise()):
            self._all_anew()

    def _raise(self) -> bool:
        """Hand the ranks of what is new down to what it needs; return False if it goes on and on."""
        needs, ranks, weights, places = self._needs, self._ranks, self._weights, self._places
        fresh, risen = self._fresh, self._risen
        heap: list[tuple[int, TaskId]] = []
        queued: set[TaskId] = set()
        most = visits = len(fresh) + 2 * len(needs)
        # What was added last is needed by nothing, so one pass backwards meets every task once.
        while fresh or heap:
            if fresh:
                task = fresh.popitem()[0]
            else:
                task = heapq.heappop(heap)[1]
                queued.discard(task)
            rank = ranks.get(task)
            if rank is None:
                continue
            visits -= 1
            if not visits:
                return False
            for need in needs[task]:
                weight = weights.get(need)
                if weight is not None and rank + weight > ranks[need]:
                    ranks[need] = rank + weight
                    if need not in fresh and need not in queued:
                        queued.add(need)
                        heapq.heappush(heap, (-places[need], need))
                    risen.append(need)
        self._spent += most - visits
        return True

    def _all_anew(self) -> None:
        """Work out every rank: what nothing needs first, so that each task is met once."""
        needs, tools, durations = self._needs, self._tools, self._durations
        waits: dict[TaskId, int] = dict.fromkeys(needs, 0)
        for of in needs.values():
            for need in of:
                if need in waits:
                    waits[need] += 1
        weights: dict[TaskId, float] = {}
        for task, tool in tools.items():
            duration = durations[tool]
            weights[task] = self._guess if duration is None else duration
        ranks = dict(weights)
        free = [task for task, count in waits.items() if not count]
        while free:
            task = free.pop()
            rank = ranks[task]
            for need in needs[task]:
                left = waits.get(need)
                if left is not None:
                    waits[need] = left - 1
                    if left == 1:
                        free.append(need)
                    if rank + weights[need] > ranks[need]:
                        ranks[need] = rank + weights[need]
        self._weights, self._ranks = weights, ranks
        self._fresh.clear()
        self._risen.clear()
        self._stale = False
        self._spent += len(needs)
        self.version += 1


def _differ(before: float, now: float) -> bool:
    return abs(now - before) > _NOTICED and not before / _CHANGED <= now <= before * _CHANGED


@dataclass(slots=True, eq=False)
class _Line(Generic[T]):
    """The items of one task that wait, each with its number; `key` is how they stand in the heap."""

    key: tuple[float, float] = (0.0, 0.0)
    items: deque[tuple[int, T]] = field(default_factory=deque)


class Ready(Generic[T]):
    """What may start, the highest rank first; of equals the shortest, then in order of arrival.

    A task may have several items (one for every element of a fan-out). Ranks may rise while a task
    waits. Without `ranks` it is a plain queue: first in, first out.
    """

    def __init__(self, ranks: Ranks | None = None) -> None:
        self._ranks = ranks
        self._version = ranks.version if ranks else 0
        self._lines: dict[TaskId, _Line[T]] = {}
        self._heap: list[tuple[tuple[float, float], int, TaskId]] = []
        self._new: deque[TaskId] = deque()
        self._seen = 0  # of the ranks that have risen since they were worked out anew
        self._number = 0
        self._foremost = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, task_id: TaskId, item: T, *, first: bool = False) -> None:
        """Let an item of a task wait for its turn; `first`: before all others of its rank."""
        line = self._lines.get(task_id)
        if line is None:
            line = self._lines[task_id] = _Line()
            self._new.append(task_id)
        if not self._count and self._ranks is not None:
            self._seen = len(self._ranks._risen)
        self._count += 1
        if not first:
            line.items.append((self._number, item))
            self._number += 1
            return
        self._foremost -= 1
        if line.items:  # its entry in the heap names another item
            self._new.appendleft(task_id)
        line.items.appendleft((self._foremost, item))

    def pop(self, room: int = 1) -> T | None:
        """Take the next item, None if there is none.

        `room` says how many calls may start now: where that is enough for all that wait, their
        order does not matter, and no rank is worked out for it.
        """
        if room < self._count:
            self._sort_in()
        task = self._first()
        if task is None:
            return None
        line, heap = self._lines[task], self._heap
        item = line.items.popleft()[1]
        self._count -= 1
        if line.items:
            if heap and heap[0][2] == task:
                heapq.heapreplace(heap, (line.key, line.items[0][0], task))
        else:
            del self._lines[task]
            if heap and heap[0][2] == task:
                heapq.heappop(heap)
        return item

    def discard(self, task_id: TaskId) -> None:
        """Take out every item of a task, if there is any."""
        line = self._lines.get(task_id)
        if line is not None:
            self._count -= len(line.items)
            del self._lines[task_id]

    def _first(self) -> TaskId | None:
        """Return the task at the head and leave its entry there; drop entries that are void."""
        heap, lines = self._heap, self._lines
        while heap:
            key, number, task = heap[0]
            line = lines.get(task)
            if line is not None and line.key == key and line.items[0][0] == number:
                return task
            heapq.heappop(heap)
        while self._new:
            if self._new[0] in lines:
                return self._new[0]
            self._new.popleft()
        return None

    def _sort_in(self) -> None:
        ranks, lines = self._ranks, self._lines
        if ranks is not None:
            ranks._catch_up()
            if ranks.version != self._version:
                self._version = ranks.version
                self._seen = len(ranks._risen)
                self._heap.clear()
                self._new = deque(lines)
            elif self._seen < len(ranks._risen):
                for task in ranks._risen[self._seen :]:
                    if task in lines:
                        heapq.heappush(self._heap, self._entry(task))
                self._seen = len(ranks._risen)
        if self._new:
            entries = [self._entry(task) for task in self._new if task in lines]
            self._new.clear()
            if len(entries) > len(self._heap):
                self._heap.extend(entries)
                heapq.heapify(self._heap)
            else:
                for entry in entries:
                    heapq.heappush(self._heap, entry)

    def _entry(self, task: TaskId) -> tuple[tuple[float, float], int, TaskId]:
        line, ranks = self._lines[task], self._ranks
        if ranks is not None:
            line.key = (-ranks._ranks.get(task, 0.0), ranks._weights.get(task, 0.0))
        return line.key, line.items[0][0], task
