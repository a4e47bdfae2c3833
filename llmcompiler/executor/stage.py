"""Starts what the frontier allows, within limits and deadlines, and records what became of it.

It does not know models, prompts or why a plan is as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from llmcompiler.approval import ApprovalRequest, Verdict
from llmcompiler.budget import Budget
from llmcompiler.events import (
    Emitter,
    PassApplied,
)
from llmcompiler.executor.calls import Caller, ContextMaker
from llmcompiler.executor.crew import Crew
from llmcompiler.executor.fitting import Fitted, fitted
from llmcompiler.executor.gate import Gate
from llmcompiler.executor.hedge import Hedges
from llmcompiler.executor.ledger import Ledger
from llmcompiler.executor.queue import Queue
from llmcompiler.executor.reuse import Reuse
from llmcompiler.executor.steps import Steps
from llmcompiler.executor.work import Call
from llmcompiler.frontier import Break, Command, Frontier, Settle, Start
from llmcompiler.passes import Durations, Passes, Ranks, Windows, unread
from llmcompiler.plan import (
    Cancelled,
    Failed,
    Observation,
    Skipped,
    Task,
    TaskId,
)
from llmcompiler.toolbox import Tool, Toolbox

if TYPE_CHECKING:
    from llmcompiler.recall import Recall

__all__ = ["Executor"]


class Executor:
    """Runs tasks as they are added; `observations` grows in order of completion.

    An async context manager: every call lives in its task group, and leaving it stops what still
    runs. `context` makes what a tool may ask of its run. At most `concurrency` calls are under
    way at once, and of each tool at most its own `limit`. While `mends` is true, a step that
    failed is not settled but among the `ailing`, until it is replaced or given up.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        emitter: Emitter,
        context: ContextMaker,
        *,
        concurrency: int = 128,
        passes: Passes | None = None,
        durations: Durations | None = None,
        recall: Recall | None = None,
        gate: Gate | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._toolbox = toolbox
        self._emitter = emitter
        self._passes = passes = passes or Passes()
        self._gate = gate or Gate(emitter)
        durations = durations or Durations()
        self._frontier = Frontier()
        self._ledger = Ledger(emitter)
        self._steps = Steps(emitter, self._conclude)
        self._ranks = Ranks(durations.usual) if passes.order else None
        self._gathers = passes.bulk and any(tool.bulk is not None for tool in toolbox.values())
        self._windows: Windows[Call] = Windows(self._frontier.dependents)
        self._reuse = Reuse(emitter, passes, recall)
        self._group: TaskGroup = anyio.create_task_group()
        queue = Queue(self._ranks, concurrency, self._freed)
        self._crew = Crew(
            Caller(
                toolbox,
                emitter,
                context,
                self._steps.is_under_way,
                self._gate.lets,
                queue,
                Hedges(queue, emitter, self._group, lambda: self._crew.stoppable()),
                durations,
                passes,
                concurrency,
            ),
            queue,
            self._reuse,
            self._windows,
            emitter,
            self._steps,
            self._group,
            passes=passes,
            budget=budget,
        )
        self._commands: deque[Command] = deque()
        self._obeying = False
        self._dropped: dict[TaskId, Task] = {}
        self._asking = 0
        self._stopped = False
        self.observations = self._ledger.observations

    async def __aenter__(self) -> Executor:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.stop("the run was cancelled")
        try:
            return await self._group.__aexit__(kind, error, traceback)
        finally:
            await self._reuse.keep()

    # ------------------------------------------------------------------ the plan

    def add(self, task: Task) -> None:
        """Take in a checked task; it starts now if it may."""
        needs = task.needs
        if self._ranks is not None:
            self._ranks.add(task, needs)
        if self._gathers:
            self._windows.expect(task)
        self._follow(self._frontier.add(task, needs))

    def replace(self, task: Task) -> None:
        """Take in a task in place of the one of its id, unless that is over.

        It must have failed, or not have started.
        """
        if task.id in self._frontier.outcomes:
            return
        if task.id in self._dropped:
            self._dropped[task.id] = task
            self._frontier.replace(task)
            return
        self._ledger.mend(task.id)
        if self._ranks is not None:
            self._ranks.replace(task)
        if self._gathers:
            self._windows.expect(task)
        self._follow(self._frontier.replace(task))

    def abandon(self, task: Task, outcome: Failed) -> None:
        """Record an id that will never be called: what refers to it is skipped."""
        if not self._stopped:
            self._settle(self._ledger.at_once(task, outcome))

    def give_up(self, tasks: Iterable[TaskId] | None = None) -> None:
        """Let failures stand, all or those of `tasks`: what needs these steps is skipped."""
        if not self._stopped:
            for observation in self._ledger.give_up(tasks):
                self._settle(observation)

    def seal(self, *, whole: bool = True, joins: Sequence[TaskId] | None = None) -> None:
        """Say that nothing will be added: tools that write may start, or are skipped if not `whole`.

        `joins` names the only results that somebody reads: what these do not need is not run.
        """
        if joins is not None:
            self._follow(self._frontier.revive(joins))
            if self._passes.drop and not self._stopped:
                self._drop(joins)
        self._windows.sealed = True
        self._follow(self._frontier.seal(whole=whole))

    def reopen(self) -> None:
        """Say that a further plan begins."""
        self._windows.sealed = False
        self._frontier.reopen()

    def restore(self, observations: Iterable[Observation]) -> None:
        """Take in what became of steps in an earlier part of the run."""
        for observation in observations:
            self.observations.append(observation)
            self._forget(observation.task)
            self._obey(self._frontier.finish(observation.task.id, observation.outcome))

    # ------------------------------------------------------------------ what there is to wait for

    @property
    def unsettled(self) -> int:
        """How many tasks have no outcome yet."""
        return self._frontier.unsettled

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called: nothing is waited for any more."""
        return self._stopped

    @property
    def mends(self) -> bool:
        """Whether steps that fail wait for a mend."""
        return self._ledger.mends

    @mends.setter
    def mends(self, mends: bool) -> None:
        """Say whether steps that fail from now on wait for a mend."""
        self._ledger.mends = mends

    @property
    def ailing(self) -> tuple[Observation, ...]:
        """The failures that wait for a mend."""
        return tuple(self._ledger.ailing.values())

    @property
    def pending(self) -> tuple[ApprovalRequest, ...]:
        """The steps that wait for approval, and nobody is being asked."""
        return () if self._gate.asks else self._gate.waiting

    @property
    def still(self) -> bool:
        """Whether nothing is under way: what is unsettled waits for a mend or an approval."""
        return not self._steps.started and not self._asking

    def cone(self, tasks: Iterable[TaskId]) -> set[TaskId]:
        """Return the unsettled tasks that need one of `tasks`, directly or through others."""
        return self._frontier.dependents(tasks)

    async def wait_settled(self) -> None:
        """Wait until every task has an outcome, or waits for a mend or an approval."""
        await self._ledger.wait_while(
            lambda: bool(self._frontier.unsettled) and not self.still and not self._stopped
        )

    async def wait_more(self, count: int) -> None:
        """Wait until there are more than `count` observations, or a failure, or all is `still`."""
        await self._ledger.wait_while(
            lambda: (
                len(self.observations) <= count
                and not self._ledger.ailing
                and not self.still
                and not self._stopped
            )
        )

    def stop(self, reason: str) -> None:
        """Stop every running call for good and record what is unfinished as cancelled."""
        if self._stopped:
            return
        self.pause()
        ledger = self._ledger
        failed = {observation.task.id: observation for observation in ledger.give_up(None)}
        for task in self._frontier.unstarted():
            found = failed.get(task.id) or self._steps.broken_off(task.id, Cancelled(reason))
            ledger.record(found or ledger.at_once(task, Cancelled(reason)))
        for task in self._frontier.parked:
            ledger.record(ledger.at_once(task, Skipped("nobody reads it")))

    def pause(self) -> None:
        """Stop for now: what has no outcome yet keeps none."""
        self._stopped = True
        self._steps.stopped = True
        self._crew.stop()
        self._ledger.stir()

    # ------------------------------------------------------------------ from command to call

    def _forget(self, task: Task) -> None:
        """Take in that nothing more is to come of a task."""
        if self._gathers:
            self._windows.came(task)
        if self._ranks is not None:
            self._ranks.settle(task.id)

    def _follow(self, commands: Collection[Command]) -> None:
        """Do what the frontier says to something new in the plan, which may need what was dropped."""
        if self._dropped:
            parked = {task.id for task in self._frontier.parked}
            for name in [name for name in self._dropped if name not in parked]:
                task = self._dropped.pop(name)
                if self._ranks is not None:
                    self._ranks.add(task)
                if self._gathers:
                    self._windows.expect(task)
        self._obey(commands)

    def _obey(self, commands: Collection[Command]) -> None:
        """Do what the frontier says, and what it says to that; one after the other, not nested."""
        if self._stopped:  # what is unfinished then has been recorded as cancelled
            return
        if commands:
            self._commands.extend(commands)
        if self._obeying:
            return
        if commands:
            self._obeying = True
            try:
                self._obey_all()
            finally:
                self._obeying = False
        self._crew.pump()
        if not self._steps.started:
            self._ledger.stir()

    def _obey_all(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            match command:
                case Start():
                    self._start(command)
                case Settle():
                    task, outcome = command.task, command.outcome
                    self._forget(task)
                    self._ledger.record(self._ledger.at_once(task, outcome, command.args))
                case Break():
                    self._conclude(self._ledger.at_once(command.task, command.outcome))

    def _start(self, start: Start) -> None:
        task = start.task
        tool = self._toolbox[task.tool]
        step = fitted(start, tool, self._frontier.value)
        if isinstance(step, Failed):
            self._conclude(self._ledger.at_once(task, step))
            return
        held = self._gate.hold(step.start, tool)
        if held is None:
            self._admit(step, tool)
        elif isinstance(held, Verdict):
            self._decide(step, held)
        elif self._gate.asks:
            self._asking += 1
            self._group.start_soon(self._ask, step, held)

    async def _ask(self, step: Fitted, request: ApprovalRequest) -> None:
        with self._crew.stoppable():
            try:
                verdict = await self._gate.ask(request)
            finally:
                self._asking -= 1
            if not self._stopped:
                self._decide(step, verdict)

    def _decide(self, step: Fitted, verdict: Verdict) -> None:
        self._gate.decide(verdict)
        if verdict.approved:
            self._admit(step, self._toolbox[step.start.task.tool])
            self._obey(())
        else:
            why = f": {verdict.reason}" if verdict.reason else ""
            denied = Failed("ApprovalDenied", f"it was not approved{why}", attempts=0)
            self._settle(self._ledger.at_once(step.start.task, denied, step.start.args))

    def _admit(self, fit: Fitted, tool: Tool[..., Any]) -> None:
        if self._gathers:
            self._windows.came(fit.start.task)
        self._steps.admit(fit, tool, self._crew.take)

    # ------------------------------------------------------------------ from outcome to observation

    def _conclude(self, observation: Observation) -> None:
        """Record what became of a step, or hold its failure back while it may be mended."""
        if not (self._ledger.mends and self._ledger.holds(observation)):
            self._settle(observation)

    def _settle(self, observation: Observation) -> None:
        self._forget(observation.task)
        self._ledger.record(observation)
        self._obey(self._frontier.finish(observation.task.id, observation.outcome))

    def _drop(self, joins: Sequence[TaskId]) -> None:
        begun = self._steps.begun()
        begun.update(request.step for request in self._gate.waiting)
        tasks = {task.id: task for task in self._frontier.unstarted()}
        names = unread(tasks.values(), joins, self._frontier.outcomes, begun)
        failed = [name for name in names if name in self._ledger.ailing]
        dropped = [name for name in names if name not in self._ledger.ailing]
        for name in dropped:
            self._dropped[name] = tasks[name]
            self._forget(tasks[name])
        shared = self._steps.drop(dropped)
        if dropped:
            self._emitter.emit(
                PassApplied,
                "drop",
                tuple(dropped),
                "nobody reads what they give",
                len(dropped) - shared,
            )
        self._obey(self._frontier.park(dropped))
        self.give_up(failed)  # nobody misses what they would have given

    def _freed(self) -> None:
        self._crew.pump()
