"""Which tasks may start now? What happened goes in, what to do comes out.

It knows no clock, no loop, no tool and no model: it can be tested as arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from llmcompiler.errors import did_you_mean
from llmcompiler.plan import (
    Argument,
    Each,
    Expression,
    Failed,
    Json,
    Ok,
    Outcome,
    Ref,
    Skipped,
    Star,
    Task,
    TaskId,
)

__all__ = ["Command", "Frontier", "Settle", "Start", "resolve"]


@dataclass(frozen=True, slots=True)
class Start:
    """Call the task's tool now. For a fan-out, `elements` holds one set of arguments per call."""

    task: Task
    args: Mapping[str, Json]
    elements: tuple[Mapping[str, Json], ...] | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """The task will not be called: its outcome is known already."""

    task: Task
    outcome: Outcome
    args: Mapping[str, Json] | None = None


Command: TypeAlias = "Start | Settle"


class _Unbindable(Exception):
    """Arguments that cannot be filled in from the results there are."""


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
    the reason. A reference to a task that has not been added yet is waited for. Tasks for which
    `waits_for_seal` is true start only when the plan is sealed.
    """

    def __init__(self, waits_for_seal: Callable[[Task], bool] = lambda task: False) -> None:
        self._waits_for_seal = waits_for_seal
        self._tasks: dict[TaskId, Task] = {}
        self._outcomes: dict[TaskId, Outcome] = {}
        self._unmet: dict[TaskId, int] = {}
        self._dependents: dict[TaskId, list[Task]] = {}
        self._held: list[Task] = []
        self._sealed = False
        self._broken = False

    @property
    def outcomes(self) -> Mapping[TaskId, Outcome]:
        """What is known so far, by task."""
        return self._outcomes

    @property
    def unsettled(self) -> int:
        """How many tasks were added and have no outcome yet."""
        return len(self._unmet)

    def add(self, task: Task) -> list[Command]:
        """Take in a task; ids must be new."""
        if task.id in self._tasks or task.id in self._outcomes:
            raise ValueError(f"task {task.id!r} is known already")
        self._tasks[task.id] = task
        unmet = 0
        stopped: TaskId | None = None
        for need in task.needs:
            outcome = self._outcomes.get(need)
            if outcome is None:
                self._dependents.setdefault(need, []).append(task)
                unmet += 1
            elif stopped is None and type(outcome) is not Ok:
                stopped = need
        self._unmet[task.id] = unmet
        work = _Work([], [])
        if stopped is not None:
            work.settle(task, _skipped(stopped))
        elif unmet == 0:
            self._ready(task, work)
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

    def unstarted(self) -> tuple[Task, ...]:
        """Return the tasks that have no outcome, in the order they were added."""
        return tuple(task for key, task in self._tasks.items() if key in self._unmet)

    def _ready(self, task: Task, work: _Work) -> None:
        if (not self._sealed or self._broken) and self._waits_for_seal(task):
            if self._broken:
                work.settle(task, Skipped("it writes, and its plan was cut off before its end"))
            else:
                self._held.append(task)
        else:
            self._start(task, work)

    def _start(self, task: Task, work: _Work) -> None:
        try:
            if task.when is not None and not task.when.evaluate(self._value):
                work.settle(task, Skipped("its condition is false"))
                return
            start = self._bind(task)
        except _Unbindable as error:
            work.settle(task, Failed("BindingError", str(error), attempts=0))
            return
        except Exception as error:  # noqa: BLE001 - an expression is foreign code and fails its task alone
            problem = f"{type(error).__name__}: {error}"
            work.settle(task, Failed("BindingError", problem, attempts=0))
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
            for dependent in self._dependents.pop(settled, ()):
                left = self._unmet.get(dependent.id)
                if left is None:
                    continue
                if type(became) is not Ok:
                    self._unmet.pop(dependent.id)
                    work.settle(dependent, _skipped(settled))
                    continue
                self._unmet[dependent.id] = left - 1
                if left == 1:
                    self._ready(dependent, work)
        return work.commands

    def _value(self, ref: Ref) -> Json:
        outcome = self._outcomes[ref.task]
        if type(outcome) is not Ok:
            raise _Unbindable(f"${ref.task} has no result")
        return resolve(outcome.value, ref) if ref.path else outcome.value

    def _bind(self, task: Task) -> Start:
        args: dict[str, Json] = {}
        fans: dict[str, list[Json]] = {}
        for name, argument in task.args.items():
            if type(argument) is Each:
                value = self._value(argument.ref)
                if not isinstance(value, list):
                    raise _Unbindable(f"{argument} needs a list, and {argument.ref} is {_a(value)}")
                fans[name] = value
                args[name] = value
            else:
                args[name] = self._fill(argument)
        if not fans:
            return Start(task, args)
        lengths = {len(values) for values in fans.values()}
        if len(lengths) > 1:
            shown = " and ".join(f"{name} has {len(values)}" for name, values in fans.items())
            raise _Unbindable(f"lists that go in step must be of one length: {shown}")
        count = lengths.pop()
        elements = tuple(
            {name: fans[name][index] if name in fans else value for name, value in args.items()}
            for index in range(count)
        )
        return Start(task, args, elements)

    def _fill(self, argument: Argument) -> Json:
        kind = type(argument)
        if kind is str or kind is int or kind is float or kind is bool or argument is None:
            return cast("Json", argument)
        if kind is Ref:
            return self._value(cast("Ref", argument))
        if isinstance(argument, Mapping):
            return {name: self._fill(value) for name, value in argument.items()}
        if isinstance(argument, Expression):
            return argument.evaluate(self._value)
        return [self._fill(value) for value in cast("list[Argument]", argument)]


def resolve(value: Json, ref: Ref) -> Json:
    """Follow a reference's path into a result; raise an error that names the step that failed."""
    return _walk(value, ref, 0)


def _walk(value: Json, ref: Ref, at: int) -> Json:
    for index in range(at, len(ref.path)):
        step = ref.path[index]
        here = f"${ref.task}{Ref(ref.task, ref.path[:index]).path_text}"
        if isinstance(step, str):
            if not isinstance(value, dict):
                raise _Unbindable(f"{here} is {_a(value)} and has no {step!r}")
            if step not in value:
                raise _Unbindable(f"{here} has no {step!r}{did_you_mean(step, map(str, value))}")
            value = value[step]
            continue
        if not isinstance(value, list):
            raise _Unbindable(f"{here} is {_a(value)}, not a list")
        if isinstance(step, Star):
            return [_walk(element, ref, index + 1) for element in value]
        if not -len(value) <= step < len(value):
            raise _Unbindable(f"{here} has {len(value)} elements and no [{step}]")
        value = value[step]
    return value


def _a(value: Json) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
    }
    return "null" if value is None else names.get(type(value), "a number")
