"""What one turn of the model brings, item by item: steps to the draft, the answer to its reader.

It does not know where the items come from, nor what the run makes of the turn when it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from llmcompiler.draft import Draft
from llmcompiler.errors import PlanError
from llmcompiler.events import AnswerDelta, Emitter, PlanDelta, PlanIgnored
from llmcompiler.roles import (
    Allow,
    AnswerText,
    Ignored,
    Read,
    Reason,
    Sealed,
    Text,
    TurnEnded,
    TurnItem,
    Unreadable,
)

__all__ = ["Intake"]


class Intake:
    """One turn as far as it has come.

    `lines` are the plan lines as written, `rejected` what was wrong with some of them, `text` the
    whole turn once it has ended, `cut` whether it ended before its end. `refused` says that it
    planned where the answer was due. The answer's pieces go to `answer`; `begun` is called when it
    begins, `replan` with the reason when a replan does.
    """

    def __init__(
        self,
        allow: Allow,
        draft: Draft,
        emitter: Emitter,
        answer: list[str],
        begun: Callable[[], None],
        replan: Callable[[str], None],
    ) -> None:
        self.allow: Allow = allow
        self.lines: list[str] = []
        self.rejected: list[PlanError] = []
        self.answered = False
        self.refused = False
        self.text = ""
        self.cut = False
        self._draft = draft
        self._emitter = emitter
        self._answer = answer
        self._begun = begun
        self._replan = replan
        self._reason = ""
        self._joined = False

    @property
    def planned(self) -> bool:
        """Whether the turn was a plan, or a piece of one."""
        return (bool(self.lines) or self._joined) and not self.refused

    def take(self, item: TurnItem) -> None:
        """Take in the next item."""
        match item:
            case Text(text):
                self._emitter.emit(PlanDelta, text)
            case Read(task, source):
                if self._may_plan(source):
                    error = self._draft.read(task, source)
                    if error is not None:
                        self.rejected.append(error)
            case Unreadable(error):
                if self._may_plan(error.source):
                    self._draft.reject(error)
                    self.rejected.append(error)
            case Sealed(joins):
                self._joined = True
                if self.allow == "answer":
                    self.refused = True
                else:
                    self._draft.join(joins)
            case Ignored(text, reason):
                self._emitter.emit(PlanIgnored, text, reason)
            case Reason(text):
                self._reason = text
            case AnswerText(text):
                if not self.answered:
                    self.answered = True
                    self._begun()
                self._answer.append(text)
                self._emitter.emit(AnswerDelta, text)
            case TurnEnded(text, reason):
                self.text = text
                self.cut = reason != "stop" and not self._joined
            case _:
                assert_never(item)

    def _may_plan(self, source: str) -> bool:
        """Whether plan lines are in place now; the first one of a replan begins a new plan."""
        first = not self.lines
        self.lines.append(source)
        if self.allow == "answer":
            self.refused = True
        elif self.allow == "join" and first:
            self._replan(self._reason)
        return not self.refused
