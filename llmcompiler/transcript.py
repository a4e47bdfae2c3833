"""What the model has seen so far in a conversation; it only grows.

It does not know how an entry is worded or which chat role carries it: planners word, back ends map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from llmcompiler.errors import PlanError
from llmcompiler.plan import Observation
from llmcompiler.preview import Preview

__all__ = [
    "BadForm",
    "CutOff",
    "Entry",
    "LimitUsedUp",
    "Mend",
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
    """What became of a step; `preview` is what is shown of it where the whole is too large."""

    observation: Observation
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Plan lines that were refused; the model is to write them again."""

    errors: tuple[PlanError, ...]


@dataclass(frozen=True, slots=True)
class Mend:
    """Steps that failed; the model may write them again, each under its own id.

    It tells what went wrong, so that no `Observed` of these failures need come before it.
    """

    failed: tuple[Observation, ...]


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


@dataclass(frozen=True, slots=True)
class LimitUsedUp:
    """The next turn must be the answer: another limit is used up, by its name in `Limits`."""

    limit: str


Entry: TypeAlias = "Request | Turn | Observed | Rejected | Mend | CutOff | BadForm | NoReplansLeft | TimeIsUp | LimitUsedUp"


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation as a value: `plus` gives a longer one, nothing is ever changed or removed."""

    entries: tuple[Entry, ...] = ()

    def plus(self, *entries: Entry) -> Transcript:
        """Return this conversation with more at its end."""
        return Transcript(self.entries + entries)
