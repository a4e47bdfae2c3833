"""What is at a path inside values of a type?

It does not know references or plans: a path is names, positions and None for every element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llmcompiler.errors import did_you_mean
from llmcompiler.types.schema import DEEP, WORDS, Schema, Type, array_of, branches, describe

__all__ = ["PathProblem", "Step", "at_path", "element_of", "step_into"]

Step: TypeAlias = "str | int | None"  # a name, a position, or None for every element


@dataclass(frozen=True, slots=True)
class PathProblem:
    """A path leads nowhere: `at` is how many of its steps could be taken, `text` says what is there."""

    at: int
    text: str


def at_path(source: Type, path: Sequence[Step]) -> Type | PathProblem | None:
    """Return the type at `path` inside `source`; None if unknown, a problem if certainly not there.

    A step is a name, a position, or None for every element. An object that lists its properties
    has no others, unless it says what others may be.
    """
    return _at(source.schema, source.defs, path, 0, 0)


def element_of(source: Type) -> Type | PathProblem | None:
    """Return the type of a list's elements; None if unknown, a problem if it is surely no list."""
    found = at_path(source, (None,))
    if isinstance(found, Type) and isinstance(found.schema, Mapping):
        return Type(found.schema["items"], found.defs)
    return found if isinstance(found, PathProblem) else None


def _at(
    schema: Schema, defs: Mapping[str, Schema], path: Sequence[Step], taken: int, deep: int
) -> Type | PathProblem | None:
    if taken == len(path):
        return Type(schema, defs)
    here = Type(schema, defs)
    step = path[taken]
    known: list[Type] = []
    wrong: list[PathProblem] = []
    unknown = deep > DEEP
    names: set[str] = set()
    for kind, branch in () if unknown else branches(here):
        found = step_into(kind, branch, step, names)
        if isinstance(found, str):
            wrong.append(PathProblem(taken, found))
            continue
        after = None if found is True else _at(found, defs, path, taken + 1, deep + 1)
        if isinstance(after, PathProblem):
            wrong.append(after)
        elif after is None and step is not None:
            unknown = True
        else:
            known.append(after or Type(True, defs))
    if unknown:
        return None
    if not known:
        deepest = max(wrong, key=lambda one: one.at, default=PathProblem(taken, "is nothing"))
        if deepest.at > taken or len(wrong) == 1:
            return deepest
        return PathProblem(taken, _nowhere(here, step, names))
    together = known[0].schema if len(known) == 1 else {"anyOf": [one.schema for one in known]}
    return array_of(Type(together, defs)) if step is None else Type(together, defs)


def step_into(kind: str, schema: Mapping[str, Any], step: Step, names: set[str]) -> Schema | str:
    """Take one step into a branch: the schema there, True if unknown, a text if it is not there."""
    if isinstance(step, str):
        if kind != "object":
            return f"is {WORDS[kind]} and has no {step!r}"
        properties: Mapping[str, Schema] = schema.get("properties", {})
        names.update(properties)
        if step in properties:
            inner = properties[step]
            return True if inner == {} else inner
        others: Schema = schema.get("additionalProperties", not properties)
        return others if others is not False else f"has no {step!r}{did_you_mean(step, properties)}"
    if kind != "array":
        return f"is {WORDS[kind]}, not a list"
    first = schema.get("prefixItems", ())
    rest: Schema = schema.get("items", True)
    most = schema.get("maxItems")
    if step is None:
        inner = {"anyOf": [*first, rest]} if first and most != len(first) else {"anyOf": [*first]}
        return inner if first else (True if rest == {} else rest)
    if most is not None and not -most <= step < most:
        return f"has at most {most} elements and no [{step}]"
    if first and step < 0 and not (schema.get("minItems") == most == len(first)):
        return True
    inner = first[step] if first and step < len(first) else rest
    return True if inner == {} else inner


def _nowhere(here: Type, step: Step, names: set[str]) -> str:
    if not isinstance(step, str):
        return f"is {describe(here)}, not a list"
    if names:
        return f"has no {step!r}{did_you_mean(step, sorted(names))}"
    return f"is {describe(here)} and has no {step!r}"
