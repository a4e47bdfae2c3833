"""The plan being written: what was accepted, what is to be repaired, when it is whole.

It does not know models, turns or how a step is run; accepted tasks go straight to a `Stage`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from llmcompiler.check import Scope, check
from llmcompiler.dataflow import Flows
from llmcompiler.errors import PlanError
from llmcompiler.events import (
    Emitter,
    PlanChanged,
    PlanFinished,
    PlanIgnored,
    StepPlanned,
    StepRejected,
)
from llmcompiler.language import write_task
from llmcompiler.plan import Failed, Plan, Task, TaskId, args_to_json
from llmcompiler.toolbox import Toolbox

__all__ = ["Draft", "Stage"]


class Stage(Protocol):
    """Where accepted tasks go: an executor, or nothing at all when only a plan is wanted."""

    def add(self, task: Task) -> None:
        """Take in a checked task."""
        ...

    def replace(self, task: Task) -> None:
        """Take in a checked task in place of the one of its id, unless that is over.

        It must have failed, or not have started.
        """
        ...

    def cone(self, tasks: Iterable[TaskId]) -> Collection[TaskId]:
        """Return the unsettled tasks that wait for one of `tasks`, directly or through others."""
        ...

    def abandon(self, task: Task, outcome: Failed) -> None:
        """Take in an id that was refused and never repaired."""
        ...

    def seal(self, *, whole: bool = True, joins: Sequence[TaskId] | None = None) -> None:
        """Take in that nothing will be added to the plan; not `whole` if it was broken off.

        `joins` are the only results that matter, None if all do.
        """
        ...

    def reopen(self) -> None:
        """Take in that a further plan begins."""
        ...


class Draft:
    """Plans of one request, one after the other; ids and references run through all of them.

    A plan is sealed when ``join()`` was read and nothing of it waits for a repair. `flows` tells
    of steps that need approval because of what flows into them; `seen` are the steps whose
    outcomes the model has read.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        emitter: Emitter,
        stage: Stage | None,
        flows: Flows | None = None,
    ) -> None:
        self._toolbox = toolbox
        self._emitter = emitter
        self._stage = stage
        self._flows = flows
        self._mend: _Mend | None = None
        self.seen: Collection[TaskId] = ()
        self._scope = Scope()
        self._tasks: list[Task] = []
        self._awaited: dict[str, PlanError] = {}
        self._joined = False
        self._sealed = False
        self._repairing = False
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

    def begin_repair(self) -> None:
        """Begin a turn that writes lines again: until it ends it may add others to the plan."""
        self._repairing = True

    def end_repair(self, fresh: Iterable[PlanError]) -> None:
        """End it: refused lines without an id that an earlier turn wrote cannot be named any more.

        `fresh` are the lines that this one wrote and that were refused.
        """
        self._repairing = False
        new = set(map(id, fresh))
        for key, error in list(self._awaited.items()):
            if error.task is None and id(error) not in new:
                del self._awaited[key]
        self._seal_if_whole()

    def read(self, task: Task, source: str) -> PlanError | None:
        """Check a task and hand it on; return what is wrong with it, if anything is.

        A line that says once more what is known is set aside: what started is never run twice.
        """
        before = None if self._mend is None else self._reopened(task, source)
        if self._mend is not None and before is None:
            return None
        try:
            checked = check(task, self._toolbox, self._scope, source)
        except PlanError as error:
            if before is None and self._says_again(task):
                self._emitter.emit(PlanIgnored, source, _KNOWN)
                return None
            if before is not None and before.id not in (self._mend or _NOTHING).failed:
                self._scope.accept(before)
            self.reject(error)
            return error
        if before is not None and (checked.tool, checked.args) == (before.tool, before.args):
            self._scope.accept(before)
            failed = before.id in (self._mend or _NOTHING).failed
            self._emitter.emit(PlanIgnored, source, _FAILED if failed else _KNOWN)
            return None
        self._scope.accept(checked)
        self._awaited.pop(checked.id, None)
        checked = self._judged(checked)
        self._emitter.emit(
            StepPlanned, checked.id, checked.tool, args_to_json(checked.args), checked.needs, source
        )
        if before is not None:
            self._emitter.emit(PlanChanged, (checked.id,), (_line(before),), (_line(checked),))
        # First, for the step itself may be over at once, and what waits for it then goes on.
        self._judge_followers(checked.id)
        if before is not None:
            self._put(checked)
        else:
            self._tasks.append(checked)
            if self._stage is not None:
                self._stage.add(checked)
            self._seal_if_whole()
        return None

    def restore(
        self, plans: Iterable[Plan], settled: Iterable[Task], pending: Collection[TaskId] = ()
    ) -> None:
        """Take up plans from an earlier part of the run, of which the `settled` tasks are over.

        What nobody reads is set aside again, but for the steps that were `pending` nevertheless.
        """
        self.plans = list(plans)
        over = {task.id: task for task in settled}
        for plan in self.plans:
            self.begin()
            held = [task.id for task in plan if task.id in pending]
            for task in plan:
                with suppress(PlanError):  # only for what it learns: it was checked before
                    check(task, self._toolbox, self._scope)
                self._scope.accept(task)
                if self._flows is not None:
                    self._flows.add(task)
                if self._stage is not None and task.id not in over:
                    self._stage.add(task)
            if self._stage is not None:
                self._stage.seal(joins=plan.joins and (*plan.joins, *held))
        for name, task in over.items():
            if name not in self._scope.tasks:  # a line that was refused and never repaired
                self._scope.accept(task)

    def begin_mend(self, failed: Collection[TaskId]) -> None:
        """Let steps that failed be written again under their ids, and those that wait for them."""
        self._mend = _Mend(frozenset(failed), self._waiting_for(failed))
        for name in failed:
            self._mend.before[name] = self._scope.tasks[name]
            self._scope.reopen(name)

    def end_mend(self) -> None:
        """Take those that were not written again as they were."""
        mend = self._mend or _NOTHING
        self._mend = None
        for name, task in mend.before.items():
            if name not in self._scope.tasks:
                self._scope.accept(task)
        self._awaited.clear()

    def _reopened(self, task: Task, source: str) -> Task | None:
        """Return the task that a line of a mend takes the place of; None if it has no place."""
        mend = self._mend or _NOTHING
        known = mend.before.get(task.id)
        if known is not None and task.id not in self._scope.tasks:
            return known
        reason = _NOT_HERE
        if task.id in mend.cone and (known is None or task.id in self._awaited):
            if task.id in self._waiting_for(mend.failed | mend.cone):
                known = mend.before[task.id] = self._scope.tasks[task.id]
                self._scope.reopen(task.id)
                return known
            self._awaited.pop(task.id, None)
            reason = _TOO_LATE
        self._emitter.emit(PlanIgnored, source, reason)
        return None

    def _waiting_for(self, steps: Collection[TaskId]) -> frozenset[TaskId]:
        return frozenset() if self._stage is None else frozenset(self._stage.cone(steps))

    def _judged(self, task: Task) -> Task:
        """Have a step approved into which flows what should not leave unseen."""
        if self._flows is None:
            return task
        flow = self._flows.add(task, self.seen)
        if flow is None or task.policy.approve is not None:
            return task
        return replace(task, policy=replace(task.policy, approve=flow.text))

    def _judge_followers(self, step: TaskId) -> None:
        """Judge anew the steps that wait for one that was written, or written again, after them."""
        for flow in () if self._flows is None else self._flows.downstream(step):
            follower = self._scope.tasks.get(flow.step)
            if follower is not None and follower.policy.approve is None:
                follower = replace(follower, policy=replace(follower.policy, approve=flow.text))
                self._scope.accept(follower)
                self._put(follower)

    def _put(self, task: Task) -> None:
        """Put a task in the place of the one of its id."""
        self._tasks = [task if other.id == task.id else other for other in self._tasks]
        for at, plan in enumerate(self.plans):
            if any(other.id == task.id for other in plan):
                tasks = tuple(task if other.id == task.id else other for other in plan)
                self.plans[at] = replace(plan, tasks=tasks)
        if self._stage is not None:
            self._stage.replace(task)

    def reject(self, error: PlanError) -> None:
        """Keep a refused line for repair; tasks that refer to its id wait."""
        mend = self._mend
        if mend is not None and error.task is not None and error.task not in mend.before:
            self._emitter.emit(PlanIgnored, error.source, _NOT_HERE)
            return
        if error.task is not None and TaskId(error.task) not in self._scope.tasks:
            self._scope.awaited.add(TaskId(error.task))
        self._awaited[error.task or f"line {error.line}"] = error
        self._emitter.emit(
            StepRejected, error.task, error.source, error.problem, error.line, error.column
        )

    def join(self, joins: tuple[TaskId, ...] | None) -> None:
        """Take in ``join()``; a name in it that stands for no step is set aside."""
        if self._mend is not None:
            return
        known: list[TaskId] = []
        for name in joins or ():
            if name in self._scope.tasks or name in self._scope.awaited:
                known.append(name)
            else:
                self._emitter.emit(PlanIgnored, f"${name}", "join() names a step that there is not")
        self._joined = True
        self._repairing = False
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
        self._repairing = False
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
        if self._joined and not (self._awaited or self._repairing or self._sealed):
            self._sealed = True
            self._emitter.emit(PlanFinished, len(self._tasks), self._joins, whole)
            if self._stage is not None:
                self._stage.seal(whole=whole, joins=self._joins)


@dataclass(frozen=True, slots=True)
class _Mend:
    """Steps that may be written again: those that `failed`, and those that need them."""

    failed: frozenset[TaskId] = frozenset()
    cone: frozenset[TaskId] = frozenset()
    before: dict[TaskId, Task] = field(default_factory=dict)


_NOTHING = _Mend()
_NOT_HERE = "only steps that failed are written again here"
_TOO_LATE = "this step waits for none that failed any more"
_FAILED = "this call has failed already"
_KNOWN = "this step is known already"


def _line(task: Task) -> str:
    try:
        return write_task(task)
    except PlanError:
        return json.dumps({"id": task.id, "tool": task.tool, "args": args_to_json(task.args)})


def _number(task: TaskId) -> int:
    return int(task) if task.isdecimal() and len(task) <= 18 else 0


def _called(error: PlanError) -> str:
    """The name that a refused line called, as far as it can be told."""
    head = error.source.split("(", 1)[0].split()
    return head[-1] if head else ""
