"""How is a plan, such as a model wrote, written down as a workflow file?

It does not know tools, models or runs: what it writes is read and checked as any other file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llmcompiler.errors import PlanError
from llmcompiler.language import write_task
from llmcompiler.plan import (
    Argument,
    Each,
    Expression,
    Outlook,
    Plan,
    Policy,
    Ref,
    Star,
    Task,
    TaskId,
    Template,
)
from llmcompiler.retry import Retry
from llmcompiler.workflow.conditions import Guard, PerElement
from llmcompiler.workflow.durations import write_duration
from llmcompiler.workflow.expressions import Computed, ref_text
from llmcompiler.workflow.names import Names, Read
from llmcompiler.workflow.parts import NAME
from llmcompiler.workflow.schema import BUILT_IN
from llmcompiler.workflow.writing import write
from llmcompiler.workflow.written import escaped, written

__all__ = ["to_yaml"]

_TRAILING: Final = re.compile(r"\$+\Z")


def to_yaml(
    plan: Plan,
    *,
    name: str | None = None,
    description: str | None = None,
    tools: Sequence[str] = (),
) -> str:
    """Write a plan as a workflow file that runs to the same results.

    Steps are called after their tools, ``geocode``, ``geocode_2``; the line of each, as the model
    wrote it, stands above it as a comment. Outputs are the results that ``join()`` names, or else
    those that no other step reads. `description` is the plan's request if None; `tools` are written
    as they are, and those in files stand relative to the file. Raises `PlanError` for what no
    workflow can say: a plan without steps, an argument without a name, a guard or a computation
    that came from elsewhere.
    """
    if not plan.tasks:
        raise PlanError("a plan without steps is no workflow")
    freezer = _Freezer(plan)
    said = plan.request if description is None else description
    file: dict[str, Any] = {"version": 1}
    if name:
        file["name"] = name
    if said:
        file["description"] = said
    if tools:
        file["tools"] = list(tools)
    file["steps"] = {freezer.names[task.id]: freezer.step(task) for task in plan}
    outputs = dict(map(freezer.output, _joined(plan)))
    if outputs:
        file["outputs"] = outputs
    notes: dict[tuple[str, ...], str] = {}
    for task in plan:
        line = _line(task)
        if line is not None:
            notes["steps", freezer.names[task.id]] = line
    return write(file, notes)


def _line(task: Task) -> str | None:
    try:
        return write_task(task)
    except PlanError:  # it did not come from plan text
        return None


def _joined(plan: Plan) -> Iterator[TaskId]:
    """Yield the steps whose results the plan is for."""
    if plan.joins is not None:
        yield from dict.fromkeys(plan.joins)
        return
    read = {need for task in plan for need in task.needs}
    yield from (task.id for task in plan if task.id not in read)


def _names(plan: Plan) -> dict[TaskId, str]:
    """Name every step: by its id where that is a name already, else after its tool."""
    named = {task.id: str(task.id) for task in plan if re.fullmatch(NAME, task.id)}
    taken = set(named.values())
    for task in plan:
        if task.id in named:
            continue
        base = re.sub(r"[^A-Za-z0-9_]+", "_", task.tool).strip("_") or "step"
        base = base if base[0].isalpha() else f"step_{base}"
        name, number = base, 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        named[task.id] = name
    return named


class _Freezer:
    """Writes the steps of one plan as data of a file."""

    def __init__(self, plan: Plan) -> None:
        self.names = _names(plan)
        self._steps = frozenset(self.names.values())
        self._task = TaskId("")

    def output(self, task: TaskId) -> tuple[str, str]:
        """Return a task's result as an output, with its name."""
        if task not in self.names:
            raise PlanError(f"join() names the step {task!r}, which is not in the plan")
        return self.names[task], _expression(self._text(Ref(task)))

    def step(self, task: Task) -> dict[str, Any]:
        """Return a task as a step."""
        self._task = task.id
        if task.tool in BUILT_IN:
            raise self._error(f"a workflow takes the tool {task.tool!r} for its own")
        if task.positional:
            raise self._error("an argument has no name: check the plan against its tools first")
        step: dict[str, Any] = {"uses": task.tool}
        if task.when is not None:
            step.update(self._guard(task.when))
        each = {name: value for name, value in task.args.items() if isinstance(value, Each)}
        elements: dict[str, Any] = {}
        if each:
            over, elements = self._for_each(each)
            limit = task.policy.limit
            step["for_each"] = over if limit is None else {"in": over, "limit": limit}
        if task.args:
            step["with"] = {
                name: elements[name] if name in elements else self._value(value)
                for name, value in task.args.items()
            }
        retry = task.policy.retry
        if retry is not None and not retry.linear and retry.factor not in (1.0, 2.0):
            raise self._error(f"its waits grow by {retry.factor:g}, and a workflow's by 1 or 2")
        step.update(_policy(task.policy))
        return step

    # ------------------------------------------------------------------ values

    def _value(self, argument: Argument) -> Any:
        match argument:
            case float() if not math.isfinite(argument):
                raise self._error(f"{argument!r} is not a JSON number")
            case None | bool() | int() | float():
                return argument
            case str():
                return escaped(argument)
            case Ref():
                return _expression(self._text(argument))
            case Template():
                return self._template(argument)
            case Mapping():
                for key in argument:
                    if "${{" in key:
                        raise self._error(f"the key {key!r} would be read as an expression")
                return {key: self._value(inner) for key, inner in argument.items()}
            case Computed():
                return self._source(argument.source)
            case Each() | Expression():
                raise self._error(f"{str(argument)!r} cannot be written in a workflow file")
            case _:
                return [self._value(inner) for inner in argument]

    def _template(self, template: Template) -> str:
        """Write a text with references in it; a dollar sign before one is no sign of escape."""
        parts = [part for part in template.parts if part != ""]
        if len(parts) == 1 and isinstance(parts[0], Ref):
            return _expression(f"{self._text(parts[0])} | string")
        text, made = "", ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            dollars = _TRAILING.search(text)
            made += escaped(text[: dollars.start()] if dollars else text)
            made += _expression(f"'{dollars[0]}'") if dollars else ""
            made += _expression(self._text(part))
            text = ""
        return made + escaped(text)

    def _text(self, ref: Ref) -> str:
        """Write a reference as what stands between the braces."""
        if ref.task not in self.names:
            raise self._error(f"there is no step {ref.task!r} in the plan")
        if isinstance(ref, Outlook):
            raise self._error(f"{str(ref)!r} stands outside of an expression")
        self._no_star_names(ref)
        return ref_text(replace(ref, task=TaskId(self.names[ref.task])))

    def _no_star_names(self, ref: Ref) -> None:
        if Star() in ref.path and "*" in ref.path[ref.path.index(Star()) :]:
            raise self._error(f"the name '*' in {ref} would be read as every element")

    def _source(self, source: Any) -> Any:
        """Return what was written in a workflow file, if it can be written in this one."""
        names = Names(self._steps, inputs=(), env=(), secrets=(), item=True)
        for mistake in written(source, names).mistakes:
            raise self._error(f"{mistake.message}: a plan has no more than its steps")
        return source

    # ------------------------------------------------------------------ for_each and if

    def _for_each(self, each: Mapping[str, Each]) -> tuple[Any, dict[str, Any]]:
        """Return what a fan-out goes over, and its arguments with ``item`` in them.

        Arguments that take from one list share it: ``each $1[*].lat`` is ``item.lat`` of the
        elements of $1. Several lists go in step.
        """
        refs = {name: one.ref for name, one in each.items() if isinstance(one.ref, Ref)}
        if len(refs) < len(each):
            return self._per_element(each)
        lists: dict[Ref, int] = {}
        inside: dict[str, tuple[Ref, Ref]] = {}
        for name, ref in refs.items():
            self._no_star_names(ref)
            cut = ref.path.index(Star()) if Star() in ref.path else len(ref.path)
            over = Ref(ref.task, ref.path[:cut])
            lists.setdefault(over, len(lists))
            inside[name] = over, Ref(ref.task, ref.path[cut + 1 :])
        first, *others = map(self._text, lists)
        over_text = f"{first} | zip({', '.join(others)})" if others else first
        made: dict[str, Any] = {}
        for name, (over, rest) in inside.items():
            place = (lists[over],) if others else ()
            made[name] = _expression(_item(replace(rest, path=(*place, *rest.path))))
        return _expression(over_text), made

    def _per_element(self, each: Mapping[str, Each]) -> tuple[Any, dict[str, Any]]:
        found = {name: one.ref for name, one in each.items() if isinstance(one.ref, PerElement)}
        overs = [one.over for one in found.values()]
        if len(found) < len(each) or any(over != overs[0] for over in overs):
            raise self._error("it goes over several lists, one of them computed")
        return self._value(overs[0]), {
            name: self._source(one.source) for name, one in found.items()
        }

    def _guard(self, when: Expression) -> dict[str, Any]:
        if not isinstance(when, Guard):
            raise self._error(f"its guard {str(when)!r} cannot be written in a workflow file")
        names = Names(self._steps, inputs=(), env=(), secrets=(), functions=True)
        for mistake in written(when.source, names, bare=True).mistakes:
            raise self._error(f"{mistake.message}: a plan has no more than its steps")
        said: dict[str, Any] = {}
        if when.needs:
            said["needs"] = [self.names.get(need, str(need)) for need in when.needs]
        if when.source not in (True, "true"):
            said["if"] = when.source
        return said

    def _error(self, problem: str) -> PlanError:
        return PlanError(f"step {self._task}: {problem}", task=str(self._task))


def _expression(text: str) -> str:
    return f"${{{{ {text} }}}}"


def _item(ref: Ref) -> str:
    """Write a path in an element, as `ref_text` writes one in a result."""
    whole = ref_text(replace(ref, task=TaskId("x")))
    return "item" + whole.removeprefix(str(Read("steps", ("x", "output"))))


def _policy(policy: Policy) -> dict[str, Any]:
    """Return what a step says of how it is run. Effects and resource are its tool's to say."""
    said: dict[str, Any] = {}
    if policy.timeout is not None:
        said["timeout"] = write_duration(policy.timeout)
    if policy.retry is not None:
        said["retry"] = _retry(policy.retry)
    elif policy.retries is not None:
        said["retry"] = policy.retries
    if policy.approve is not None:
        said["approve"] = "always"
    if policy.cache is not None:
        said["cache"] = policy.cache
    return said


def _retry(retry: Retry) -> dict[str, Any]:
    backoff = "linear" if retry.linear else "exponential" if retry.factor > 1 else "constant"
    said: dict[str, Any] = {
        "limit": retry.attempts,
        "delay": write_duration(retry.delay),
        "backoff": backoff,
    }
    if retry.jitter:
        said["jitter"] = write_duration(retry.jitter)
    if retry.ceiling != max(60.0, retry.delay):
        said["max_delay"] = write_duration(retry.ceiling)
    if retry.on:
        said["on"] = list(retry.on)
    return said
