"""Is this task legal here: its id, its tool, its arguments, what it refers to?

It does not know plan text, when a task may start, or what a model is told of a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmcompiler.errors import PlanError, did_you_mean
from llmcompiler.plan import Argument, Each, Expression, Ref, Star, Task, TaskId, Template
from llmcompiler.toolbox import Tool, Toolbox
from llmcompiler.types import (
    PathProblem,
    Type,
    accepts_text,
    array_of,
    at_path,
    describe,
    element_of,
    may_fit,
    plain_types,
    problem,
)

__all__ = ["Scope", "check"]


@dataclass(frozen=True, slots=True)
class _Parameter:
    """What is known of a tool's parameter. Every value of a Python type in `plain` fits."""

    name: str
    expected: Type
    plain: frozenset[type]
    takes_text: bool


@dataclass(frozen=True, slots=True)
class _Facts:
    """A tool's schemas, read once."""

    tool: Tool[..., Any]
    parameters: Mapping[str, _Parameter]
    required: tuple[str, ...]
    returns: Type | None


@dataclass(slots=True)
class Scope:
    """What a task may refer to: the tasks accepted so far, of this plan and of earlier ones.

    `awaited` holds the ids of rejected lines that a repair will replace: they may be referred to,
    and used again. Tasks enter through `accept`; of one that `check` never saw, nothing is known
    but its id.
    """

    tasks: dict[TaskId, Task] = field(default_factory=dict)
    awaited: set[TaskId] = field(default_factory=set)
    _highest: int = 0
    _facts: dict[str, _Facts] = field(default_factory=dict, repr=False)
    _fitting: set[tuple[object, ...]] = field(default_factory=set, repr=False)

    def accept(self, task: Task) -> None:
        """Take in a task that `check` returned."""
        self.tasks[task.id] = task
        self.awaited.discard(task.id)
        number = _number(task.id)
        if number is not None and number > self._highest:
            self._highest = number

    @property
    def next_id(self) -> int:
        """The number that the next line of a plan should carry."""
        return max([self._highest, *(_number(task) or 0 for task in self.awaited)]) + 1


class _Refused(Exception):
    """A problem, and a pattern that finds in the line what it is about."""

    def __init__(self, text: str, where: str = "", *, own_id: bool = True) -> None:
        self.where = where
        self.own_id = own_id
        super().__init__(text)


def check(task: Task, toolbox: Toolbox, scope: Scope, source: str = "") -> Task:
    """Return the task with a name for every argument; raise `PlanError` where it is not legal.

    The first problem is reported; `source` is the line as written, in which its column is looked
    up. A text that is one reference becomes that reference where no text may stand. `scope` is
    not changed, save for what it remembers of tools; `Scope.accept` takes the task in.
    """
    try:
        _check_id(task, scope)
        facts = scope._facts.get(task.tool)
        if facts is None or facts.tool is not toolbox.get(task.tool):
            facts = _read_tool(task, toolbox)
            scope._facts[task.tool] = facts
            scope._fitting.clear()
        args = _named(task, facts) if task.positional else task.args
        filled = _check_args(task, args, facts, scope)
        if task.when is not None:
            for ref in task.when.refs:
                _type_of(ref, task, scope)
    except _Refused as refused:
        raise _plan_error(refused, task, source) from None
    if filled is task.args:
        return task
    return Task(task.id, task.tool, filled, (), task.when, task.policy, task.line)


# -- ids and tools -----------------------------------------------------------------------------


def _number(task: TaskId) -> int | None:
    return int(task) if len(task) <= 18 and task.isdecimal() else None


def _check_id(task: Task, scope: Scope) -> None:
    if task.id in scope.tasks:
        advice = f"write it as {scope.next_id}" if task.id.isdecimal() else "give it another"
        raise _Refused(f"the id {task.id} is taken; {advice}", r"\S", own_id=False)
    number = _number(task.id)
    if number is None or number > scope._highest or task.id in scope.awaited:
        return
    raise _Refused(f"ids must increase: write {scope.next_id}, not {task.id}", r"\S", own_id=False)


def _read_tool(task: Task, toolbox: Toolbox) -> _Facts:
    tool = toolbox.get(task.tool)
    if tool is None:
        raise _Refused(
            f"there is no tool {task.tool!r}{did_you_mean(task.tool, toolbox)}",
            rf"(?<![\w$.]){re.escape(task.tool)}(?=\s*\()",
        )
    schema = tool.parameters
    whole = Type.of(schema)
    parameters: dict[str, _Parameter] = {}
    for name, inner in schema.get("properties", {}).items():
        kind = Type(inner, whole.defs)
        parameters[name] = _Parameter(name, kind, plain_types(kind), accepts_text(kind))
    returns = None if tool.returns is None else Type.of(tool.returns)
    return _Facts(tool, parameters, tuple(schema.get("required", ())), returns)


# -- arguments ---------------------------------------------------------------------------------


def _named(task: Task, facts: _Facts) -> Mapping[str, Argument]:
    """Give arguments without a name theirs, in the order of the parameters."""
    names = list(facts.parameters)
    given = len(task.positional)
    if given > len(names):
        takes = f"{len(names)} argument{'' if len(names) == 1 else 's'}"
        shown = f" ({', '.join(names)})" if names else ""
        raise _Refused(f"{task.tool} takes {takes}{shown}, not {given}", r"\(")
    twice = next((name for name in names[:given] if name in task.args), None)
    if twice is not None:
        raise _Refused(f"{task.tool} is given {twice!r} twice", _argument(twice))
    return {**dict(zip(names, task.positional, strict=False)), **task.args}


def _check_args(
    task: Task, args: Mapping[str, Argument], facts: _Facts, scope: Scope
) -> Mapping[str, Argument]:
    changed: dict[str, Argument] | None = None
    for name, value in args.items():
        parameter = facts.parameters.get(name)
        if parameter is None:
            raise _Refused(_unknown_argument(task.tool, name, facts), _argument(name))
        if type(value) in parameter.plain:
            continue
        if type(value) is Ref:
            _check_ref(value, value, parameter, task, scope)
            continue
        filled = _unquoted(value, parameter.expected, ())
        if filled is not value:
            changed = dict(args) if changed is None else changed
            changed[name] = filled
        _check_value(filled, parameter, task, scope)
    for name in facts.required:
        if name not in args:
            raise _Refused(f"{task.tool} needs the argument {name!r}", r"\(")
    return args if changed is None else changed


def _unknown_argument(tool: str, name: str, facts: _Facts) -> str:
    close = did_you_mean(name, facts.parameters)
    takes = f"; it takes {', '.join(facts.parameters) or 'none'}"
    return f"{tool} has no argument {name!r}{close or takes}"


def _check_value(value: Argument, parameter: _Parameter, task: Task, scope: Scope) -> None:
    if isinstance(value, Ref | Each):
        _check_ref(value, value if isinstance(value, Ref) else value.ref, parameter, task, scope)
        return

    def foreign(inner: object, expected: Type, at: str) -> str | None:
        return _foreign_problem(inner, expected, at, task, scope)

    wrong = problem(value, parameter.expected, parameter.name, foreign)
    if wrong is not None:
        raise _Refused(f"{task.tool}: {wrong}", _argument(parameter.name))


def _foreign_problem(
    value: object, expected: Type, name: str, task: Task, scope: Scope
) -> str | None:
    """Say why what stands for a value cannot stand where `expected` is; None if it may."""
    match value:
        case Ref():
            found = _type_of(value, task, scope)
            return None if found is None else _misfit(value, found, expected, name)
        case Template():
            for ref in value.refs:
                _type_of(ref, task, scope)
            if accepts_text(expected):
                return None
            return f"{name} must be {describe(expected)}, not a text with references in it"
        case Expression():
            for ref in value.refs:
                _type_of(ref, task, scope)
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


# -- references --------------------------------------------------------------------------------


def _check_ref(
    value: Ref | Each, ref: Ref, parameter: _Parameter, task: Task, scope: Scope
) -> None:
    """Check a reference that is a whole argument; what was found to fit is remembered."""
    giver = scope.tasks.get(ref.task)
    known = None
    if giver is not None and _comes_before(ref.task, task.id):
        known = (giver.tool, _fans_out(giver), ref.path, type(value), task.tool, parameter.name)
        if known in scope._fitting:
            return
    found = _type_of(ref, task, scope)
    if found is not None and type(value) is Each:
        element = element_of(found)
        if isinstance(element, PathProblem):
            text = f"'{value}' needs a list, and {ref} is {describe(found)}"
            raise _Refused(text, _reference(ref))
        found = element
    wrong = None if found is None else _misfit(value, found, parameter.expected, parameter.name)
    if wrong is not None:
        raise _Refused(f"{task.tool}: {wrong}", _reference(ref))
    if known is not None:
        scope._fitting.add(known)


def _misfit(value: Ref | Each, found: Type, expected: Type, name: str) -> str | None:
    if may_fit(found, expected):
        return None
    what = f"an element of {value.ref}" if isinstance(value, Each) else str(value)
    wanted, given = describe(expected), describe(found)
    if wanted == given:
        return f"{name} must be {wanted} of another kind than {what}"
    hint = ""
    if isinstance(value, Ref) and accepts_text(expected):
        hint = f'; as a text it is "${{{str(value)[1:]}}}"'
    return f"{name} must be {wanted}, and {what} is {given}{hint}"


def _type_of(ref: Ref, task: Task, scope: Scope) -> Type | None:
    """Return the type of what a reference stands for, None if unknown; refuse what is not there."""
    giver = scope.tasks.get(ref.task)
    if not _comes_before(ref.task, task.id) or (giver is None and ref.task not in scope.awaited):
        raise _Refused(_no_such_task(ref, task, scope), _reference(ref))
    facts = None if giver is None else scope._facts.get(giver.tool)
    if giver is None or facts is None or facts.returns is None:
        return None
    returns = facts.returns
    whole = array_of(returns) if _fans_out(giver) else returns
    if not ref.path:
        return whole
    found = at_path(whole, [None if isinstance(step, Star) else step for step in ref.path])
    if isinstance(found, PathProblem):
        here = Ref(ref.task, ref.path[: found.at])
        raise _Refused(f"{here} {found.text}", _reference(ref))
    return found


def _comes_before(one: TaskId, other: TaskId) -> bool:
    first, second = _number(one), _number(other)
    return one != other if first is None or second is None else first < second


def _fans_out(task: Task) -> bool:
    return any(type(value) is Each for value in task.args.values())


def _no_such_task(ref: Ref, task: Task, scope: Scope) -> str:
    if ref.task == task.id:
        return f"${ref.task} is this line itself: refer to an earlier one"
    number, own = _number(ref.task), _number(task.id)
    if number is not None and own is not None and number > own:
        return f"${ref.task} is not an earlier line: a step can only use results of earlier ones"
    close = "" if ref.task.isdecimal() else did_you_mean(ref.task, scope.tasks)
    return f"there is no earlier step ${ref.task}{close}"


# -- where in the line -------------------------------------------------------------------------


def _argument(name: str) -> str:
    return rf"(?<![\w$.]){re.escape(name)}(?=\s*=)"


def _reference(ref: Ref) -> str:
    return rf"\$\{{?{re.escape(ref.task)}(?!\w)"


def _plan_error(refused: _Refused, task: Task, source: str) -> PlanError:
    """Find what was refused in the line as written; a call may stand on several lines."""
    found = re.search(refused.where, source) if refused.where else None
    at = found.start() if found else 0
    before = source[:at]
    return PlanError(
        str(refused),
        line=task.line + before.count("\n") if task.line else 0,
        column=at - (before.rfind("\n") + 1) + 1,
        task=task.id if refused.own_id else None,
        source=source,
    )
