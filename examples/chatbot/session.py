"""What is the conversation so far, and how does it get its next turn?

It does not know terminals: whoever wants to watch hands in a reader of events.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

import anyio
from anyio.from_thread import BlockingPortal

from llmcompiler import Agent, Plan, Result, Transcript
from llmcompiler.approval import ApprovalRequest, Approvals, Verdict
from llmcompiler.errors import ApprovalError
from llmcompiler.events import Event

__all__ = ["Decide", "Session", "Turn"]

Decide: TypeAlias = Callable[[ApprovalRequest], Verdict | None]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message and all that came of it."""

    at: datetime
    result: Result
    events: tuple[Event, ...]


@dataclass
class Session:
    """A conversation with an agent, whose turns run on the event loop behind `portal`.

    The agent puts steps that need approval to `approvals`, which hands them on by `asked`. `turns` keeps every turn; `transcript`, what the model has in mind, only those that ended well;
    `saved` names the files that hold this chat.
    """

    agent: Agent
    portal: BlockingPortal
    approvals: Approvals
    asked: SimpleQueue[ApprovalRequest | None]
    transcript: Transcript = field(default_factory=Transcript)
    turns: list[Turn] = field(default_factory=list)
    saved: set[Path] = field(default_factory=set)
    _stop: Callable[[], None] = lambda: None

    def say(self, message: str, watch: Callable[[Event], None], decide: Decide) -> Result:
        """Take a turn to its end, good or bad; one that is stopped has a result too.

        `decide` is called for each step that needs approval, in this thread, while the turn goes
        on; None stops the turn.
        """
        going = self.portal.start_task_soon(self._say, message, watch)
        going.add_done_callback(lambda _: self.asked.put(None))
        while (request := self.asked.get()) is not None:
            verdict = None if going.done() else decide(request)
            if verdict is None:
                self.stop()
            else:
                with suppress(ApprovalError):  # the turn was over before this was decided
                    self.portal.call(self.approvals.decide, verdict)
        turn = going.result()
        self.turns.append(turn)
        if turn.result.status == "finished":
            self.transcript = turn.result.transcript
        self.read_ahead()
        return turn.result

    def read_ahead(self) -> None:
        """Let a local model read the conversation so far while the user is typing."""
        self.agent.foresee(self.transcript)

    async def _say(self, message: str, watch: Callable[[Event], None]) -> Turn:
        at = datetime.now().astimezone()
        events: list[Event] = []
        async with self.agent.run_stream(message, history=self.transcript) as run:
            self._stop = run.cancel
            async for event in run.events():
                events.append(event)
                watch(event)
        return Turn(at, run.result, tuple(events))

    def plan(self, message: str) -> Plan | None:
        """Ask for a plan and run nothing of it; None if that was stopped."""
        return self.portal.call(self._plan, message)

    async def _plan(self, message: str) -> Plan | None:
        with anyio.CancelScope() as scope:
            self._stop = scope.cancel
            return await self.agent.plan(message)
        return None

    def stop(self) -> None:
        """Stop what `say` or `plan` is waiting for, if they are; for another thread or a signal."""
        self.portal.start_task_soon(self._stop)

    def forget(self) -> None:
        """Begin a new conversation; `turns` stay, to be saved."""
        self.transcript = Transcript()
