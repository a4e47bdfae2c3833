"""How do the gold plans of NESTFUL and Seal-Tools read in our plan language, and with which tools?

It does not know how plans are checked or run. These rules write a record as a plan; they are all:

* A call is a line, in the order of the record; a reused label and a result that no call has are flaws.
* An argument that is one reference is ``$3.field``; where the declared type is a text and that of the
  field is not, it is ``"${3.field}"``, as is every reference within a longer text.
* A text that spells a number, where the declared type is a number, is written as the number; the
  lines in which that happened are in `unquoted`.
* All else is written as it is. What the specification does not allow is for the checker to refuse.

Of specifications: the type "file" is read as a text, "str", "int", "float" and "bool" as JSON Schema's
names for them; a result is an object that has all the fields listed and no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from benchmarks.plans_data import records
from llmcompiler import Plan, Task, Tool, Toolbox
from llmcompiler.language import write_plan
from llmcompiler.plan import Argument, Ref, TaskId, Template

__all__ = ["Gold", "nestful", "nestful_tools", "seal", "seal_tools", "stand_in_value"]

Edges: TypeAlias = "frozenset[tuple[TaskId, TaskId]]"
Find: TypeAlias = Callable[[re.Match[str]], "Ref | None"]

_LABEL = re.compile(r"\$(var\d+)(?:\.(\w+))?(?:\[(\d+)\])?\$")
_HANDLE = re.compile(r"\bAPI_call_\d+\b")
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "file": "string"}


@dataclass(frozen=True, slots=True)
class Gold:
    """A record as a plan. `edges` are read off the record itself, not off the plan.

    `unquoted` are the lines in which a text became a number, `flaw` says why the record is no plan.
    """

    name: str
    plan: Plan
    edges: Edges
    unquoted: tuple[int, ...] = ()
    flaw: str | None = None

    @property
    def text(self) -> str:
        """The plan in the plan language, one call to a line."""
        return write_plan(self.plan)


# -- tools -----------------------------------------------------------------------------------------


@cache
def nestful_tools() -> Toolbox:
    """Return a stand-in for every tool of NESTFUL's specification.

    Six names are listed more than once, always with one and the same specification.
    """
    found: dict[str, dict[str, Any]] = {}
    for spec in records("nestful_v1/glaive_tools.jsonl"):
        known = found.setdefault(spec["name"], spec)
        if _parameters_of(known) != _parameters_of(spec):
            raise ValueError(f"two specifications of {spec['name']!r}")
    return Toolbox(
        _stand_in(
            spec["name"],
            {name: _schema(one) for name, one in _parameters_of(spec).items()},
            [name for name, one in _parameters_of(spec).items() if one["required"]],
            {name: _schema(one) for name, one in spec["output_parameters"].items()},
        )
        for spec in found.values()
    )


@cache
def seal_tools() -> Toolbox:
    """Return a stand-in for every tool of Seal-Tools."""
    return Toolbox(
        _stand_in(
            spec["api_name"],
            {name: _schema(one) for name, one in spec["parameters"].items()},
            spec["required"],
            {name: _schema(one) for name, one in spec["responses"].items()},
        )
        for spec in records("seal_tools/tools.jsonl.gz")
    )


def _parameters_of(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = spec.get("query_parameters", spec.get("parameters", {}))
    return found


def _schema(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Write a declared type as JSON Schema; what else a specification says is prose."""
    schema: dict[str, Any] = {"type": _TYPES.get(declared["type"], declared["type"])}
    if "enum" in declared:
        schema["enum"] = declared["enum"]
    if "items" in declared:
        schema["items"] = _schema(declared["items"])
    if "properties" in declared:
        schema["properties"] = {name: _schema(one) for name, one in declared["properties"].items()}
        if isinstance(declared.get("required"), list):
            schema["required"] = declared["required"]
    return schema


def _stand_in(
    name: str, parameters: dict[str, Any], required: list[str], fields: dict[str, Any]
) -> Tool[..., Any]:
    returns = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }

    async def give(**_: Any) -> Any:
        return stand_in_value(returns)

    return Tool(
        fn=give,
        name=name,
        description="A stand-in.",
        parameters={
            "type": "object",
            "properties": parameters,
            "required": required,
            "additionalProperties": False,
        },
        returns=returns,
        timeout=None,
        is_async=True,
    )


def stand_in_value(schema: Mapping[str, Any]) -> Any:
    """Return some value of the type; numbers are whole, so that they fit wherever a number may."""
    match schema.get("type"):
        case "object":
            return {name: stand_in_value(one) for name, one in schema.get("properties", {}).items()}
        case "array":
            return [stand_in_value(schema.get("items", {"type": "string"}))] * 2
        case "boolean":
            return True
        case "integer":
            return 4
        case "number":
            return 2.0
        case _:
            return "some text"


# -- plans -----------------------------------------------------------------------------------------


@cache
def nestful() -> tuple[Gold, ...]:
    """Return NESTFUL's gold plans; a record's name is its number, counted from 0."""
    return tuple(
        _nestful(str(number), record["output"])
        for number, record in enumerate(records("nestful_v1/glaive_data.jsonl"))
    )


def _nestful(name: str, output: list[dict[str, Any]]) -> Gold:
    *calls, result = output
    lines = {call["label"]: TaskId(str(line)) for line, call in enumerate(calls, 1)}

    def find(match: re.Match[str]) -> Ref | None:
        label, field, index = match.groups()
        steps = (*((field,) if field else ()), *((int(index),) if index else ()))
        return Ref(lines[label], steps) if label in lines else None

    joined = [match[1] for match in _LABEL.finditer(json.dumps(result["arguments"]))]
    unknown = sorted({label for label in joined if label not in lines})
    flaw: str | None = None
    if len(lines) < len(calls):
        flaw = "a label is used twice"
    elif unknown:
        flaw = f"the result lists {', '.join(unknown)}, which no call has"
    tasks, unquoted = _tasks(
        [(call["name"], call["arguments"]) for call in calls], nestful_tools(), _LABEL, find
    )
    joins = tuple(lines[label] for label in dict.fromkeys(joined) if label in lines)
    edges = frozenset(
        (lines[match[1]], TaskId(str(line)))
        for line, call in enumerate(calls, 1)
        for match in _LABEL.finditer(json.dumps(call["arguments"]))
    )
    return Gold(name, Plan(tasks, joins), edges, unquoted, flaw)


@cache
def seal() -> tuple[Gold, ...]:
    """Return Seal-Tools' gold plans; a record's name is its id."""
    return tuple(
        _seal(record["id"], record["calling"]) for record in records("seal_tools/dev.jsonl")
    )


def _seal(name: str, calls: list[dict[str, Any]]) -> Gold:
    tools = seal_tools()
    given: dict[str, Ref] = {}
    for line, call in enumerate(calls, 1):
        fields = (tools[call["api"]].returns or {})["properties"]
        for handle, field in zip(call["responses"], fields, strict=True):
            given[handle] = Ref(TaskId(str(line)), (field,))
    tasks, unquoted = _tasks(
        [(call["api"], call["parameters"]) for call in calls],
        tools,
        _HANDLE,
        lambda match: given.get(match[0]),
    )
    edges = frozenset(
        (given[handle].task, TaskId(str(line)))
        for line, call in enumerate(calls, 1)
        for handle in _HANDLE.findall(json.dumps(call["parameters"]))
    )
    return Gold(name, Plan(tasks), edges, unquoted)


def _tasks(
    calls: list[tuple[str, dict[str, Any]]], tools: Toolbox, reference: re.Pattern[str], find: Find
) -> tuple[tuple[Task, ...], tuple[int, ...]]:
    tasks: list[Task] = []
    unquoted: list[int] = []
    for line, (name, given) in enumerate(calls, 1):
        declared = tools[name].parameters["properties"] if name in tools else {}
        args: dict[str, Argument] = {}
        for argument, value in given.items():
            expected = declared.get(argument, {}).get("type")
            args[argument] = written = _number(value, expected)
            if written is value:
                args[argument] = _argument(value, expected, tools, tasks, reference, find)
            else:
                unquoted.append(line)
        tasks.append(Task(TaskId(str(line)), name, args))
    return tuple(tasks), tuple(dict.fromkeys(unquoted))


def _number(value: Any, expected: str | None) -> Any:
    if not isinstance(value, str) or expected not in ("integer", "number"):
        return value
    try:
        return int(value) if expected == "integer" else float(value)
    except ValueError:
        return value


def _argument(
    value: Any,
    expected: str | None,
    tools: Toolbox,
    tasks: list[Task],
    reference: re.Pattern[str],
    find: Find,
) -> Argument:
    """Write a value with references for the labels in it; `expected` is of the whole argument."""
    if isinstance(value, list):
        return [_argument(one, None, tools, tasks, reference, find) for one in value]
    if isinstance(value, dict):
        return {
            name: _argument(one, None, tools, tasks, reference, find) for name, one in value.items()
        }
    if not isinstance(value, str):
        return value
    parts: list[str | Ref] = []
    done = 0
    for match in reference.finditer(value):
        found = find(match)
        if found is not None:
            parts += [value[done : match.start()], found]
            done = match.end()
    parts = [part for part in (*parts, value[done:]) if part]
    if not any(isinstance(part, Ref) for part in parts):
        return value
    if len(parts) > 1 or (expected == "string" and not _is_text(parts[0], tools, tasks)):
        return Template(tuple(parts))
    return parts[0]


def _is_text(ref: str | Ref, tools: Toolbox, tasks: list[Task]) -> bool:
    """Whether the field that is referred to is a text, as far as is known."""
    if isinstance(ref, str) or int(ref.task) > len(tasks):
        return True
    giver = tools.get(tasks[int(ref.task) - 1].tool)
    if giver is None or len(ref.path) != 1 or giver.returns is None:
        return True
    field = giver.returns["properties"].get(ref.path[0])
    return field is None or field["type"] == "string"
