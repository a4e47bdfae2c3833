"""Which tasks does a step become: one, or one with another that is run where it fails?

It does not know files: what is wrong with a step was found before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from llmcompiler.plan import Argument, Expression, Policy, Task, TaskId
from llmcompiler.toolbox import Tool
from llmcompiler.workflow.either import FALLBACK, REPLAN, Either, Failed, Plea, Ran
from llmcompiler.workflow.model import OnError, RetrySpec, WorkflowFile
from llmcompiler.workflow.stepping import Draft
from llmcompiler.workflow.uses import KEEP

__all__ = ["Parts", "tasks_of"]

_Made: TypeAlias = "tuple[Task, Tool[..., Any]]"


@dataclass(frozen=True, slots=True)
class Parts:
    """What tasks are made of: a step that was read, the `tool` it calls, and its guard."""

    draft: Draft
    tool: Tool[..., Any]
    guard: Expression | None
    file: WorkflowFile
    on_error: OnError


def tasks_of(parts: Parts) -> Iterator[_Made]:
    """Yield the tasks of a step, each with its tool; the last one has the step's name."""
    draft, tool = parts.draft, parts.tool
    name, args = draft.name, draft.args or {}
    policy = _policy(parts)
    if draft.other is None or (draft.step.fallback is not None and draft.instead is None):
        yield Task(TaskId(name), tool.name, args, when=parts.guard, policy=policy), tool
        return
    first = TaskId(f"{name}.try")
    yield Task(first, tool.name, args, when=parts.guard, policy=policy), tool
    if draft.step.fallback is not None:
        second, what = TaskId(f"{name}.fallback"), FALLBACK
        given: Mapping[str, Argument] = draft.instead or {}
        terms = _fallback_policy(parts, draft.other)
    else:
        second, what = TaskId(f"{name}.replan"), REPLAN
        returns = draft.other.returns
        output: dict[str, Argument] = {} if returns is None else {"output": dict(returns)}
        given = {"request": Plea(first, name, draft.step.uses, args), **output}
        terms = Policy()
    yield Task(second, draft.other.name, given, when=Failed(first), policy=terms), draft.other
    keep = replace(KEEP, name=f"{name}:either", returns=tool.returns)
    either = {"value": Either(first, second, what)}
    yield Task(TaskId(name), keep.name, either, when=Ran(first)), keep


def _policy(parts: Parts) -> Policy:
    step, tool, defaults = parts.draft.step, parts.tool, parts.file.defaults
    timeout = defaults.timeout if step.timeout is None else step.timeout
    return Policy(
        # One that repeats has it for each of its runs.
        timeout=timeout if step.repeat is None else None,
        retry=_retry(step.retry, tool, parts.file),
        approve=_APPROVE if step.approve else None,
        limit=None if step.for_each is None else step.for_each.limit,
        cache=False if parts.draft.secret else step.cache,
    )


def _fallback_policy(parts: Parts, other: Tool[..., Any]) -> Policy:
    step, fallback = parts.draft.step, parts.draft.step.fallback
    assert fallback is not None  # noqa: S101 - for the type checker
    timeout = step.timeout if fallback.timeout is None else fallback.timeout
    return Policy(
        timeout=parts.file.defaults.timeout if timeout is None else timeout,
        retry=_retry(fallback.retry, other, parts.file),
        approve=_APPROVE if step.approve else None,
        limit=None if step.for_each is None else step.for_each.limit,
        cache=False if parts.draft.secret else None,
    )


_APPROVE = "the workflow asks for it"


def _retry(own: RetrySpec | None, tool: Tool[..., Any], file: WorkflowFile) -> Any:
    retry = file.defaults.retry if own is None and tool.repeatable else own
    return None if retry is None else retry.as_retry()
