"""Do the arguments of a call fit its tool, now that references have values, and what is converted?

It does not know where the values came from beyond the reference, nor who makes the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

from llmcompiler.check.references import places
from llmcompiler.errors import ToolArgumentError
from llmcompiler.plan import (
    Argument,
    Each,
    Expression,
    Json,
    Ref,
    Task,
    TaskId,
    Template,
    references,
)
from llmcompiler.toolbox import Tool
from llmcompiler.types import Type, accepts_text, at_path, converted, describe, problem
from llmcompiler.types.schema import WORDS, kind_of, kinds, plain_kind, show

__all__ = ["Bound", "Lookup", "bound"]

Lookup: TypeAlias = Callable[[Ref], Json]

_PLAIN = frozenset((str, int, float, bool, type(None)))
_NO_PROPERTIES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Bound:
    """The arguments of one call, checked, and what was converted in them, each as one text."""

    args: Mapping[str, Json]
    conversions: tuple[str, ...] = ()


def bound(
    task: Task, args: Mapping[str, Json], tool: Tool[..., Any], lookup: Lookup | None = None
) -> Bound:
    """Check what references brought into the arguments of a call, and convert what is harmless.

    `args` are the task's arguments with references filled in; for a fan-out, those of one
    element. Literal arguments were checked when the task was, and are not looked at again.
    `lookup` gives what a reference stands for: with it, a value that is no text and was written
    into one is told among the conversions (``"note: ${1.price} as text"``). Raises
    `ToolArgumentError`, naming the reference, where a value does not fit.
    """
    made: dict[str, Json] | None = None
    told: list[str] = []
    for name, argument in task.args.items():
        kind = type(argument)
        if kind in _PLAIN or not _holds_references(argument):
            continue
        if lookup is not None and kind is not Ref and kind is not Each:
            told.extend(_written(name, argument, lookup))
        schema = tool.parameters.get("properties", _NO_PROPERTIES).get(name, True)
        if name not in args or isinstance(schema, bool):
            continue
        value = args[name]
        if _fits_plainly(value, schema):
            continue
        expected = Type(schema, tool.parameters.get("$defs", _NO_PROPERTIES))
        if problem(value, expected, name) is not None:
            raise ToolArgumentError(f"{tool.name}: {_blame(name, argument, value, expected)}")
        changed, notes = converted(value, expected, name)
        if notes:
            made = dict(args) if made is None else made
            made[name] = changed
            told.extend(notes)
    if made is None and not told:
        return Bound(args)
    return Bound(args if made is None else made, tuple(told))


def _holds_references(argument: Argument) -> bool:
    kind = type(argument)
    if kind is Ref or kind is Each or kind is Template:
        return True
    if isinstance(argument, list | tuple):
        # Most lists hold nothing but values: that is seen without looking at each.
        if _PLAIN.issuperset(map(type, argument)):
            return False
        return any(map(_holds_references, argument))
    return next(references(argument), None) is not None


def _fits_plainly(value: Json, schema: Mapping[str, Any]) -> bool:
    """Whether a value fits as it is, told by its Python type alone."""
    kind = type(value)
    match plain_kind(schema):
        case "string":
            return kind is str
        case "integer":
            return kind is int
        case "number":
            return isinstance(value, float) and isfinite(value)
        case "boolean":
            return kind is bool
        case "null":
            return value is None
        case _:
            return False


def _written(name: str, argument: Argument, lookup: Lookup) -> list[str]:
    """Tell which values that are no texts were written into texts."""
    found = [((), argument)] if isinstance(argument, Template) else places(argument)
    return [
        f"{_place(name, at)}: ${{{str(ref)[1:]}}} as text"
        for at, value in found
        if isinstance(value, Template)
        for ref in dict.fromkeys(value.refs)
        if not isinstance(lookup(ref), str)
    ]


# -- what is said of a value that does not fit -------------------------------------------------


def _blame(name: str, argument: Argument, value: Json, expected: Type) -> str:
    """Say why an argument does not fit, and of which reference that is the fault."""
    for at, giver in places(argument):
        wanted = at_path(expected, at) if at else expected
        if not isinstance(wanted, Type):
            continue
        found: Any = value
        for step in at:
            found = found[step]
        wrong = problem(found, wanted, _place(name, at))
        if wrong is not None:
            return _said(_place(name, at), giver, found, wanted, wrong)
    givers = " and ".join(dict.fromkeys(_named(giver) for _, giver in places(argument)))
    return f"{problem(value, expected, name)} (from {givers})"


def _said(at: str, giver: Ref | Each | Expression, found: Json, wanted: Type, wrong: str) -> str:
    kind = kind_of(found)
    allowed = kinds(wanted)
    if kind is None or kind in allowed or (kind == "number" and "integer" in allowed):
        return f"{wrong} (from {_named(giver)})"
    shown = show(found) if kind in ("null", "boolean") else WORDS[kind]
    hint = ""
    if isinstance(giver, Ref) and accepts_text(wanted):
        hint = f'; as a text it is "${{{str(giver)[1:]}}}"'
    return f"{at} must be {describe(wanted)}, and {_named(giver)} is {shown}{hint}"


def _named(giver: Ref | Each | Expression) -> str:
    match giver:
        case Ref():
            return str(giver)
        case Each():
            return f"an element of {giver.ref}"
        case Template():
            shown = (f"${{{str(ref)[1:]}}}" for ref in giver.refs)
            return f"the text with {' and '.join(dict.fromkeys(shown))} in it"
        case _:
            return f"what is computed from {' and '.join(dict.fromkeys(map(str, giver.refs)))}"


def _place(name: str, at: Sequence[str | int]) -> str:
    return name + Ref(TaskId(""), tuple(at)).path_text
