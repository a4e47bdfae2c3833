"""What may a task refer to: which ids are there, which come, and what is known of their tools?

It does not know what makes a task legal: it only remembers what was found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmcompiler.plan import Policy, Task, TaskId
from llmcompiler.toolbox import Tool
from llmcompiler.types import Type, accepts_text, plain_types

__all__ = ["Facts", "Parameter", "Scope", "number_of"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is known of a tool's parameter. Every value of a Python type in `plain` fits."""

    name: str
    expected: Type
    plain: frozenset[type]
    takes_text: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """A tool's schemas, read once; `policy` is what a step of it carries, None where it is plain."""

    tool: Tool[..., Any]
    parameters: Mapping[str, Parameter]
    required: tuple[str, ...]
    returns: Type | None
    policy: Policy | None

    @classmethod
    def of(cls, tool: Tool[..., Any]) -> Facts:
        """Read a tool."""
        schema = tool.parameters
        whole = Type.of(schema)
        parameters: dict[str, Parameter] = {}
        for name, inner in schema.get("properties", {}).items():
            kind = Type(inner, whole.defs)
            parameters[name] = Parameter(name, kind, plain_types(kind), accepts_text(kind))
        special = tool.effects == "write" or tool.resource is not None
        return cls(
            tool,
            parameters,
            tuple(schema.get("required", ())),
            None if tool.returns is None else Type.of(tool.returns),
            Policy(effects=tool.effects, resource=tool.resource) if special else None,
        )


@dataclass(slots=True)
class Scope:
    """What a task may refer to: the tasks accepted so far, of this plan and of earlier ones.

    `awaited` holds the ids of lines that will be written (again): rejected ones, and those that
    were reopened. They may be referred to, and used. Tasks enter through `accept`; of one that
    `check` never saw, nothing is known but its id. `facts` and `fitting` are what `check`
    remembers: tools by name, and references that were found to fit.
    """

    tasks: dict[TaskId, Task] = field(default_factory=dict)
    awaited: set[TaskId] = field(default_factory=set)
    reopened: set[TaskId] = field(default_factory=set)
    highest: int = 0
    facts: dict[str, Facts] = field(default_factory=dict, repr=False)
    fitting: set[tuple[object, ...]] = field(default_factory=set, repr=False)

    def accept(self, task: Task) -> None:
        """Take in a task that `check` returned."""
        self.tasks[task.id] = task
        self.awaited.discard(task.id)
        self.reopened.discard(task.id)
        number = number_of(task.id)
        if number is not None and number > self.highest:
            self.highest = number

    def reopen(self, task: TaskId) -> None:
        """Let a task be written again under its id; raise KeyError if there is none.

        What refers to it stays, and `check` refuses a replacement that does not give it what it
        refers to.
        """
        if task in self.reopened:
            return
        del self.tasks[task]
        self.awaited.add(task)
        self.reopened.add(task)

    @property
    def next_id(self) -> int:
        """The number that the next line of a plan should carry."""
        return max([self.highest, *(number_of(task) or 0 for task in self.awaited)]) + 1


def number_of(task: TaskId) -> int | None:
    """Return an id's number; None for one that is a name."""
    return int(task) if len(task) <= 18 and task.isdecimal() else None
