"""References between tasks, what may stand for a value, and how it is written as JSON.

It does not know tasks, plans or what became of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NewType, Protocol, TypeAlias, cast, runtime_checkable

__all__ = [
    "Argument",
    "Each",
    "Expression",
    "Json",
    "Outlook",
    "PathStep",
    "Ref",
    "Star",
    "TaskId",
    "Template",
    "args_to_json",
    "argument_to_json",
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
class Outlook(Ref):
    """A reference that waits for a task without needing its success.

    It stands for what `asks` says: the "value", null where there is none, the "status" (ok, failed,
    skipped or cancelled), or the "error", the message of what went wrong, null where nothing did.
    Only an `Expression` may hold one.
    """

    asks: Literal["value", "status", "error"] = "value"


@dataclass(frozen=True, slots=True)
class Each:
    """One call for every element of what `ref` gives: ``each $2.links``.

    Plan text knows references alone; a workflow may compute the list by an expression.
    """

    ref: Ref | Expression

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
            yield from references(argument.ref)
        case None | bool() | int() | float() | str():
            return
        case list() | tuple():  # before the protocol, whose check is slow
            for value in argument:
                yield from references(value)
        case Mapping():
            for value in argument.values():
                yield from references(value)
        case Expression():
            yield from argument.refs
        case _:
            for value in argument:
                yield from references(value)


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
        case list() | tuple():
            return [argument_to_json(value) for value in argument]
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
