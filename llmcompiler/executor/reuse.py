"""Is there a result already, or will there be one, that this call would only make again?

It does not know how a call is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from llmcompiler.events import Emitter, PassApplied
from llmcompiler.executor.work import Call
from llmcompiler.passes import Failures, Known, Passes, call_key
from llmcompiler.plan import Cancelled, Failed, Ok, Outcome

if TYPE_CHECKING:
    from llmcompiler.recall import Recall

__all__ = ["Reuse"]


class Reuse:
    """The passes `merge` and `cache`, and the calls that have failed twice in the same way."""

    def __init__(self, emitter: Emitter, passes: Passes, recall: Recall | None) -> None:
        self._emitter = emitter
        self._merges = passes.merge
        self._recall = recall if passes.cache else None
        self._known: Known[Call] = Known()
        self._failures = Failures()
        self._writing = False
        self.keeps = self._recall is not None
        """Whether there is something to write down at times."""

    def find(self, call: Call) -> Call | Outcome | None:
        """Return the call that runs already, or the outcome that is known; None: make the call."""
        tool = call.step.tool
        merges = self._merges and tool.effects != "write"
        failures = bool(self._failures)
        if merges or failures:
            call.key = call_key(tool.name, call.args)
        if failures:
            hopeless = self._failures.hopeless(call.key)
            if hopeless is not None:
                return hopeless
        if tool.effects == "write":
            return None
        step = call.step.start.task
        if merges:
            found = self._known.find(call.key, pure=tool.pure, resource=step.policy.resource)
            if isinstance(found, Call) and found.step.start.task.policy != step.policy:
                return None  # under other terms it may end otherwise
            if found is not None:
                same = f"the same call as another of {tool.name}"
                if isinstance(found, Call):
                    same = f"the same call as that of step {found.step.start.task.id}"
                self._emitter.emit(PassApplied, "merge", (step.id,), same, 1)
                return found
        if self._recall is not None and _is_kept(call):
            kept = self._recall.get(tool, call.args)
            if kept is not None:
                known = f"{tool.name} was called like this before"
                self._emitter.emit(PassApplied, "cache", (step.id,), known, 1)
                return kept
        if merges:
            self._known.began(call.key, call)
        return None

    @property
    def full(self) -> bool:
        """Whether there is enough to keep that it is worth writing it down now."""
        return self._recall is not None and self._recall.due and not self._writing

    async def keep(self) -> None:
        """Write down what is to be kept for later runs; it is done also when the run is stopped."""
        if self._recall is None or self._writing:
            return
        self._writing = True
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._recall.flush)
        finally:
            self._writing = False

    def forget(self, call: Call) -> None:
        """Take in that a call will not be made after all."""
        for each in call.members or (call,):
            self._known.ended(each.key, each, Cancelled("nobody reads it"))

    def wrote(self, call: Call) -> None:
        """Say that a call that writes begins: what was read until it is over may be otherwise then."""
        self._known.wrote(call.step.start.task.policy.resource)

    def end(self, call: Call, outcome: Outcome, *, own: bool = True) -> None:
        """Take in what became of a call that was made; not `own` if a fallback gave it."""
        tool = call.step.tool
        if tool.effects == "write":
            self.wrote(call)
            if isinstance(outcome, Ok):
                self._failures.renew()
        elif self._merges:
            self._known.ended(call.key, call, outcome)
        if isinstance(outcome, Failed):
            call.key = call.key or call_key(tool.name, call.args)
            self._failures.failed(call.key, outcome.kind, outcome.message)
        elif own and self._recall is not None and _is_kept(call) and isinstance(outcome, Ok):
            self._recall.put(tool, call.args, outcome.value)


def _is_kept(call: Call) -> bool:
    """Whether the result is one for later runs too: the step says so, or its tool does."""
    asked = call.step.start.task.policy.cache
    return call.step.tool.pure if asked is None else asked
