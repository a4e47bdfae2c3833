"""Which steps are under way, and what do their calls come to together?

It does not know how a call is made, nor what follows from a step's outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llmcompiler.events import Emitter, StepStarted
from llmcompiler.executor.fitting import Fitted
from llmcompiler.executor.work import Call, Step, together
from llmcompiler.plan import Observation, Outcome, Task, TaskId, Timing
from llmcompiler.toolbox import Tool

__all__ = ["Steps"]


class Steps:
    """The steps that were handed to the crew and have no outcome yet; `conclude` hears of each."""

    def __init__(self, emitter: Emitter, conclude: Callable[[Observation], None]) -> None:
        self._emitter = emitter
        self._conclude = conclude
        self.started: dict[TaskId, Step] = {}
        """By name."""
        self.stopped = False

    def begun(self) -> set[TaskId]:
        """Return those of which a call was made, or is."""
        return {name for name, step in self.started.items() if step.began >= 0}

    def is_under_way(self, task: Task) -> bool:
        """Whether the step may still be spoken of; a thread that was left behind outlives it."""
        step = self.started.get(task.id)
        return step is not None and step.start.task is task and not self.stopped

    def admit(self, fit: Fitted, tool: Tool[..., Any], take: Callable[[Call], None]) -> None:
        """Take in a step whose calls may be made, and hand each of them on."""
        start = fit.start
        step = Step(start, tool, self._emitter.now(), fit.conversions)
        self.started[start.task.id] = step
        if start.elements is None:
            step.call = Call(step, start.args, None)
            take(step.call)
            return
        step.left = len(start.elements)
        outcomes: list[Outcome | None] = [None] * step.left
        step.outcomes = outcomes
        unfit = dict(fit.unfit)
        for index, args in enumerate(start.elements):
            call = Call(step, args, index)
            if index in unfit:
                self.announce(step)
                self.ended(call, unfit[index])
            else:
                take(call)

    def announce(self, step: Step) -> None:
        """Say that a step has begun, once."""
        if step.began < 0 and not step.dropped:
            step.began = self._emitter.now()
            start = step.start
            elements = None if start.elements is None else len(start.elements)
            self._emitter.emit(StepStarted, start.task.id, start.task.tool, start.args, elements)

    def ended(self, call: Call, outcome: Outcome) -> None:
        """Take in what became of a call, for it and for those that followed it."""
        self._ended(call, outcome)
        if call.followers is not None:
            for follower in call.followers:
                self._ended(follower, outcome)

    def drop(self, names: Iterable[TaskId]) -> int:
        """Forget steps; return how many of their calls are made all the same, for another step."""
        steps = [step for name in names if (step := self.started.pop(name, None)) is not None]
        for step in steps:
            step.dropped = True
        return sum(step.call is not None and step.call.wanted for step in steps)

    def broken_off(self, task: TaskId, outcome: Outcome) -> Observation | None:
        """Return what became of a step that is stopped now; None if it is not under way."""
        step = self.started.get(task)
        if step is None:
            return None
        began = step.ready if step.began < 0 else step.began
        timing = Timing(step.ready, began, self._emitter.now())
        return Observation(step.start.task, outcome, timing, step.start.args, step.conversions)

    def _ended(self, call: Call, outcome: Outcome) -> None:
        step = call.step
        if step.dropped:
            return
        if call.index is not None and step.outcomes is not None:
            step.outcomes[call.index] = outcome
            step.left -= 1
            if step.left:
                return
            outcome = together(step.outcomes)
        task = step.start.task
        del self.started[task.id]
        timing = Timing(step.ready, step.began, self._emitter.now())
        self._conclude(Observation(task, outcome, timing, step.start.args, step.conversions))
