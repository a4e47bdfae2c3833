"""May a task refer to this, and may what it would get fit where it stands?

It does not know values: what a type leaves open is looked at when the value is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llmcompiler.check.refusal import Refused, at_reference
from llmcompiler.check.scope import Parameter, Scope, number_of
from llmcompiler.errors import did_you_mean
from llmcompiler.plan import Argument, Each, Expression, Ref, Star, Task, TaskId
from llmcompiler.types import (
    PathProblem,
    Type,
    accepts_text,
    array_of,
    at_path,
    describe,
    element_of,
    may_fit,
)

__all__ = ["check_ref", "fans_out", "in_result", "misfit", "places", "type_of"]


def check_ref(value: Ref | Each, ref: Ref, parameter: Parameter, task: Task, scope: Scope) -> None:
    """Check a reference that is a whole argument; what was found to fit is remembered."""
    giver = scope.tasks.get(ref.task)
    known = None
    if giver is not None and _comes_before(ref.task, task.id):
        known = (giver.tool, fans_out(giver.args), ref.path, type(value), task.tool, parameter.name)
        if known in scope.fitting:
            return
    found = type_of(ref, task, scope)
    if found is not None and type(value) is Each:
        element = element_of(found)
        if isinstance(element, PathProblem):
            text = f"'{value}' needs a list, and {ref} is {describe(found)}"
            raise Refused(text, at_reference(ref))
        found = element
    wrong = None if found is None else misfit(value, found, parameter.expected, parameter.name)
    if wrong is not None:
        raise Refused(f"{task.tool}: {wrong}", at_reference(ref))
    if known is not None:
        scope.fitting.add(known)


def misfit(value: Ref | Each, found: Type, expected: Type, name: str) -> str | None:
    """Say why what a reference gives surely does not fit; None if it may."""
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


def type_of(ref: Ref, task: Task, scope: Scope) -> Type | None:
    """Return the type of what a reference stands for, None if unknown; refuse what is not there."""
    giver = scope.tasks.get(ref.task)
    if not _comes_before(ref.task, task.id) or (giver is None and ref.task not in scope.awaited):
        raise Refused(_no_such_task(ref, task, scope), at_reference(ref))
    facts = None if giver is None else scope.facts.get(giver.tool)
    if giver is None or facts is None or facts.returns is None:
        return None
    found = in_result(ref, facts.returns, fans_out(giver.args))
    if isinstance(found, PathProblem):
        here = Ref(ref.task, ref.path[: found.at])
        raise Refused(f"{here} {found.text}", at_reference(ref))
    return found


def in_result(ref: Ref, returns: Type, many: bool) -> Type | PathProblem | None:
    """Return the type at a reference's path in what a tool `returns`, of `many` calls or of one."""
    whole = array_of(returns) if many else returns
    if not ref.path:
        return whole
    return at_path(whole, [None if isinstance(step, Star) else step for step in ref.path])


def _comes_before(one: TaskId, other: TaskId) -> bool:
    first, second = number_of(one), number_of(other)
    return one != other if first is None or second is None else first < second


def fans_out(args: Mapping[str, Argument]) -> bool:
    """Whether there is one call for each element of something."""
    return any(type(value) is Each for value in args.values())


def places(
    argument: Argument, at: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Ref | Each | Expression]]:
    """Yield all in an argument that stands for a value, and where in it that is."""
    match argument:
        case None | bool() | int() | float() | str():
            return
        case Ref() | Each():
            yield at, argument
        case Mapping():
            for name, inner in argument.items():
                yield from places(inner, (*at, name))
        case Expression():
            yield at, argument
        case _:
            for index, inner in enumerate(argument):
                yield from places(inner, (*at, index))


def _no_such_task(ref: Ref, task: Task, scope: Scope) -> str:
    if ref.task == task.id:
        return f"${ref.task} is this line itself: refer to an earlier one"
    number, own = number_of(ref.task), number_of(task.id)
    if number is not None and own is not None and number > own:
        return f"${ref.task} is not an earlier line: a step can only use results of earlier ones"
    close = "" if ref.task.isdecimal() else did_you_mean(ref.task, scope.tasks)
    return f"there is no earlier step ${ref.task}{close}"
