"""Does a line that is written again still give what the lines after it refer to?

It does not know why the line is written again, nor whether it is legal otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmcompiler.check.references import fans_out, in_result, places
from llmcompiler.check.refusal import Refused, at_name, at_reference
from llmcompiler.check.scope import Facts, Scope
from llmcompiler.plan import Argument, Each, Ref, Task, TaskId, references
from llmcompiler.types import PathProblem, Type, at_path, describe, element_of, may_fit

__all__ = ["check_replacement"]

_REMEDY = "write another call that gives it"


def check_replacement(task: Task, args: Mapping[str, Argument], facts: Facts, scope: Scope) -> None:
    """Refuse a task that waits for itself, or a reopened one of which too little is left.

    A line that was rejected, and not reopened, was referred to without anybody knowing what it
    gives: whether it does is seen when the value is there.
    """
    _check_circle(task, scope)
    if task.id not in scope.reopened or facts.returns is None:
        return
    many = fans_out(args)
    for dependent in scope.tasks.values():
        missing = _missing(task, facts.returns, many, dependent, scope)
        if missing is not None:
            text = f"line {dependent.id} needs {missing}; {_REMEDY}"
            raise Refused(text, at_name(task.tool))


def _check_circle(task: Task, scope: Scope) -> None:
    """Names may refer in any order, so that a line could come to wait for what waits for it."""
    for ref in task.refs:
        seen: set[TaskId] = set()
        left = [ref.task]
        while left:
            here = left.pop()
            if here == task.id:
                raise Refused(f"${ref.task} waits for this line itself", at_reference(ref))
            if here not in seen and here in scope.tasks:
                seen.add(here)
                left.extend(scope.tasks[here].needs)


def _missing(task: Task, returns: Type, many: bool, dependent: Task, scope: Scope) -> str | None:
    """Say what a dependent needs and would not get; None if it may get all of it."""
    for ref in dependent.when.refs if dependent.when is not None else ():
        found = in_result(ref, returns, many) if ref.task == task.id else None
        if isinstance(found, PathProblem):
            return _no_such_path(ref, task)
    facts = scope.facts.get(dependent.tool)
    for name, argument in dependent.args.items():
        for place, value in places(argument):
            for ref in references(value):
                if ref.task != task.id:
                    continue
                found = in_result(ref, returns, many)
                if isinstance(found, PathProblem):
                    return _no_such_path(ref, task)
                parameter = None if facts is None else facts.parameters.get(name)
                if found is None or parameter is None or not isinstance(value, Ref | Each):
                    continue
                expected = at_path(parameter.expected, place) if place else parameter.expected
                if isinstance(expected, Type):
                    unfit = _unfit(value, ref, found, expected, task.tool)
                    if unfit is not None:
                        return unfit
    return None


def _no_such_path(ref: Ref, task: Task) -> str:
    return f"{ref}, which is not in what {task.tool} returns"


def _unfit(value: Ref | Each, ref: Ref, found: Type, expected: Type, tool: str) -> str | None:
    there = " there" if ref.path else ""
    what = str(ref)
    if isinstance(value, Each):
        element = element_of(found)
        if isinstance(element, PathProblem):
            return f"{ref} to be a list, and {tool} returns {describe(found)}{there}"
        if element is None:
            return None
        found, what, there = element, f"an element of {ref}", " there"
    if may_fit(found, expected):
        return None
    wanted, given = describe(expected), describe(found)
    if wanted == given:
        return f"{what} to be {wanted} of another kind than {tool} returns{there}"
    return f"{what} to be {wanted}, and {tool} returns {given}{there}"
