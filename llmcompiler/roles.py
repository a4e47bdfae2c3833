"""The seam `Planner`: the next turn of the conversation, as a stream of tasks, answer or reason.

It does not know how a turn is asked for or read: prompts and models are a planner's own affair.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from llmcompiler.errors import PlanError
from llmcompiler.messages import LLM, FinishReason, Grammar, Message
from llmcompiler.plan import Task, TaskId
from llmcompiler.toolbox import Toolbox
from llmcompiler.transcript import Transcript

__all__ = [
    "Allow",
    "AnswerText",
    "Foresees",
    "Ignored",
    "Planner",
    "Read",
    "Reason",
    "Sealed",
    "Text",
    "TurnEnded",
    "TurnItem",
    "TurnRequest",
    "Unreadable",
]


Allow: TypeAlias = Literal["any", "join", "answer", "lines"]


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a planner is asked for.

    `allow` says which forms the turn may take: "any" before there are observations (plan or
    answer), "join" after (answer, or replan), "answer" when replans or time are used up, "lines"
    in a repair turn or when going on from a cut. `next_id` is the number of the next new line.
    `output_schema` is the JSON Schema that the answer must have, or None for text.
    """

    transcript: Transcript
    toolbox: Toolbox
    allow: Allow = "any"
    next_id: int = 1
    output_schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of plan text as it was written, for showing."""

    text: str


@dataclass(frozen=True, slots=True)
class Read:
    """A plan line was sealed and read; it was not checked. `source` is the line as written."""

    task: Task
    source: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A plan line cannot be read."""

    error: PlanError


@dataclass(frozen=True, slots=True)
class Sealed:
    """``join()`` was read; `joins` names the results that matter, None for all."""

    joins: tuple[TaskId, ...] | None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Text that was set aside (a thought, prose, text after ``join()``) and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason of a replan, whole."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerText:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over: what was written, to the letter, and how the stream ended."""

    text: str
    reason: FinishReason


TurnItem: TypeAlias = (
    "Text | Read | Unreadable | Sealed | Ignored | Reason | AnswerText | TurnEnded"
)


class Planner(Protocol):
    """Writes plans and reads results, with the model it is handed for each turn."""

    def turn(self, request: TurnRequest, llm: LLM) -> AsyncGenerator[TurnItem, None]:
        """Take one turn: items as they are read, `TurnEnded` last. Closing early stops the model."""
        ...

    def grammar(self, request: TurnRequest) -> str | Grammar | None:
        """Return the grammar that the turn would be held to, for looking at; None if none."""
        ...


@runtime_checkable
class Foresees(Protocol):
    """A planner that knows beforehand what its coming prompt will begin with."""

    def foreseen(self, request: TurnRequest) -> tuple[Message, ...]:
        """Return what every prompt begins with of a turn whose transcript begins as `request`'s."""
        ...
