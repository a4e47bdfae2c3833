"""What a plan is: tasks, references between them, and what became of each. Pure data.

It does not know plan text, tools, models or clocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NewType, Protocol, TypeAlias, cast, runtime_checkable

__all__ = [
    "Argument",
    "Cancelled",
    "Each",
    "Expression",
    "Failed",
    "Json",
    "Observation",
    "Ok",
    "Outcome",
    "PathStep",
    "Plan",
    "Policy",
    "Ref",
    "Skipped",
    "Star",
    "Task",
    "TaskId",
    "Template",
    "Timing",
    "args_to_json",
    "argument_to_json",
    "plan_to_json",
    "references",
    "render_text",
]

TaskId = NewType("TaskId", str)
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Star:
    """The path step ``[*]``: that of every element."""

    def __repr__(self) -> str:
        return "Star()"


PathStep: TypeAlias = "str | int | Star"


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a task's result, or to what is at `path` inside it: ``$3.price``."""

    task: TaskId
    path: tuple[PathStep, ...] = ()

    def __str__(self) -> str:
        return f"${self.task}{self.path_text}"

    @property
    def path_text(self) -> str:
        """The path as written: ``.name``, ``["a name"]``, ``[0]``, ``[*]``."""
        return "".join(map(_written_step, self.path))


def _written_step(step: PathStep) -> str:
    if isinstance(step, Star):
        return "[*]"
    if isinstance(step, int):
        return f"[{step}]"
    plain = step.isascii() and step.isidentifier()
    return f".{step}" if plain else f"[{json.dumps(step, ensure_ascii=False)}]"


@dataclass(frozen=True, slots=True)
class Each:
    """One call for every element of what `ref` gives: ``each $2.links``."""

    ref: Ref

    def __str__(self) -> str:
        return f"each {self.ref}"


@runtime_checkable
class Expression(Protocol):
    """A pure computation over earlier results that knows what it reads."""

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Every reference that the expression reads."""
        ...

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        """Compute the value; `lookup` gives what a reference stands for."""
        ...


@dataclass(frozen=True, slots=True)
class Template:
    """A text with references in it: ``"Oslo is ${1.name}"``. Substituted text is never scanned again."""

    parts: tuple[str | Ref, ...]

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Every reference in the text, in order."""
        return tuple(part for part in self.parts if isinstance(part, Ref))

    @property
    def whole(self) -> Ref | None:
        """The reference, where the text is one reference and nothing else: ``"${1}"``."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Ref):
            return self.parts[0]
        return None

    def evaluate(self, lookup: Callable[[Ref], Json]) -> Json:
        """Write the text with each reference replaced by its value as text."""
        return "".join(
            part if isinstance(part, str) else render_text(lookup(part)) for part in self.parts
        )


Argument: TypeAlias = "bool | int | float | str | Ref | Each | Expression | Sequence[Argument] | Mapping[str, Argument] | None"


def render_text(value: Json) -> str:
    """Write a value as it reads inside a text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def references(argument: Argument) -> Iterator[Ref]:
    """Yield every reference inside an argument, depth first."""
    match argument:
        case Ref():
            yield argument
        case Each():
            yield argument.ref
        case None | bool() | int() | float() | str():
            return
        case Mapping():
            for value in argument.values():
                yield from references(value)
        case Expression():
            yield from argument.refs
        case _:
            for value in argument:
                yield from references(value)


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


_LOOKS_LIKE_REFERENCE = re.compile(r"\$(?=\{\d)")


def argument_to_json(argument: Argument) -> Json:
    """Write an argument as JSON: ``{"ref": "$1.price"}``, ``{"each": "$2"}``, ``{"template": "…"}``.

    In a template's text ``${1}`` stands for a reference; one that is only text is written with
    JSON's own escape, as in plan text.
    """
    match argument:
        case None | bool() | int() | float() | str():
            return argument
        case Ref():
            return {"ref": str(argument)}
        case Each():
            return {"each": str(argument.ref)}
        case Template():
            return {
                "template": "".join(
                    f"${{{part.task}{part.path_text}}}"
                    if isinstance(part, Ref)
                    else _LOOKS_LIKE_REFERENCE.sub(r"\\u0024", part)
                    for part in argument.parts
                )
            }
        case Mapping():
            return {name: argument_to_json(value) for name, value in argument.items()}
        case Expression():
            return {"expression": str(argument)}
        case _:
            return [argument_to_json(value) for value in argument]


_PLAIN = (str, int, float, bool, type(None))


def args_to_json(args: Mapping[str, Argument]) -> dict[str, Json]:
    """Write all of a task's arguments as JSON, see `argument_to_json`."""
    return {
        name: cast("Json", value) if type(value) in _PLAIN else argument_to_json(value)
        for name, value in args.items()
    }


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


@dataclass(frozen=True, slots=True)
class Ok:
    """The step finished; `value` is its result as JSON."""

    value: Json
    status: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True)
class Failed:
    """The step failed: `kind` is the error's type name, `message` what the model reads.

    `attempts` counts calls made. For a fan-out, `elements` keeps what every element came to.
    """

    kind: str
    message: str
    attempts: int = 1
    elements: tuple[Outcome, ...] | None = None
    status: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Skipped:
    """The step was not run; `because` is the task whose outcome stood in the way, if it was one."""

    reason: str
    because: TaskId | None = None
    status: Literal["skipped"] = "skipped"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The step was stopped, or never started, because its run was stopped."""

    reason: str
    status: Literal["cancelled"] = "cancelled"


Outcome: TypeAlias = "Ok | Failed | Skipped | Cancelled"


@dataclass(frozen=True, slots=True)
class Timing:
    """When a step was ready, started and ended, in seconds from the start of the run."""

    ready: float
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long the step ran, in seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of a task. `args` are its arguments with references filled in, or None if never bound."""

    task: Task
    outcome: Outcome
    timing: Timing
    args: Mapping[str, Json] | None = None
