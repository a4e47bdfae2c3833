"""What is said of data that does not fit the models, and where?

It does not know which models there are: it walks along those that it is handed.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from llmcompiler.errors import did_you_mean
from llmcompiler.types import Type, describe
from llmcompiler.workflow.parts import NAME
from llmcompiler.workflow.problems import Problem
from llmcompiler.workflow.reading import Source

__all__ = ["branches", "describe_mistakes", "keys_of", "kind_of_field"]

Path: TypeAlias = "tuple[str | int, ...]"
_KEY: Final = "[key]"
_MANY: Final = 20
# What other languages call a key of ours.
_ELSEWHERE: Final[Mapping[str, tuple[str, ...]]] = {
    "after": ("needs",),
    "args": ("with",),
    "arguments": ("with",),
    "catch": ("on_error", "fallback"),
    "condition": ("if",),
    "continue-on-error": ("on_error",),
    "depends": ("needs",),
    "depends_on": ("needs",),
    "dependsOn": ("needs",),
    "environment": ("env",),
    "foreach": ("for_each",),
    "input": ("inputs",),
    "inputs": ("with",),
    "jobs": ("steps",),
    "loop": ("for_each", "repeat"),
    "matrix": ("for_each",),
    "nodes": ("steps",),
    "params": ("with", "inputs"),
    "parameters": ("with", "inputs"),
    "requires": ("needs",),
    "retries": ("retry",),
    "run": ("uses",),
    "tasks": ("steps",),
    "timeout-minutes": ("timeout",),
    "tool": ("uses",),
    "type": ("uses",),
    "when": ("if",),
    "while": ("repeat",),
    "attempts": ("limit",),
    "max_attempts": ("limit",),
    "model": ("use",),
}
_TRUTHS: Final = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false"} | {
    "off": "false"
}


def describe_mistakes(
    error: ValidationError, model: type[BaseModel], source: Source
) -> list[Problem]:
    """Return what is wrong in `source`, one problem for each mistake, in order."""
    found = error.errors(include_url=False)
    unknown = {
        path: _meant(path, model) for one in found if one["type"] == "extra_forbidden"
        for path in [_path(one["loc"])]
    }  # fmt: skip
    meant = {(*path[:-1], name) for path, name in unknown.items() if name}
    problems: list[Problem] = []
    for one in found:
        path = _path(one["loc"])
        match one["type"]:
            case "extra_forbidden":
                said = _unknown(path, unknown[path], model)
                problems.append(source.problem(path, said, key=True))
            case "missing" if path not in meant:
                called = _called(_kind_at(model, path[:-1]))
                problems.append(source.problem(path[:-1], f"{called} needs {path[-1]!r}", key=True))
            case "missing":
                continue
            case _:
                key = path[-1:] == (_KEY,)
                at = _written(path[:-1] if key else path, source.data)
                problems.append(source.problem(at, _misfit(one, path, at, model), key=key))
    return sorted(set(problems))


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys of a model, as they are written, with their fields."""
    return {
        str(field.validation_alias or name): field for name, field in model.model_fields.items()
    }


def kind_of_field(field: FieldInfo) -> Any:
    """Return the whole type of a field, with what is annotated."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _path(loc: Sequence[str | int]) -> Path:
    """Leave out what names the branch of a union, which `inputs` begins with a NUL."""
    return tuple(one for one in loc if not (isinstance(one, str) and one.startswith("\0")))


def _written(path: Path, data: Any) -> Path:
    """Return where that stands which the models know by `path`: short forms have less to them."""
    around: Any = data
    for number, step in enumerate(path):
        if isinstance(around, list):
            if isinstance(step, str):
                return (*path[:number], around.index(step)) if step in around else path[:number]
            around = dict(enumerate(around))
        if not isinstance(around, dict):
            return path[:number]
        inside: dict[Any, Any] = around
        around = inside.get(step)
    return path


def _meant(path: Path, model: type[BaseModel]) -> str | None:
    kind = _model_in(_kind_at(model, path[:-1]))
    known = keys_of(kind) if kind else {}
    word = str(path[-1])
    for other in _ELSEWHERE.get(word, ()):
        if other in known:
            return other
    close = re.search(r"did you mean '(.*)'", did_you_mean(word, known))
    return close.group(1) if close else None


def _unknown(path: Path, meant: str | None, model: type[BaseModel]) -> str:
    kind = _kind_at(model, path[:-1])
    said = f"there is no key {path[-1]!r} in {_called(kind)}"
    if meant:
        return f"{said}; did you mean {meant!r}?"
    inner = _model_in(kind)
    known = keys_of(inner) if inner else {}
    return f"{said}; it may have {', '.join(known)}" if len(known) <= _MANY else said


def _misfit(one: Any, path: Path, written: Path, model: type[BaseModel]) -> str:
    name, value, context = _name(written), one["input"], one.get("ctx", {})
    match one["type"]:
        case "value_error":
            return f"{name} {context['error']}"
        case _ if value is None:
            return f"{name} has no value: give it one or leave it out"
        case "literal_error":
            kind = _kind_at(model, path)
            allowed = _choices(kind)
            words = [str(choice) for choice in allowed]
            shown = ", ".join(map(repr, allowed))
            which = f"one of {shown}" if len(allowed) > 1 else shown
            return f"{name} must be {which}, not {_shown(value)}{_close(value, words)}"
        case "string_pattern_mismatch":
            return _no_name(str(value), context["pattern"])
        case "string_too_short":
            return f"{name} must not be empty"
        case "too_short":
            return f"{name} must have at least {context['min_length']} entry"
        case "greater_than_equal":
            return f"{name} must be at least {context['ge']:g}, not {json.dumps(value)}"
        case "greater_than":
            return f"{name} must be above {context['gt']:g}, not {json.dumps(value)}"
        case _:
            wanted = _wanted(_kind_at(model, path))
            return f"{name} must be {wanted}, not {_shown(value)}{_remedy(wanted, value)}"


def _name(path: Path) -> str:
    """Write the last name of a path and the numbers that follow it: ``'needs[0]'``."""
    numbers = ""
    for step in reversed(path):
        if isinstance(step, str):
            return f"'{step}{numbers}'"
        numbers = f"[{step}]{numbers}"
    return "the file"


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return json.dumps(value)
        case int() | float():
            return f"the number {json.dumps(value)}"
        case str():
            return f"the text {value if len(value) <= 60 else value[:60] + '…'!r}"
        case list():
            return "a list"
        case _:
            return "an object"


def _remedy(wanted: str, value: object) -> str:
    if isinstance(value, str) and "true or false" in wanted and value.lower() in _TRUTHS:
        return f"; did you mean {_TRUTHS[value.lower()]}?"
    if isinstance(value, bool | int | float) and wanted == "a text":
        return ": put it in quotes"
    return ""


def _close(value: object, words: Iterable[str]) -> str:
    named = list(words)
    return did_you_mean(value, named) if isinstance(value, str) and value not in named else ""


def _no_name(name: str, pattern: str) -> str:
    dash = pattern == NAME
    made = re.sub(r"[^A-Za-z0-9_-]" if dash else r"[^A-Za-z0-9_]", "_", name)
    made = made if re.match(r"[A-Za-z_]", made) else f"_{made}"
    signs = "letters, digits, '_' and '-'" if dash else "letters, digits and '_'"
    return (
        f"{name!r} cannot be a name: use {signs}, beginning with a letter or '_'"
        f"; did you mean {made!r}?"
    )


# Along the models


def _kind_at(model: type[BaseModel], path: Path) -> Any:
    """Return the type that values at `path` must have; None where nothing is known of them."""
    kind: Any = model
    for step in path:
        kind = next((inner for one in branches(kind) for inner in _inside(one, step)), None)
    return kind


def branches(kind: Any) -> Iterator[Any]:
    """Yield the types that a type is one of, without null and without what is annotated."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        for one in get_args(kind):
            yield from branches(one)
    elif kind is not type(None):
        yield kind


def _inside(kind: Any, step: str | int) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = keys_of(kind).get(str(step))
        if field is not None:
            yield kind_of_field(field)
    elif get_origin(kind) is dict and isinstance(step, str):
        yield get_args(kind)[1]
    elif get_origin(kind) in (list, tuple) and isinstance(step, int):
        yield get_args(kind)[0]


def _model_in(kind: Any) -> type[BaseModel] | None:
    models = (one for one in branches(kind) if isinstance(one, type))
    return next((one for one in models if issubclass(one, BaseModel)), None)


def _called(kind: Any) -> str:
    return str(getattr(_model_in(kind), "called", "this"))


def _choices(kind: Any) -> tuple[Any, ...]:
    return next((get_args(one) for one in branches(kind)), ())


def _wanted(kind: Any) -> str:
    """Say in a few words what fits."""
    if kind is None:
        return "something else"
    schema = TypeAdapter(kind).json_schema()
    return re.sub(r"^null(?:, | or )", "", describe(Type.of(schema)))
