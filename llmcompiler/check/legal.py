"""Is this task legal here, and what must be known of it before it may run?

It does not know plan text, when a task may start, or what a model is told of a refusal.
"""

from __future__ import annotations

from dataclasses import replace

from llmcompiler.check.arguments import filled_in, named
from llmcompiler.check.references import type_of
from llmcompiler.check.refusal import Refused, at_name, plan_error
from llmcompiler.check.replacement import check_replacement
from llmcompiler.check.scope import Facts, Scope, number_of
from llmcompiler.errors import did_you_mean
from llmcompiler.plan import Policy, Task
from llmcompiler.toolbox import Toolbox

__all__ = ["check"]

_DEFAULT = Policy()


def check(task: Task, toolbox: Toolbox, scope: Scope, source: str = "") -> Task:
    """Return the task with a name for every argument; raise `PlanError` where it is not legal.

    The first problem is reported; `source` is the line as written, in which its column is looked
    up. A text that is one reference becomes that reference where no text may stand. The step's
    policy gets the tool's effects and resource, where the tool writes or has a resource and the
    policy says nothing else. `scope` is not changed, save for what it remembers of tools;
    `Scope.accept` takes the task in.
    """
    try:
        _check_id(task, scope)
        facts = scope.facts.get(task.tool)
        if facts is None or facts.tool is not toolbox.get(task.tool):
            facts = _read_tool(task.tool, toolbox)
            scope.facts[task.tool] = facts
            scope.fitting.clear()
        args = named(task, facts) if task.positional else task.args
        filled = filled_in(task, args, facts, scope)
        if task.when is not None:
            for ref in task.when.refs:
                type_of(ref, task, scope)
        if task.id in scope.awaited:
            check_replacement(task, filled, facts, scope)
        policy = _policy(task, facts)
    except Refused as refused:
        raise plan_error(refused, task, source) from None
    if filled is task.args and policy is task.policy:
        return task
    return Task(task.id, task.tool, filled, (), task.when, policy, task.line)


def _check_id(task: Task, scope: Scope) -> None:
    if task.id in scope.tasks:
        advice = f"write it as {scope.next_id}" if task.id.isdecimal() else "give it another"
        raise Refused(f"the id {task.id} is taken; {advice}", r"\S", own_id=False)
    number = number_of(task.id)
    if number is None or number > scope.highest or task.id in scope.awaited:
        return
    raise Refused(f"ids must increase: write {scope.next_id}, not {task.id}", r"\S", own_id=False)


def _read_tool(name: str, toolbox: Toolbox) -> Facts:
    tool = toolbox.get(name)
    if tool is None:
        raise Refused(f"there is no tool {name!r}{did_you_mean(name, toolbox)}", at_name(name))
    return Facts.of(tool)


def _policy(task: Task, facts: Facts) -> Policy:
    """Return the step's own policy, with what its tool adds to it."""
    own = task.policy
    writes = (own.effects or facts.tool.effects) == "write"
    if writes and own.retries and not facts.tool.idempotent:
        raise Refused(
            f"{task.tool} writes, and a write is tried again only where the tool is marked "
            f"idempotent: take the retries away",
            at_name(task.tool),
        )
    if facts.policy is None:
        return own
    if own is _DEFAULT or own == _DEFAULT:
        return facts.policy
    return replace(
        own,
        effects=own.effects or facts.policy.effects,
        resource=facts.policy.resource if own.resource is None else own.resource,
    )
