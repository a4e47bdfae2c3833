"""The plan being written: what was accepted, what is to be repaired, when it is whole.

It does not know models, turns or how a step is run; accepted tasks go straight to a `Stage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from llmcompiler.check import Scope, check
from llmcompiler.errors import PlanError
from llmcompiler.events import (
    Emitter,
    PlanFinished,
    PlanIgnored,
    StepPlanned,
    StepRejected,
)
from llmcompiler.plan import Failed, Plan, Task, TaskId, args_to_json
from llmcompiler.toolbox import Toolbox

__all__ = ["Draft", "Stage"]


class Stage(Protocol):
    """Where accepted tasks go: an executor, or nothing at all when only a plan is wanted."""

    def add(self, task: Task) -> None:
        """Take in a checked task."""
        ...

    def abandon(self, task: Task, outcome: Failed) -> None:
        """Take in an id that was refused and never repaired."""
        ...

    def seal(self, *, whole: bool = True) -> None:
        """Take in that nothing will be added to the plan; not `whole` if it was broken off."""
        ...

    def reopen(self) -> None:
        """Take in that a further plan begins."""
        ...


class Draft:
    """Plans of one request, one after the other; ids and references run through all of them.

    A plan is sealed when ``join()`` was read and nothing of it waits for a repair.
    """

    def __init__(self, toolbox: Toolbox, emitter: Emitter, stage: Stage | None) -> None:
        self._toolbox = toolbox
        self._emitter = emitter
        self._stage = stage
        self._scope = Scope()
        self._tasks: list[Task] = []
        self._awaited: dict[str, PlanError] = {}
        self._joined = False
        self._sealed = False
        self._joins: tuple[TaskId, ...] | None = None
        self.plans: list[Plan] = []

    @property
    def next_id(self) -> int:
        """The number of the next new line."""
        return self._scope.next_id

    @property
    def begun(self) -> bool:
        """Whether anything of the present plan was accepted or is to be repaired."""
        return bool(self._tasks or self._awaited)

    @property
    def joined(self) -> bool:
        """Whether ``join()`` of the present plan was read."""
        return self._joined

    @property
    def last_line(self) -> int:
        """The number of the last accepted line of the present plan, 0 if there is none."""
        return max((_number(task.id) for task in self._tasks), default=0)

    @property
    def awaited(self) -> tuple[PlanError, ...]:
        """What is wrong with the lines that still wait for a repair."""
        return tuple(self._awaited.values())

    def begin(self) -> None:
        """Begin a further plan: tools that write wait for it to be sealed."""
        if self._stage is not None:
            self._stage.reopen()

    def read(self, task: Task, source: str) -> PlanError | None:
        """Check a task and hand it on; return what is wrong with it, if anything is.

        A line that says once more what is known is set aside: what started is never run twice.
        """
        try:
            checked = check(task, self._toolbox, self._scope, source)
        except PlanError as error:
            if self._says_again(task):
                self._emitter.emit(PlanIgnored, source, "this step is known already")
                return None
            self.reject(error)
            return error
        self._scope.accept(checked)
        self._awaited.pop(checked.id, None)
        self._tasks.append(checked)
        self._emitter.emit(
            StepPlanned, checked.id, checked.tool, args_to_json(checked.args), checked.needs, source
        )
        if self._stage is not None:
            self._stage.add(checked)
        self._seal_if_whole()
        return None

    def reject(self, error: PlanError) -> None:
        """Keep a refused line for repair; tasks that refer to its id wait."""
        if error.task is not None and TaskId(error.task) not in self._scope.tasks:
            self._scope.awaited.add(TaskId(error.task))
        self._awaited[error.task or f"line {error.line}"] = error
        self._emitter.emit(
            StepRejected, error.task, error.source, error.problem, error.line, error.column
        )

    def forget_nameless(self, fresh: Iterable[PlanError]) -> None:
        """Drop refused lines without an id that an earlier turn wrote: a repair cannot name them."""
        new = set(map(id, fresh))
        for key, error in list(self._awaited.items()):
            if error.task is None and id(error) not in new:
                del self._awaited[key]
        self._seal_if_whole()

    def join(self, joins: tuple[TaskId, ...] | None) -> None:
        """Take in ``join()``; a name in it that stands for no step is set aside."""
        known: list[TaskId] = []
        for name in joins or ():
            if name in self._scope.tasks or name in self._scope.awaited:
                known.append(name)
            else:
                self._emitter.emit(PlanIgnored, f"${name}", "join() names a step that there is not")
        self._joined = True
        self._joins = tuple(known) or None
        self._seal_if_whole()

    def close(self, *, whole: bool = True) -> Plan:
        """End the present plan: give up what was never repaired, seal it, and keep it.

        One that was broken off is not `whole`: nothing of it that writes may start any more.
        """
        whole = whole or self._joined
        for error in self._awaited.values():
            if error.task is None or TaskId(error.task) in self._scope.tasks:
                continue
            given_up = Task(TaskId(error.task), _called(error), line=error.line)
            self._scope.awaited.discard(given_up.id)
            self._scope.accept(given_up)
            if self._stage is not None:
                self._stage.abandon(given_up, Failed("PlanError", error.problem, attempts=0))
        self._awaited.clear()
        if self._tasks and whole and not self._joined:
            self._emitter.emit(PlanIgnored, "", "a missing join() was supplied")
        self._joined = True
        self._seal_if_whole(whole=whole)
        plan = Plan(tuple(self._tasks), self._joins)
        self.plans.append(plan)
        self._tasks, self._joins = [], None
        self._joined = self._sealed = False
        return plan

    def _says_again(self, task: Task) -> bool:
        """Whether a task says what the one of its id says, however its arguments are written."""
        known = self._scope.tasks.get(task.id)
        if known is None or known.tool != task.tool:
            return False
        renumbered = replace(task, id=TaskId(str(self._scope.next_id)))
        try:
            again = check(renumbered, self._toolbox, self._scope)
        except PlanError:
            return False
        return known.args == again.args

    def _seal_if_whole(self, *, whole: bool = True) -> None:
        if self._joined and not self._awaited and not self._sealed:
            self._sealed = True
            self._emitter.emit(PlanFinished, len(self._tasks), self._joins)
            if self._stage is not None:
                self._stage.seal(whole=whole)


def _number(task: TaskId) -> int:
    return int(task) if task.isdecimal() and len(task) <= 18 else 0


def _called(error: PlanError) -> str:
    """The name that a refused line called, as far as it can be told."""
    head = error.source.split("(", 1)[0].split()
    return head[-1] if head else ""
