"""Which calls of one tool go together into one call of its bulk form, and when?

It does not know time or what a call is: whoever asks says when a window closes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic

from typing_extensions import TypeVar

from llmcompiler.plan import Task, TaskId

__all__ = ["Windows"]

T = TypeVar("T")

_MOST = 100  # calls in one


@dataclass(slots=True)
class _Window(Generic[T]):
    """The calls of one tool that wait; `alone` says whether others may come, as of `seen`."""

    items: list[T] = field(default_factory=list)
    tasks: dict[TaskId, None] = field(default_factory=dict)
    seen: tuple[int, int] = (-1, -1)
    alone: bool = False


class Windows(Generic[T]):
    """Calls that wait a moment for others of their tool. A window opens with the first of them.

    When the plan is `sealed` and no other step of the tool is to come, nobody waits: one that
    needs a step which waits here, as `dependents` tells, cannot come before it.
    """

    def __init__(self, dependents: Callable[[Iterable[TaskId]], Collection[TaskId]]) -> None:
        self._dependents = dependents
        self.sealed = False
        self._open: dict[str, _Window[T]] = {}
        self._timed: set[str] = set()
        self._closed: set[str] = set()
        self._coming: dict[str, set[TaskId]] = {}

    def expect(self, task: Task) -> None:
        """Take in a task that will come to calls."""
        if task.policy.effects == "write" and task.policy.resource is not None:
            return  # they come one by one
        self._coming.setdefault(task.tool, set()).add(task.id)

    def came(self, task: Task) -> None:
        """Take in that a task's calls are there, or will not be."""
        if self._coming:
            self._coming.get(task.tool, set()).discard(task.id)

    def add(self, tool: str, task: TaskId, item: T) -> None:
        """Let a call wait for others."""
        window = self._open.get(tool)
        if window is None:
            window = self._open[tool] = _Window()
        window.items.append(item)
        window.tasks[task] = None

    def __bool__(self) -> bool:
        """Whether any call waits."""
        return bool(self._open)

    def close(self, tool: str) -> None:
        """Say that the window of a tool has been open long enough."""
        self._timed.discard(tool)
        self._closed.add(tool)

    def due(self) -> list[list[T]]:
        """Take out the calls that wait no longer, each list of them for one call."""
        due: list[list[T]] = []
        for tool, window in list(self._open.items()):
            items = window.items
            over = tool in self._closed or (self.sealed and self._is_alone(tool, window))
            while len(items) >= _MOST or (over and items):
                due.append(items[:_MOST])
                del items[:_MOST]
            if not items:
                del self._open[tool]
        self._closed.clear()
        return due

    def untimed(self) -> list[str]:
        """Return the tools whose window has just opened; `close` is due for each in a moment."""
        fresh = [tool for tool in self._open if tool not in self._timed]
        self._timed.update(fresh)
        return fresh

    def _is_alone(self, tool: str, window: _Window[T]) -> bool:
        coming = self._coming.get(tool)
        if not coming:
            return True
        seen = (len(window.items), len(coming))
        if seen != window.seen:
            window.seen = seen
            window.alone = coming.issubset(self._dependents(window.tasks))
        return window.alone
