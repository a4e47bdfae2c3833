"""How a plan is written, in the one canonical way that `turn` reads back as the same plan.

It does not know tools; what has no form in plan text is a `PlanError`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping

from llmcompiler.errors import PlanError
from llmcompiler.language.references import is_whole_reference
from llmcompiler.language.values import MAX_DEPTH, NAME
from llmcompiler.plan import Argument, Each, Expression, Plan, Ref, Task, TaskId, Template

__all__ = ["write_argument", "write_plan", "write_ref", "write_task"]

_ID = re.compile(r"0|[1-9][0-9]{0,8}")
_CALLED = re.compile(NAME)
_WOULD_BE_REFERENCE = re.compile(r"\$(?=\{[0-9])")
_LARGEST = 10**300
_LARGEST_INDEX = 10**9


def write_plan(
    plan: Plan | Iterable[Task], joins: Iterable[TaskId] | None = None, *, first_id: int = 1
) -> str:
    """Write a plan, a step to a line, closed by ``join()`` and without a newline behind it.

    `joins` names the results that matter; a `Plan` brings its own. `first_id` is the number of
    ``join()`` where there is no step. Raises `PlanError` for what has no form in plan text.
    """
    if isinstance(plan, Plan) and joins is None:
        joins = plan.joins
    tasks = list(plan)
    last = max((int(_written_id(task.id)) for task in tasks), default=first_id - 1)
    named = ", ".join(f"${_written_id(task)}" for task in joins or ())
    return "\n".join([*map(write_task, tasks), f"{last + 1}. join({named})"])


def write_task(task: Task) -> str:
    """Write one step: ``3. forecast(at=$1, hours=24)``. Its guard must be empty."""
    if task.when is not None:
        raise PlanError("a step with a guard has no form in plan text", task=task.id)
    written = [write_argument(value) for value in task.positional]
    for name, value in task.args.items():
        written.append(f"{_written_name(name)}={write_argument(value)}")
    return f"{_written_id(task.id)}. {_written_name(task.tool)}({', '.join(written)})"


def write_argument(argument: Argument) -> str:
    """Write a value of an argument: JSON with ``$3`` and ``each $3`` in it, ``${3}`` in texts."""
    if isinstance(argument, Each):
        if not isinstance(argument.ref, Ref):
            raise PlanError("'each' of something computed has no form in plan text")
        return f"each {write_ref(argument.ref)}"
    return _write(argument, 0)


def write_ref(ref: Ref) -> str:
    """Write a reference as it stands for a value: ``$3.links[0]``."""
    return f"${_written_ref(ref)}"


def _write(argument: Argument, depth: int) -> str:
    match argument:
        case None | bool():
            return json.dumps(argument)
        case str():
            return _text(argument, whole=True)
        case int():
            if abs(argument) >= _LARGEST:
                raise PlanError("a number of more than 300 digits has no form in plan text")
            return str(int(argument))
        case float():
            if not math.isfinite(argument):
                raise PlanError(f"{argument!r} is not a JSON number")
            return float.__repr__(argument)
        case Ref():
            return write_ref(argument)
        case Template():
            return _template(argument)
        case Each():
            raise PlanError("'each' stands only in front of a whole argument")
        case Mapping():
            _check_depth(depth)
            pairs = (
                f"{_text(name, whole=True)}: {_write(value, depth + 1)}"
                for name, value in argument.items()
            )
            return "{" + ", ".join(pairs) + "}"
        case Expression():
            raise PlanError(f"{argument!r} has no form in plan text")
        case _:
            _check_depth(depth)
            return "[" + ", ".join(_write(value, depth + 1) for value in argument) + "]"


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise PlanError(f"values are nested more than {MAX_DEPTH} levels deep")


def _text(text: str, *, whole: bool) -> str:
    """Write a text so that nothing in it is taken for a reference."""
    written = json.dumps(text, ensure_ascii=False)
    if "$" not in text:
        return written
    if whole and is_whole_reference(written[1:-1]):
        return written.replace("$", r"\u0024", 1)
    return _WOULD_BE_REFERENCE.sub(r"\\u0024", written)


def _template(template: Template) -> str:
    parts: list[str] = []
    texts = ""
    for part in template.parts:
        if isinstance(part, str):
            texts += part
        else:
            parts += [_text(texts, whole=False)[1:-1], "${", _in_string(part), "}"]
            texts = ""
    if not parts:
        return _text(texts, whole=True)
    return '"' + "".join(parts) + _text(texts, whole=False)[1:-1] + '"'


def _in_string(ref: Ref) -> str:
    return json.dumps(_written_ref(ref), ensure_ascii=False)[1:-1]


def _written_ref(ref: Ref) -> str:
    for step in ref.path:
        if isinstance(step, int) and not 0 <= step < _LARGEST_INDEX:
            raise PlanError(f"[{step}] has no form in plan text: an index counts from zero")
    return _written_id(ref.task) + ref.path_text


def _written_id(task: str) -> str:
    if not _ID.fullmatch(task):
        raise PlanError(f"the step {task!r} has no form in plan text: a number is needed")
    return task


def _written_name(name: str) -> str:
    if not _CALLED.fullmatch(name):
        raise PlanError(f"the name {name!r} has no form in plan text")
    return name
