"""What became of the steps, in order of completion, and which failures wait for a mend?

It does not know plans or calls: what follows from an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import anyio

from llmcompiler.events import Emitter
from llmcompiler.executor.report import report
from llmcompiler.plan import Failed, Json, Observation, Outcome, Task, TaskId, Timing

__all__ = ["Ledger"]

_FINAL = frozenset({"ApprovalDenied", "LimitReached", "Cancelled"})  # no other call ends otherwise


class Ledger:
    """The observations of a run, and who waits for them.

    While `mends` is true, a failure that another call could make good is not recorded but among
    the `ailing`.
    """

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._stirred: anyio.Event | None = None  # while somebody waits
        self._mended: set[TaskId] = set()
        self.mends = False
        self.observations: list[Observation] = []
        self.ailing: dict[TaskId, Observation] = {}

    def at_once(
        self, task: Task, outcome: Outcome, args: Mapping[str, Json] | None = None
    ) -> Observation:
        """Return the observation of what took no time."""
        now = self._emitter.now()
        return Observation(task, outcome, Timing(now, now, now), args)

    def holds(self, observation: Observation) -> bool:
        """Hold a failure back if another call could make it good; say whether it was one."""
        outcome = observation.outcome
        if not isinstance(outcome, Failed) or outcome.kind in _FINAL:
            return False
        self.ailing[observation.task.id] = observation
        self.stir()
        return True

    def record(self, observation: Observation) -> None:
        """Take in what became of a step for good."""
        self.observations.append(observation)
        self.stir()
        report(self._emitter, observation)

    def mend(self, task: TaskId) -> None:
        """Take in that a step is written again."""
        if self.ailing.pop(task, None) is not None:
            self._mended.add(task)

    def give_up(self, tasks: Iterable[TaskId] | None) -> list[Observation]:
        """Take out the failures that stand, all or those of `tasks`.

        A step of `tasks` that was written again meanwhile has failed anew, if it has: it stays.
        """
        if tasks is None:
            given_up = list(self.ailing.values())
            self.ailing.clear()
            self._mended.clear()
            return given_up
        given_up = []
        for name in tasks:
            if name in self._mended:
                self._mended.discard(name)
            elif name in self.ailing:
                given_up.append(self.ailing.pop(name))
        return given_up

    def stir(self) -> None:
        """Wake who waits."""
        if self._stirred is not None:
            self._stirred.set()
            self._stirred = None

    async def wait_while(self, idle: Callable[[], bool]) -> None:
        """Wait until `idle` is no longer true; it is asked whenever something stirs."""
        while idle():
            if self._stirred is None:
                self._stirred = anyio.Event()
            await self._stirred.wait()
