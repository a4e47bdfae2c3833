"""What a plan is: tasks, each one call of one tool, in the order they were written.

It does not know plan text, tools, models or clocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llmcompiler import drawing
from llmcompiler.plan.references import (
    Argument,
    Expression,
    Outlook,
    Ref,
    TaskId,
    args_to_json,
    argument_to_json,
    references,
)
from llmcompiler.retry import Retry

__all__ = ["Plan", "Policy", "Task", "plan_to_json"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How one step is run, where it departs from its tool's own settings.

    `timeout` is in seconds; `retries` counts attempts after the first. `effects` and `resource`
    are stamped on by `check`, from the tool; `approve` says why somebody must approve the step.
    """

    timeout: float | None = None
    retries: int | None = None
    effects: Literal["read", "write"] | None = None
    resource: str | None = None
    approve: str | None = None
    retry: Retry | None = None
    limit: int | None = None
    cache: bool | None = None


def plan_to_json(plan: Plan) -> list[dict[str, Any]]:
    """Write a plan as a list of ``{id, tool, args, needs}``, in the order of writing."""
    return [
        {
            "id": task.id,
            "tool": task.tool,
            "args": args_to_json(task.args),
            "needs": list(task.needs),
        }
        for task in plan
    ]


_NO_ARGS: Mapping[str, Argument] = {}
_DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Task:
    """One call of one tool. `needs` is derived from the references in its arguments.

    `positional` holds arguments that were written without a name; `check` gives them theirs.
    `when` is a guard: a task whose guard is false is skipped. `line` counts from 1, 0 if unknown.
    """

    id: TaskId
    tool: str
    args: Mapping[str, Argument] = field(default_factory=lambda: _NO_ARGS)
    positional: tuple[Argument, ...] = ()
    when: Expression | None = None
    policy: Policy = _DEFAULT_POLICY
    line: int = 0

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Every reference in the arguments and the guard, in order of writing."""
        found = [ref for value in self.positional for ref in references(value)]
        for value in self.args.values():
            found.extend(references(value))
        if self.when is not None:
            found.extend(self.when.refs)
        return tuple(found)

    @property
    def needs(self) -> tuple[TaskId, ...]:
        """The tasks whose results this one reads, each once, in order of writing."""
        return tuple(dict.fromkeys(ref.task for ref in self.refs))

    @property
    def musts(self) -> frozenset[TaskId]:
        """Those of the tasks it needs without whose success it cannot run."""
        return frozenset(ref.task for ref in self.refs if not isinstance(ref, Outlook))


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in the order they were written.

    `joins` names the only results the joiner needs (``join($4)``), or is None for all.
    `request` is what the plan answers, where that is known.
    """

    tasks: tuple[Task, ...] = ()
    joins: tuple[TaskId, ...] | None = None
    request: str | None = None

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, task: str) -> Task:
        """Return the task with this id; raise KeyError if there is none."""
        for candidate in self.tasks:
            if candidate.id == task:
                return candidate
        raise KeyError(task)

    def to_mermaid(self) -> str:
        """Draw the plan as a mermaid flowchart; an edge that follows from others is left out."""
        return drawing.to_mermaid(map(_box, self.tasks), _edges(self))

    def to_dot(self) -> str:
        """Draw the plan for Graphviz; an edge that follows from others is left out."""
        return drawing.to_dot(map(_box, self.tasks), _edges(self))


_LONGEST_SHOWN = 40
_MARKED = re.compile(r'\{"(ref|each|template|expression)": ("(?:[^"\\]|\\.)*")\}')


def _edges(plan: Plan) -> Iterator[drawing.Edge]:
    return ((need, task.id) for task in plan for need in task.needs)


def _box(task: Task) -> drawing.Box:
    shown = [_shown(value) for value in task.positional]
    shown += [f"{name}={_shown(value)}" for name, value in task.args.items()]
    return drawing.Box(task.id, f"{task.id}. {task.tool}({', '.join(shown)})")


def _shown(argument: Argument) -> str:
    """Write an argument about as in plan text, whatever it holds, and shortened."""
    text = _MARKED.sub(_unmarked, json.dumps(argument_to_json(argument), ensure_ascii=False))
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _unmarked(found: re.Match[str]) -> str:
    kind, text = found.groups()
    return text if kind == "template" else "each " * (kind == "each") + json.loads(text)
