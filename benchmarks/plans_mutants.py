"""Which wrong plans are one mistake away from a right one, and in which line is the mistake?

It does not know how plans are checked. A mutant differs from its plan in one place of one line, and is
wrong by the tools' specifications alone; what these leave open is not made a mutant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from benchmarks.plans_gold import Gold
from llmcompiler import Task, Toolbox
from llmcompiler.language import write_plan
from llmcompiler.plan import Argument, Ref, TaskId

__all__ = ["KINDS", "Kind", "Mutant", "mutants"]

Kind: TypeAlias = Literal[
    "dropped argument",
    "wrong tool name",
    "wrong argument name",
    "forward reference",
    "wrong type",
    "wrong type by reference",
    "wrong field",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_WRONG: Mapping[str, Argument] = {
    "string": 12.5,
    "integer": "several",
    "number": "several",
    "boolean": "perhaps",
    "array": "one, two",
    "object": "one to two",
}
_NUMBERS = {"integer", "number"}
_THOUGHT = "Thought: this is one of several steps.\n"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A plan's text with one mistake, in `line` of the text, counted from 1."""

    plan: str
    kind: Kind
    line: int
    text: str


def mutants(gold: Gold, tools: Toolbox) -> Iterator[Mutant]:
    """Yield every mutant of a plan; up to two lines of thought stand before the plan, in turn."""
    tasks = gold.plan.tasks
    count = 0
    for place, task in enumerate(tasks):
        for kind, changed in _changes(task, tasks[:place], len(tasks), tools):
            before = count % 3
            count += 1
            text = write_plan((*tasks[:place], changed, *tasks[place + 1 :]), gold.plan.joins)
            yield Mutant(gold.name, kind, before + place + 1, _THOUGHT * before + text)


def _changes(
    task: Task, earlier: tuple[Task, ...], count: int, tools: Toolbox
) -> Iterator[tuple[Kind, Task]]:
    declared: Mapping[str, Any] = tools[task.tool].parameters["properties"]
    yield "wrong tool name", replace(task, tool=_misspelt(task.tool, tools))
    for name in tools[task.tool].parameters["required"]:
        rest = {other: value for other, value in task.args.items() if other != name}
        yield "dropped argument", replace(task, args=rest)
    later = Ref(TaskId(str(min(int(task.id) + 1, count))))  # the last line: itself
    for name in task.args:
        yield "forward reference", _with(task, name, later)
        misspelt = _misspelt(name, declared)
        args = {misspelt if one == name else one: value for one, value in task.args.items()}
        yield "wrong argument name", replace(task, args=args)
        expected = declared[name]["type"]
        yield "wrong type", _with(task, name, _WRONG[expected])
        other = _field_of_another_type(expected, earlier, tools)
        if other is not None:
            yield "wrong type by reference", _with(task, name, other)
        if earlier:
            nowhere = Ref(earlier[-1].id, (_misspelt("result", _fields(earlier[-1], tools)),))
            yield "wrong field", _with(task, name, nowhere)


def _with(task: Task, name: str, value: Argument) -> Task:
    return replace(task, args={**task.args, name: value})


def _misspelt(name: str, known: Any) -> str:
    """Drop the last letter, or double it where that makes another name that is known."""
    short = name[:-1]
    return short if short and short not in known else name + name[-1]


def _fields(task: Task, tools: Toolbox) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = (tools[task.tool].returns or {})["properties"]
    return fields


def _field_of_another_type(expected: str, earlier: tuple[Task, ...], tools: Toolbox) -> Ref | None:
    """Find a result that is surely not of the type, the nearest one; numbers are one kind."""
    fitting = _NUMBERS if expected in _NUMBERS else {expected}
    for task in reversed(earlier):
        for name, schema in _fields(task, tools).items():
            if schema["type"] not in fitting:
                return Ref(task.id, (name,))
    return None
