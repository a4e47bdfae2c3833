"""What the model has seen so far in a conversation; it only grows.

It does not know how an entry is worded or which chat role carries it: planners word, back ends map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from llmcompiler.errors import PlanError
from llmcompiler.plan import Observation

__all__ = [
    "BadForm",
    "CutOff",
    "Entry",
    "NoReplansLeft",
    "Observed",
    "Rejected",
    "Request",
    "TimeIsUp",
    "Transcript",
    "Turn",
]


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked."""

    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model wrote in one turn, to the letter."""

    text: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What became of a step."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class Rejected:
    """Plan lines that were refused; the model is to write them again."""

    errors: tuple[PlanError, ...]


@dataclass(frozen=True, slots=True)
class CutOff:
    """The last turn was cut; `line` is the number of its last complete line."""

    line: int


@dataclass(frozen=True, slots=True)
class BadForm:
    """The last turn fitted no form, or its answer was not of the type asked for; `problem` says how."""

    problem: str


@dataclass(frozen=True, slots=True)
class NoReplansLeft:
    """The next turn must be the answer: the replans are used up."""


@dataclass(frozen=True, slots=True)
class TimeIsUp:
    """The next turn must be the answer: the run's time is used up."""


Entry: TypeAlias = (
    "Request | Turn | Observed | Rejected | CutOff | BadForm | NoReplansLeft | TimeIsUp"
)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation as a value: `plus` gives a longer one, nothing is ever changed or removed."""

    entries: tuple[Entry, ...] = ()

    def plus(self, *entries: Entry) -> Transcript:
        """Return this conversation with more at its end."""
        return Transcript(self.entries + entries)
