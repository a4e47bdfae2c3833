"""Does a JSON value fit a type, and if not, why not?

It does not know what stands in a plan for a value that is not known yet: that is `foreign`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from llmcompiler.errors import did_you_mean
from llmcompiler.types.schema import (
    DEEP,
    Schema,
    Type,
    all_plain,
    choices_of,
    describe,
    follow,
    kind_of,
    kinds,
    same,
    show,
)

__all__ = ["Foreign", "problem"]

Foreign: TypeAlias = "Callable[[object, Type, str], str | None]"
_LONG: Final = 16  # elements from which on looking at all of them at once is quicker


def problem(
    value: object, expected: Type, at: str = "the value", foreign: Foreign | None = None
) -> str | None:
    """Say in one clause why a JSON value does not fit, beginning with where; None if it fits.

    `at` names the value. What is no JSON value is handed to `foreign` with the type expected of
    it and where it stands, which answers alike; without `foreign` it does not fit.
    """
    return _problem(value, expected.schema, expected.defs, at, foreign, 0)


def _problem(
    value: Any,
    schema: Schema,
    defs: Mapping[str, Schema],
    at: str,
    foreign: Foreign | None,
    deep: int,
) -> str | None:
    if isinstance(schema, bool):
        if not schema:
            return f"{at} must not be given"
        schema = {}
    kind = kind_of(value)
    if kind is None:
        if foreign is not None and not isinstance(value, float):
            return foreign(value, Type(schema, defs), at)
        return f"{at} must be {describe(Type(schema, defs))}, not {value!r}"
    if deep > DEEP:
        return f"{at} is nested too deeply"
    if "$ref" in schema:
        followed = follow(schema, defs)
        inner = True if followed is None else followed
        wrong = _problem(value, inner, defs, at, foreign, deep + 1)
        if wrong or len(schema) == 1:
            return wrong
    for part in schema.get("allOf", ()):
        wrong = _problem(value, part, defs, at, foreign, deep + 1)
        if wrong:
            return wrong
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is not None:
        wrong = _no_option(value, kind, options, Type(schema, defs), at, foreign, deep)
        if wrong:
            return wrong
    choices = choices_of(schema)
    if choices is not None and not any(same(value, choice) for choice in choices):
        return f"{at} must be {_one_of(choices)}, not {show(value)}{_closest(value, choices)}"
    declared = schema.get("type")
    if declared is not None and not _is_a(value, kind, declared):
        return f"{at} must be {describe(Type(schema, defs))}, not {show(value)}"
    match kind:
        case "integer" | "number":
            return _number_problem(value, schema, at)
        case "string":
            return _size_problem(len(value), schema, at, "Length", "characters")
        case "array":
            return _array_problem(value, schema, defs, at, foreign, deep)
        case "object":
            return _object_problem(value, schema, defs, at, foreign, deep)
        case _:
            return None


def _no_option(
    value: Any,
    kind: str,
    options: Sequence[Schema],
    whole: Type,
    at: str,
    foreign: Foreign | None,
    deep: int,
) -> str | None:
    """Say why none of several options fits: as the only one of the value's kind would, if there is one."""
    near: list[str] = []
    for option in options:
        wrong = _problem(value, option, whole.defs, at, foreign, deep + 1)
        if wrong is None:
            return None
        allowed = kinds(Type(option, whole.defs))
        if kind in allowed or (kind == "number" and "integer" in allowed):
            near.append(wrong)
    if len(near) == 1:
        return near[0]
    return f"{at} must be {describe(whole)}, not {show(value)}"


def _is_a(value: Any, kind: str, declared: str | Sequence[str]) -> bool:
    names = (declared,) if isinstance(declared, str) else declared
    if kind in names or (kind == "integer" and "number" in names):
        return True
    return kind == "number" and "integer" in names and value.is_integer()


def _number_problem(value: float, schema: Mapping[str, Any], at: str) -> str | None:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    if low is not None and value < low:
        return f"{at} must be at least {show(low)}, not {show(value)}"
    if high is not None and value > high:
        return f"{at} must be at most {show(high)}, not {show(value)}"
    if above is not None and value <= above:
        return f"{at} must be above {show(above)}, not {show(value)}"
    if below is not None and value >= below:
        return f"{at} must be below {show(below)}, not {show(value)}"
    if isinstance(step, int) and step and value % step:
        return f"{at} must be a multiple of {show(step)}, not {show(value)}"
    return None


def _size_problem(
    size: int, schema: Mapping[str, Any], at: str, what: str, unit: str
) -> str | None:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    if low is not None and size < low:
        return f"{at} must have at least {low} {unit}, not {size}"
    if high is not None and size > high:
        return f"{at} must have at most {high} {unit}, not {size}"
    return None


def _array_problem(
    value: Sequence[Any],
    schema: Mapping[str, Any],
    defs: Mapping[str, Schema],
    at: str,
    foreign: Foreign | None,
    deep: int,
) -> str | None:
    first = schema.get("prefixItems", ())
    rest = schema.get("items", True)
    if len(value) > _LONG and not first and all_plain(value, Type(rest, defs)):
        return _size_problem(len(value), schema, at, "Items", "elements")
    for index, element in enumerate(value):
        inner = first[index] if index < len(first) else rest
        wrong = _problem(element, inner, defs, f"{at}[{index}]", foreign, deep + 1)
        if wrong:
            return wrong
    return _size_problem(len(value), schema, at, "Items", "elements")


def _object_problem(
    value: Mapping[Any, Any],
    schema: Mapping[str, Any],
    defs: Mapping[str, Schema],
    at: str,
    foreign: Foreign | None,
    deep: int,
) -> str | None:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name, element in value.items():
        if not isinstance(name, str):
            return f"{at} must have texts as names, not {name!r}"
        if name in properties:
            inner = properties[name]
        elif others is False:
            return f"{at} has no {name!r}{did_you_mean(name, properties)}"
        else:
            inner = others
        wrong = _problem(element, inner, defs, f"{at}.{name}", foreign, deep + 1)
        if wrong:
            return wrong
    for name in schema.get("required", ()):
        if name not in value:
            return f"{at} needs {name!r}"
    return _size_problem(len(value), schema, at, "Properties", "entries")


def _one_of(choices: Sequence[object]) -> str:
    shown = ", ".join(show(choice) for choice in choices[:10])
    if len(choices) == 1:
        return shown
    return f"one of {shown}" + (" and so on" if len(choices) > 10 else "")


def _closest(value: object, choices: Sequence[object]) -> str:
    if not isinstance(value, str):
        return ""
    return did_you_mean(value, [choice for choice in choices if isinstance(choice, str)])
