"""A step under way and the calls that it is made of.

It does not know how or when a call is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmcompiler.frontier import Start
from llmcompiler.plan import Failed, Json, Ok, Outcome, Task
from llmcompiler.toolbox import Tool

__all__ = ["Call", "Step", "together"]

_NO_LIMITS: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True, eq=False)
class Step:
    """A task whose calls may be made; for a fan-out it collects the outcome of every element.

    `ready` and `began` are in seconds from the run's start, `began` below 0 before the first call.
    One that was `dropped` is nobody's any more. `call` is its only call, where it is no fan-out.
    """

    start: Start
    tool: Tool[..., Any]
    ready: float
    conversions: tuple[str, ...] = ()
    began: float = -1.0
    left: int = 1
    outcomes: list[Outcome | None] | None = None
    dropped: bool = False
    call: Call | None = None


@dataclass(slots=True, eq=False)
class Call:
    """One call of one tool: a step's only one, or the one for an element.

    `key` is the same for calls that are the same, "" before it was asked for; `followers` are such
    calls that wait for this one. Where `members` are given it is one call of the tool's bulk form,
    for all of them. `limits` are the names of what it takes a place of, with how many there are.
    """

    step: Step
    args: Mapping[str, Json]
    index: int | None
    key: str = ""
    followers: list[Call] | None = None
    members: tuple[Call, ...] = ()
    began: bool = False
    limits: tuple[tuple[str, int], ...] = _NO_LIMITS

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        if self.members:
            return any(member.wanted for member in self.members)
        if not self.step.dropped:
            return True
        return self.followers is not None and any(call.wanted for call in self.followers)

    @property
    def speaker(self) -> Task:
        """The task in whose name it is made: the first of those that wait for it."""
        task = self.step.start.task
        if not self.step.dropped:
            return task
        others = (*self.members, *(self.followers or ()))
        return next((call.speaker for call in others if call.wanted), task)


def together(outcomes: Iterable[Outcome | None]) -> Outcome:
    """Make one outcome of a fan-out's: a list in order, or a failure that keeps what succeeded."""
    known = [outcome for outcome in outcomes if outcome is not None]
    values = [outcome.value for outcome in known if isinstance(outcome, Ok)]
    if len(values) == len(known):
        return Ok(values)
    failures = [(i, each) for i, each in enumerate(known) if isinstance(each, Failed)]
    shown = "; ".join(f"[{index}] {failure.message}" for index, failure in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    return Failed(
        failures[0][1].kind,
        f"{len(failures)} of {len(known)} calls failed: {shown}{more}",
        sum(failure.attempts for _, failure in failures),
        tuple(known),
    )
