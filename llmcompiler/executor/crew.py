"""Makes the calls that may be made, so many at once as the limits allow, and says what they came to.

It does not know plans: which calls there are, and what follows from an outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from llmcompiler.budget import Budget
from llmcompiler.events import Emitter, LimitReached, PassApplied
from llmcompiler.executor.calls import Caller
from llmcompiler.executor.queue import Queue
from llmcompiler.executor.reuse import Reuse
from llmcompiler.executor.work import Call, Step
from llmcompiler.passes import Passes, Windows
from llmcompiler.plan import Failed, Outcome
from llmcompiler.toolbox import Tool

__all__ = ["Crew", "Employer"]

_YIELD_AFTER = 0.005  # seconds that calls which never wait may keep the loop from its turn
_AT_ONCE = 8  # workers that may be about to take a call: where calls never wait, few are enough


class Employer(Protocol):
    """Who is told of the work."""

    def announce(self, step: Step) -> None:
        """Take in that a step begins, or has begun already."""
        ...

    def ended(self, call: Call, outcome: Outcome) -> None:
        """Take in what became of a call, and of those that followed it."""
        ...


class Crew:
    """Workers that make calls one after the other; there are only as many as have something to do."""

    def __init__(
        self,
        caller: Caller,
        queue: Queue,
        reuse: Reuse,
        windows: Windows[Call],
        emitter: Emitter,
        employer: Employer,
        group: TaskGroup,
        *,
        passes: Passes,
        budget: Budget | None,
    ) -> None:
        self._caller = caller
        self._queue = queue
        self._reuse = reuse
        self._windows = windows
        self._emitter = emitter
        self._employer = employer
        self._group = group
        self._passes = passes
        self._budget = budget
        self._handing_over = False
        self._hired = 0  # workers that are about to take a call
        self._breath = 0.0
        self._turn = 0
        self._stopped = False
        # One scope for each worker: the group's own would stop whoever holds the executor too.
        self._scopes: set[anyio.CancelScope] = set()

    def take(self, call: Call) -> None:
        """Let a call wait for its turn, unless its result is known, or will be."""
        found = self._reuse.find(call)
        if isinstance(found, Call):
            if found.began:
                self._employer.announce(call.step)
            if found.followers is None:
                found.followers = []
            found.followers.append(call)
        elif found is not None:
            self._employer.announce(call.step)
            self._employer.ended(call, found)
        elif self._gathers(call):
            self._windows.add(call.step.tool.name, call.step.start.task.id, call)
        else:
            self._queue.push(call)

    def pump(self) -> None:
        """Hire workers for what may be made now.

        Each takes its call when it begins, not now: what is added until then is weighed with it.
        """
        if self._handing_over:  # the worker that hands an outcome over looks for itself
            return
        if self._windows:
            self._gather()
        if not self._stopped:
            wanted = min(self._queue.open, _AT_ONCE)
            while self._hired < wanted:
                self._hired += 1
                self._group.start_soon(self._work)

    def stop(self) -> None:
        """Stop every worker for good."""
        self._stopped = True
        for scope in self._scopes:
            scope.cancel()

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Let what is done in the block be stopped together with the crew."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            if self._stopped:
                scope.cancel()
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def _gathers(self, call: Call) -> bool:
        """Whether a call waits for others; one with terms of its own is made alone."""
        step = call.step
        if step.tool.bulk is None or not self._passes.bulk:
            return False
        policy = step.start.task.policy
        return policy.timeout is None and policy.retries is None

    def _gather(self) -> None:
        for due in self._windows.due():
            calls = []
            for call in due:
                if call.wanted:
                    calls.append(call)
                else:
                    self._reuse.forget(call)
            if len(calls) > 1:
                self._queue.push(Call(calls[0].step, {}, None, members=tuple(calls)))
            elif calls:
                self._queue.push(calls[0])
        for tool in self._windows.untimed():
            self._group.start_soon(self._wait_for_others, tool)

    def _next(self) -> Call | None:
        while not self._stopped and (call := self._queue.next()) is not None:
            if not (call.members or call.step.dropped) or call.wanted:
                return call
            self._queue.done(call)
            self._reuse.forget(call)
        return None

    async def _wait_for_others(self, tool: str) -> None:
        with self.stoppable():
            await anyio.sleep(self._passes.bulk_window)
            self._windows.close(tool)
            self.pump()

    async def _work(self) -> None:
        """Make one call after the other while there are any: a chain costs no new tasks."""
        self._hired -= 1
        with self.stoppable():
            following = self._next()
            while following is not None:
                if self._hired < _AT_ONCE and self._queue.open > self._hired:
                    self.pump()
                await self._make(following)
                self._queue.done(following)
                if self._emitter.now() - self._breath > _YIELD_AFTER:
                    turn = self._turn
                    self._hired += 1  # it begins anew
                    await anyio.lowlevel.checkpoint()
                    self._hired -= 1
                    if turn == self._turn:  # the first that goes on: for the others it goes on too
                        self._turn += 1
                        self._breath = self._emitter.now()
                if self._windows:
                    self._gather()
                following = self._next()

    async def _make(self, call: Call) -> None:
        members = [each for each in call.members if each.wanted] or [call]
        for member in members:
            member.began = True
            if member.step.began < 0:
                self._employer.announce(member.step)
            if member.followers is not None:
                for follower in member.followers:
                    self._employer.announce(follower.step)
        if self._budget is not None and not self._allowed(self._budget):
            used_up = Failed("LimitReached", self._budget.refusal, attempts=0)
            for member in members:
                self._end(member, used_up)
            return
        tool = call.step.tool
        if tool.effects == "write":
            self._reuse.wrote(call)
        if call.members:
            await self._make_together(call, members)
            return
        self._end(call, *await self._caller.make(call.speaker, tool, call.args))

    def _allowed(self, budget: Budget) -> bool:
        before = budget.refused
        if budget.tool_call():
            return True
        if not before:
            self._emitter.emit(LimitReached, "tool_calls", budget.limits.tool_calls or 0)
        return False

    async def _make_together(self, call: Call, members: list[Call]) -> None:
        tool = call.step.tool
        steps = tuple(dict.fromkeys(member.step.start.task.id for member in members))
        what = f"{len(members)} calls of {tool.name} in one"
        self._emitter.emit(PassApplied, "bulk", steps, what, len(members) - 1)
        found = await self._caller.make_together(
            call.speaker, tool, [member.args for member in members]
        )
        outcomes = [found] * len(members) if isinstance(found, Failed) else found
        alone: list[Call] = []
        for member, outcome in zip(members, outcomes, strict=True):
            if self._stopped:
                return
            if not isinstance(outcome, Failed):
                self._end(member, outcome)
            elif tool.repeatable and (found is outcome or _tries_again(tool, outcome)):
                alone.append(member)
            else:
                task = member.speaker
                self._end(member, *await self._caller.instead(task, tool, member.args, outcome))
        if alone:
            steps = tuple(dict.fromkeys(member.step.start.task.id for member in alone))
            apart = f"{len(alone)} of them failed so and are made one by one"
            self._emitter.emit(PassApplied, "bulk", steps, apart, -len(alone))
            for member in alone:
                self._queue.push(member)

    def _end(self, call: Call, outcome: Outcome, giver: Tool[..., Any] | None = None) -> None:
        if self._stopped:
            return
        self._reuse.end(call, outcome, own=giver is None or giver is call.step.tool)
        if self._reuse.keeps and self._reuse.full:
            self._group.start_soon(self._reuse.keep)
        self._handing_over = True
        try:
            self._employer.ended(call, outcome)
        finally:
            self._handing_over = False


def _tries_again(tool: Tool[..., Any], failed: Failed) -> bool:
    """Whether a call that failed among others would have been made again by itself."""
    return tool.retries.attempts > 0 and failed.kind != "ToolArgumentError"
