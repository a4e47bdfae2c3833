"""What a whole plan text says, read at once.

It does not know the forms of a turn, which `turn` reads, nor which tools exist.
"""

from __future__ import annotations

from llmcompiler.errors import PlanError
from llmcompiler.language.turn import TurnReader
from llmcompiler.plan import Plan, Task, TaskId
from llmcompiler.roles import Read, Sealed, Unreadable

__all__ = ["parse_plan"]


def parse_plan(text: str) -> Plan:
    """Read a whole plan; raise the first `PlanError`, or one that says that there is no plan."""
    reader = TurnReader()
    items = [*reader.feed(text), *reader.close("stop")]
    tasks: list[Task] = []
    joins: tuple[TaskId, ...] | None = None
    found = False
    for item in items:
        match item:
            case Unreadable(error):
                raise error
            case Read(task):
                tasks.append(task)
                found = True
            case Sealed():
                joins = item.joins
                found = True
            case _:
                pass
    if not found:
        raise PlanError(
            "there is no plan line in the text: write N. tool(name=value)", line=1, column=1
        )
    return Plan(tuple(tasks), joins)
