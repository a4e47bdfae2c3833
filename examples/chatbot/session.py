"""What is the conversation so far, and how does it get its next turn?

It does not know terminals: whoever wants to watch hands in a reader of events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import anyio
from anyio.from_thread import BlockingPortal

from llmcompiler import Agent, Plan, Result, Transcript
from llmcompiler.events import Event

__all__ = ["Session", "Turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message and all that came of it."""

    at: datetime
    result: Result
    events: tuple[Event, ...]


@dataclass
class Session:
    """A conversation with an agent, whose turns run on the event loop behind `portal`.

    `turns` keeps every turn; `transcript`, what the model has in mind, only those that ended well;
    `saved` names the files that hold this chat.
    """

    agent: Agent
    portal: BlockingPortal
    transcript: Transcript = field(default_factory=Transcript)
    turns: list[Turn] = field(default_factory=list)
    saved: set[Path] = field(default_factory=set)
    _stop: Callable[[], None] = lambda: None

    def say(self, message: str, watch: Callable[[Event], None]) -> Result:
        """Take a turn to its end, good or bad; one that is stopped has a result too."""
        turn = self.portal.call(self._say, message, watch)
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
