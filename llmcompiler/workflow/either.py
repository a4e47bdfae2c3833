"""What does a step with a fallback give, and when is the fallback run?

It does not know how either of the two is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from llmcompiler.errors import LLMCompilerError
from llmcompiler.plan import Argument, Each, Json, Outlook, Ref, TaskId, references
from llmcompiler.workflow.expressions import ExpressionError, filled

__all__ = ["FALLBACK", "REPLAN", "BothFailedError", "Either", "Failed", "Plea", "Ran"]

FALLBACK = "its fallback"
REPLAN = "the model's way around it"


class BothFailedError(LLMCompilerError):
    """Raised when a step failed, and what was run in its place too."""

    def __init__(self, first: str, what: str, second: str) -> None:
        super().__init__(f"{first}; and {what}: {second}")


@dataclass(frozen=True, slots=True)
class Either:
    """The result of `first`, or of `second` where that has none; a plan's `Expression`.

    `what` is what messages call the second.
    """

    first: TaskId
    second: TaskId
    what: str = FALLBACK

    def __str__(self) -> str:
        return f"${self.first} or ${self.second}"

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Both, whatever became of them."""
        return tuple(
            Outlook(task, (), asks)
            for task in (self.first, self.second)
            for asks in ("value", "status", "error")
        )

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        """Return the result; raise `BothFailedError`."""
        for task in (self.first, self.second):
            if lookup(Outlook(task, (), "status")) == "ok":
                return lookup(Outlook(task))
        first, second = (lookup(Outlook(task, (), "error")) for task in (self.first, self.second))
        raise BothFailedError(str(first), self.what, str(second))


@dataclass(frozen=True, slots=True)
class Failed:
    """Whether a task failed; the guard of its fallback."""

    task: TaskId

    def __str__(self) -> str:
        return f"${self.task} failed"

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The task's status."""
        return (Outlook(self.task, (), "status"),)

    def evaluate(self, lookup: Callable[[Ref], Json]) -> bool:
        """Say whether it did."""
        return lookup(self.refs[0]) == "failed"


@dataclass(frozen=True, slots=True)
class Ran:
    """Whether a task was run at all; the guard of what gives its result, or that of its fallback."""

    task: TaskId

    def __str__(self) -> str:
        return f"${self.task} ran"

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The task's status."""
        return (Outlook(self.task, (), "status"),)

    def evaluate(self, lookup: Callable[[Ref], Json]) -> bool:
        """Say whether it was."""
        return lookup(self.refs[0]) in ("ok", "failed")


@dataclass(frozen=True, slots=True)
class Plea:
    """What an agent is asked where the call of `task` failed: to reach the same by other means."""

    task: TaskId
    name: str
    uses: str
    args: Mapping[str, Argument] = field(hash=False)

    def __str__(self) -> str:
        return f"${self.task} by other means"

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The task's error, and what its arguments read."""
        read = (ref for value in self.args.values() for ref in references(value))
        soft = (ref if isinstance(ref, Outlook) else Outlook(ref.task, ref.path) for ref in read)
        return tuple(dict.fromkeys((Outlook(self.task, (), "error"), *soft)))

    def evaluate(self, lookup: Callable[[Ref], Json]) -> str:
        """Return the request."""
        shown = ", ".join(f"{name}={_shown(value, lookup)}" for name, value in self.args.items())
        return (
            f"The step {self.name!r} of a workflow failed. It was the call {self.uses}({shown}), and "
            f"what came of it is: {lookup(Outlook(self.task, (), 'error'))}. Reach the same by other "
            f"means, and answer with its result alone."
        )


def _shown(argument: Argument, lookup: Callable[[Ref], Json]) -> str:
    try:
        value = filled(argument.ref if isinstance(argument, Each) else argument, lookup)
    except (ExpressionError, LookupError):  # that may be what went wrong
        return str(argument)
    return json.dumps(value, ensure_ascii=False)
