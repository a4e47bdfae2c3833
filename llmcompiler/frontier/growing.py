"""A graph of tasks that grows while it runs, and what became of each.

It knows no clock, no loop, no tool and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llmcompiler.errors import LLMCompilerError
from llmcompiler.frontier.bind import Unbindable, bind, outlook, resolve
from llmcompiler.frontier.commands import Break, Command, Settle
from llmcompiler.frontier.lines import Lines
from llmcompiler.plan import Failed, Json, Ok, Outcome, Outlook, Ref, Skipped, Task, TaskId

__all__ = ["Frontier"]


@dataclass(frozen=True, slots=True)
class _Work:
    """What one call has decided so far, and the outcomes whose dependents are still to be told."""

    commands: list[Command]
    settled: list[tuple[TaskId, Outcome]]

    def settle(self, task: Task, outcome: Outcome, args: Mapping[str, Json] | None = None) -> None:
        self.commands.append(Settle(task, outcome, args))
        self.settled.append((task.id, outcome))


def _skipped(because: TaskId) -> Skipped:
    return Skipped(f"it needs ${because}", because)


class Frontier:
    """A growing graph of tasks and what became of them.

    A task may start once everything it refers to is ok; if something is not, it is skipped with
    the reason. A reference to a task that has not been added yet is waited for. Tasks that write
    start only when the plan is sealed, and tasks of one resource in the order of `Lines`.
    """

    def __init__(self) -> None:
        self._tasks: dict[TaskId, Task] = {}
        self._outcomes: dict[TaskId, Outcome] = {}
        self._unmet: dict[TaskId, int] = {}
        self._dependents: dict[TaskId, list[TaskId]] = {}
        self._held: list[Task] = []
        self._parked: dict[TaskId, Task] = {}
        self._lines = Lines(self.dependents)
        self._sealed = False
        self._broken = False

    @property
    def outcomes(self) -> Mapping[TaskId, Outcome]:
        """What is known so far, by task."""
        return self._outcomes

    @property
    def unsettled(self) -> int:
        """How many tasks were added and have no outcome yet, the parked ones left aside."""
        return len(self._unmet)

    @property
    def parked(self) -> tuple[Task, ...]:
        """The tasks that nobody needs so far."""
        return tuple(self._parked.values())

    def add(self, task: Task, needs: Sequence[TaskId] | None = None) -> list[Command]:
        """Take in a task; ids must be new. `needs` are its own, where they are known already."""
        if task.id in self._tasks or task.id in self._outcomes or task.id in self._parked:
            raise ValueError(f"task {task.id!r} is known already")
        work = _Work([], [])
        self._lines.enter(task)
        self._take(task, work, needs)
        return self._drain(work)

    def replace(self, task: Task) -> list[Command]:
        """Take in a task in place of the one of its id, which must have no outcome yet."""
        if task.id in self._parked:
            self._parked[task.id] = task
            return []
        work = _Work([], [])
        self._withdraw(task.id)
        # It keeps its place in line: what waits behind it does not go first now.
        freed = self._lines.replace(task)
        self._take(task, work)
        self._go(freed, work)
        return self._drain(work)

    def finish(self, task: TaskId, outcome: Outcome) -> list[Command]:
        """Take in what became of a task, or of an id that will never be added."""
        return self._drain(_Work([], [(task, outcome)]))

    def seal(self, *, whole: bool = True) -> list[Command]:
        """Say that nothing will be added: what was held back may start, or is skipped if not `whole`."""
        self._sealed, self._broken = True, not whole
        held, self._held = self._held, []
        work = _Work([], [])
        for task in held:
            if task.id in self._unmet:
                self._ready(task, work)
        return self._drain(work)

    def reopen(self) -> None:
        """Say that a further plan begins: its tasks are held back until it is sealed in turn."""
        self._sealed = self._broken = False

    def park(self, tasks: Iterable[TaskId]) -> list[Command]:
        """Set tasks aside that have not started; they come back when something needs them."""
        work = _Work([], [])
        for name in tasks:
            self._parked[name] = self._tasks[name]
            self._withdraw(name)
            self._go(self._lines.leave(name), work)
        return self._drain(work)

    def revive(self, tasks: Iterable[TaskId]) -> list[Command]:
        """Take parked tasks back, with all that they need."""
        work = _Work([], [])
        self._revive(tasks, work)
        return self._drain(work)

    def unstarted(self) -> tuple[Task, ...]:
        """Return the tasks that have no outcome, in the order they were added."""
        return tuple(task for key, task in self._tasks.items() if key in self._unmet)

    def dependents(self, tasks: Iterable[TaskId]) -> set[TaskId]:
        """Return the unsettled tasks that need one of `tasks`, directly or through others."""
        found: set[TaskId] = set()
        waiting = list(tasks)
        while waiting:
            for dependent in self._dependents.get(waiting.pop(), ()):
                if dependent not in found and dependent in self._unmet:
                    found.add(dependent)
                    waiting.append(dependent)
        return found

    def _take(self, task: Task, work: _Work, needs: Sequence[TaskId] | None = None) -> None:
        needs = task.needs if needs is None else needs
        self._tasks[task.id] = task
        if self._parked:
            self._revive(needs, work)
        unmet = 0
        stopped: TaskId | None = None
        for need in needs:
            outcome = self._outcomes.get(need)
            if outcome is None:
                self._dependents.setdefault(need, []).append(task.id)
                unmet += 1
                if need not in self._tasks:
                    self._lines.crossed = True
            elif stopped is None and type(outcome) is not Ok and need in task.musts:
                stopped = need
        self._unmet[task.id] = unmet
        if stopped is not None:
            work.settle(task, _skipped(stopped))
        elif unmet == 0:
            self._ready(task, work)

    def _withdraw(self, name: TaskId) -> None:
        """Take a task out as if it had never been added; who needs it goes on waiting."""
        task = self._tasks.pop(name)
        del self._unmet[name]
        for need in task.needs:
            waiting = self._dependents.get(need)
            if waiting is not None and name in waiting:
                waiting.remove(name)
        self._held = [other for other in self._held if other.id != name]

    def _go(self, freed: Iterable[Task], work: _Work) -> None:
        """Start those whose turn at their resource has come."""
        for task in freed:
            if task.id in self._unmet:
                self._start(task, work)

    def _revive(self, names: Iterable[TaskId], work: _Work) -> None:
        waiting, wanted = list(names), []
        while waiting:
            task = self._parked.pop(waiting.pop(), None)
            if task is not None:
                wanted.append(task)
                waiting.extend(task.needs)
        for task in wanted:
            self._lines.enter(task)
        for task in wanted:
            self._take(task, work)

    def _ready(self, task: Task, work: _Work) -> None:
        if task.policy.effects == "write" and (not self._sealed or self._broken):
            if self._broken:
                work.settle(task, Skipped("it writes, and its plan was cut off before its end"))
            else:
                self._held.append(task)
        elif self._lines.may_go(task):
            self._start(task, work)

    def _start(self, task: Task, work: _Work) -> None:
        try:
            if task.when is not None and not task.when.evaluate(self.value):
                work.settle(task, Skipped("its condition is false"))
                return
            start = bind(task, self.value)
        except Unbindable as error:
            work.commands.append(Break(task, Failed("BindingError", str(error), attempts=0)))
            return
        except Exception as error:  # noqa: BLE001 - an expression is foreign code and fails its task alone
            known = isinstance(error, LLMCompilerError)
            problem = str(error) if known else f"{type(error).__name__}: {error}"
            work.commands.append(Break(task, Failed("BindingError", problem, attempts=0)))
            return
        if start.elements is not None and not start.elements:
            work.settle(task, Ok([]), start.args)
        else:
            work.commands.append(start)

    def _drain(self, work: _Work) -> list[Command]:
        # A worklist, not recursion: a long chain of skips cannot exhaust the stack.
        while work.settled:
            settled, became = work.settled.pop()
            if settled in self._outcomes:
                continue
            self._outcomes[settled] = became
            self._unmet.pop(settled, None)
            for name in self._dependents.pop(settled, ()):
                left = self._unmet.get(name)
                if left is None:
                    continue
                dependent = self._tasks[name]
                if type(became) is not Ok and settled in dependent.musts:
                    self._unmet.pop(name)
                    work.settle(dependent, _skipped(settled))
                    continue
                self._unmet[name] = left - 1
                if left == 1:
                    self._ready(dependent, work)
            self._go(self._lines.leave(settled), work)
        return work.commands

    def value(self, ref: Ref) -> Json:
        """Return what a reference stands for; raise `Unbindable`, or KeyError before there is it."""
        outcome = self._outcomes[ref.task]
        if isinstance(ref, Outlook) and (ref.asks != "value" or type(outcome) is not Ok):
            return outlook(outcome, ref)
        if type(outcome) is not Ok:
            raise Unbindable(f"${ref.task} has no result")
        return resolve(outcome.value, ref) if ref.path else outcome.value
