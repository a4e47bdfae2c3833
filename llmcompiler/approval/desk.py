"""Who answers when the answer comes from elsewhere: a click in a chat, a request over HTTP?

It does not know who decides, nor what becomes of a step once that is done.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from llmcompiler.approval.requests import ApprovalRequest, Verdict
from llmcompiler.errors import ApprovalError

__all__ = ["Approvals"]


class Approvals:
    """An approver that waits until somebody calls `decide`.

    Give it to the agent as ``approver=approvals``. Each step that needs approval is then in
    `pending`, until it is decided: several at once, in any order. `asked` is told of each as it
    begins to wait. All of it belongs to the thread of the event loop.
    """

    def __init__(self, asked: Callable[[ApprovalRequest], object] | None = None) -> None:
        self._asked = asked
        self._waiting: list[_Question] = []

    @property
    def pending(self) -> tuple[ApprovalRequest, ...]:
        """The requests that wait now, oldest first."""
        return tuple(question.request for question in self._waiting)

    def decide(self, verdict: Verdict) -> None:
        """Give the answer: ``approvals.decide(request.approve())``.

        Where several runs wait for the very same step it is for the oldest. Raises
        `ApprovalError` where no such step waits with such arguments, as when its run was stopped.
        """
        named = [each for each in self._waiting if each.request.step == verdict.step]
        for question in named:
            if question.request.digest == verdict.digest:
                question.verdict = verdict
                self._waiting.remove(question)
                question.answered.set()
                return
        problem = "it was given for other arguments" if named else "no step of that name waits"
        raise ApprovalError(verdict.step, problem)

    async def __call__(self, request: ApprovalRequest) -> Verdict:
        """Wait for the verdict on `request`."""
        question = _Question(request)
        self._waiting.append(question)
        try:
            if self._asked is not None:
                self._asked(request)
            await question.answered.wait()
        finally:
            if question in self._waiting:
                self._waiting.remove(question)
        return question.verdict or request.deny()


class _Question:
    """A request and what was said to it; two of them are never equal."""

    def __init__(self, request: ApprovalRequest) -> None:
        self.request = request
        self.answered = anyio.Event()
        self.verdict: Verdict | None = None
