"""What do a task's arguments come to, given the results there are?

It does not know when a task may start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from llmcompiler.errors import did_you_mean
from llmcompiler.frontier.commands import Start
from llmcompiler.plan import (
    Argument,
    Cancelled,
    Each,
    Expression,
    Failed,
    Json,
    Outcome,
    Outlook,
    Ref,
    Skipped,
    Star,
    Task,
)

__all__ = ["Unbindable", "bind", "outlook", "resolve"]


class Unbindable(Exception):
    """Arguments that cannot be filled in from the results there are."""


def bind(task: Task, lookup: Callable[[Ref], Json]) -> Start:
    """Fill in a task's references; `lookup` gives what each stands for. Raises `Unbindable`."""
    args: dict[str, Json] = {}
    fans: dict[str, list[Json]] = {}
    for name, argument in task.args.items():
        if type(argument) is Each:
            values = _fill(argument.ref, lookup)
            if not isinstance(values, list):
                raise Unbindable(f"{argument} needs a list, and {argument.ref} is {_a(values)}")
            fans[name] = values
            args[name] = values
        else:
            args[name] = _fill(argument, lookup)
    if not fans:
        return Start(task, args)
    lengths = {len(each) for each in fans.values()}
    if len(lengths) > 1:
        shown = " and ".join(f"{name} has {len(each)}" for name, each in fans.items())
        raise Unbindable(f"lists that go in step must be of one length: {shown}")
    count = lengths.pop()
    elements = tuple(
        {name: fans[name][index] if name in fans else value for name, value in args.items()}
        for index in range(count)
    )
    return Start(task, args, elements)


def _fill(argument: Argument, lookup: Callable[[Ref], Json]) -> Json:
    kind = type(argument)
    if kind is str or kind is int or kind is float or kind is bool or argument is None:
        return cast("Json", argument)
    if isinstance(argument, Ref):
        return lookup(argument)
    if kind is list or kind is tuple:
        return [_fill(inner, lookup) for inner in cast("list[Argument]", argument)]
    if isinstance(argument, Mapping):
        return {name: _fill(inner, lookup) for name, inner in argument.items()}
    if isinstance(argument, Expression):
        return argument.evaluate(lookup)
    return [_fill(inner, lookup) for inner in cast("list[Argument]", argument)]


def outlook(outcome: Outcome, ref: Outlook) -> Json:
    """Return what became of a task, as far as `ref` asks; null where there is nothing of it."""
    match ref.asks, outcome:
        case "status", _:
            return outcome.status
        case "error", Failed():
            return outcome.message
        case "error", Skipped() | Cancelled():
            return outcome.reason
        case _:
            return None


def resolve(value: Json, ref: Ref) -> Json:
    """Follow a reference's path into a result; raise an error that names the step that failed."""
    return _walk(value, ref, 0)


def _walk(value: Json, ref: Ref, at: int) -> Json:
    for index in range(at, len(ref.path)):
        step = ref.path[index]
        here = f"${ref.task}{Ref(ref.task, ref.path[:index]).path_text}"
        if isinstance(step, str):
            if not isinstance(value, dict):
                raise Unbindable(f"{here} is {_a(value)} and has no {step!r}")
            if step not in value:
                raise Unbindable(f"{here} has no {step!r}{did_you_mean(step, map(str, value))}")
            value = value[step]
            continue
        if not isinstance(value, list):
            raise Unbindable(f"{here} is {_a(value)}, not a list")
        if isinstance(step, Star):
            return [_walk(element, ref, index + 1) for element in value]
        if not -len(value) <= step < len(value):
            raise Unbindable(f"{here} has {len(value)} elements and no [{step}]")
        value = value[step]
    return value


def _a(value: Json) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
    }
    return "null" if value is None else names.get(type(value), "a number")
