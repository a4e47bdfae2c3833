"""Do the arguments of a task fit its tool, as far as they are known?

It does not know ids, guards or policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmcompiler.check.references import check_ref, misfit, type_of
from llmcompiler.check.refusal import Refused, at_argument
from llmcompiler.check.scope import Facts, Parameter, Scope
from llmcompiler.errors import did_you_mean
from llmcompiler.plan import Argument, Each, Expression, Ref, Task, Template
from llmcompiler.types import Type, accepts_text, at_path, describe, problem

__all__ = ["filled_in", "named"]


def named(task: Task, facts: Facts) -> Mapping[str, Argument]:
    """Give arguments without a name theirs, in the order of the parameters."""
    names = list(facts.parameters)
    given = len(task.positional)
    if given > len(names):
        takes = f"{len(names)} argument{'' if len(names) == 1 else 's'}"
        shown = f" ({', '.join(names)})" if names else ""
        raise Refused(f"{task.tool} takes {takes}{shown}, not {given}", r"\(")
    twice = next((name for name in names[:given] if name in task.args), None)
    if twice is not None:
        raise Refused(f"{task.tool} is given {twice!r} twice", at_argument(twice))
    return {**dict(zip(names, task.positional, strict=False)), **task.args}


def filled_in(
    task: Task, args: Mapping[str, Argument], facts: Facts, scope: Scope
) -> Mapping[str, Argument]:
    """Check every argument; a text that is one reference becomes it where no text may stand."""
    changed: dict[str, Argument] | None = None
    for name, value in args.items():
        parameter = facts.parameters.get(name)
        if parameter is None:
            raise Refused(_unknown_argument(task.tool, name, facts), at_argument(name))
        if type(value) in parameter.plain:
            continue
        if type(value) is Ref:
            check_ref(value, value, parameter, task, scope)
            continue
        filled = _unquoted(value, parameter.expected, ())
        if filled is not value:
            changed = dict(args) if changed is None else changed
            changed[name] = filled
        _check_value(filled, parameter, task, scope)
    for name in facts.required:
        if name not in args:
            raise Refused(f"{task.tool} needs the argument {name!r}", r"\(")
    return args if changed is None else changed


def _unknown_argument(tool: str, name: str, facts: Facts) -> str:
    close = did_you_mean(name, facts.parameters)
    takes = f"; it takes {', '.join(facts.parameters) or 'none'}"
    return f"{tool} has no argument {name!r}{close or takes}"


def _check_value(value: Argument, parameter: Parameter, task: Task, scope: Scope) -> None:
    if isinstance(value, Ref | Each):
        source = value if isinstance(value, Ref) else value.ref
        if isinstance(source, Ref):
            check_ref(value, source, parameter, task, scope)
        else:  # what an expression gives is known when it is there
            _foreign_problem(source, parameter.expected, parameter.name, task, scope)
        return

    def foreign(inner: object, expected: Type, at: str) -> str | None:
        return _foreign_problem(inner, expected, at, task, scope)

    wrong = problem(value, parameter.expected, parameter.name, foreign)
    if wrong is not None:
        raise Refused(f"{task.tool}: {wrong}", at_argument(parameter.name))


def _foreign_problem(
    value: object, expected: Type, name: str, task: Task, scope: Scope
) -> str | None:
    """Say why what stands for a value cannot stand where `expected` is; None if it may."""
    match value:
        case Ref():
            found = type_of(value, task, scope)
            return None if found is None else misfit(value, found, expected, name)
        case Template():
            for ref in value.refs:
                type_of(ref, task, scope)
            if accepts_text(expected):
                return None
            return f"{name} must be {describe(expected)}, not a text with references in it"
        case Expression():
            for ref in value.refs:
                type_of(ref, task, scope)
            return None
        case Each():
            return f"{name} may be '{value}' only as a whole argument, not inside another value"
        case _:
            return f"{name} must be {describe(expected)}, not {value!r}"


def _unquoted(value: Argument, expected: Type, path: tuple[str | int, ...]) -> Argument:
    """Make a text that is one reference that reference, where no text may stand.

    `expected` is the type of the whole argument, `path` where in it `value` stands.
    """
    match value:
        case Template():
            here = at_path(expected, path) if path and value.whole is not None else expected
            keeps = not isinstance(here, Type) or accepts_text(here)
            return value if keeps or value.whole is None else value.whole
        case list() | tuple():
            filled = [_unquoted(one, expected, (*path, at)) for at, one in enumerate(value)]
            return _if_changed(value, filled, value, filled)
        case dict():
            named = {name: _unquoted(one, expected, (*path, name)) for name, one in value.items()}
            return _if_changed(value, named, value.values(), named.values())
        case _:
            return value


def _if_changed(old: Argument, new: Argument, before: Any, after: Any) -> Argument:
    return old if all(a is b for a, b in zip(before, after, strict=True)) else new
