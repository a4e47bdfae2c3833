"""What does a plan's text come to when it is read in pieces and checked line by line?

It does not know how the plan is run. What is refused is kept, and lines that refer to it are not
refused for that, as while a plan is being written.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from llmcompiler import Plan, Task, Toolbox
from llmcompiler.check import Scope, check
from llmcompiler.errors import PlanError
from llmcompiler.language import TurnReader
from llmcompiler.plan import TaskId
from llmcompiler.roles import Read, Sealed, Unreadable

__all__ = ["Reading", "in_pieces", "read_checked"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text said, and the plan as far as it is legal.

    `tasks` are all that could be read; `unreadable` says which lines could not, `refused` which of
    the tasks are not legal.
    """

    tasks: tuple[Task, ...]
    plan: Plan
    unreadable: tuple[PlanError, ...]
    refused: tuple[PlanError, ...]

    @property
    def errors(self) -> tuple[PlanError, ...]:
        """All that is wrong with the text."""
        return self.unreadable + self.refused


def in_pieces(text: str, draw: random.Random) -> Iterator[str]:
    """Cut a text into pieces of 1 to 12 characters, as a model writes it."""
    at = 0
    while at < len(text):
        size = draw.randint(1, 12)
        yield text[at : at + size]
        at += size


def read_checked(text: str, tools: Toolbox, draw: random.Random | None = None) -> Reading:
    """Read a plan, in random pieces if `draw` says how, and check each line against `tools`."""
    reader = TurnReader()
    pieces = [text] if draw is None else in_pieces(text, draw)
    items = [item for piece in pieces for item in reader.feed(piece)]
    scope = Scope()
    tasks: list[Task] = []
    accepted: list[Task] = []
    unreadable: list[PlanError] = []
    refused: list[PlanError] = []
    joins: tuple[TaskId, ...] | None = None
    for item in (*items, *reader.close("stop")):
        match item:
            case Read(task, source):
                tasks.append(task)
                try:
                    checked = check(task, tools, scope, source)
                except PlanError as error:
                    refused.append(error)
                    if error.task is not None:  # else its id is what was wrong with it
                        scope.awaited.add(task.id)
                else:
                    scope.accept(checked)
                    accepted.append(checked)
            case Unreadable(error):
                unreadable.append(error)
            case Sealed():
                joins = item.joins
            case _:
                pass
    return Reading(tuple(tasks), Plan(tuple(accepted), joins), tuple(unreadable), tuple(refused))
