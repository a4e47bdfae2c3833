"""What does a value become where a type asks for the other kind of number?

It does not know whether a value fits: `problem` says so, and takes both kinds of one number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from llmcompiler.types.schema import DEEP, Schema, Type, follow, kind_of, kinds, show
from llmcompiler.types.values import problem

__all__ = ["converted"]

_Note: TypeAlias = "Callable[[str], None]"
_SHOWN: Final = 8  # conversions told one by one; of a long list nobody reads more
_SCALARS = frozenset((str, bool, type(None), int, float))


def converted(value: Any, expected: Type, at: str = "the value") -> tuple[Any, tuple[str, ...]]:
    """Return a JSON value that fits with the kind of number asked for, and what was changed.

    A whole number becomes 3.0 where only numbers with a fraction are asked for, and 3.0 becomes
    3 where only whole ones are, also inside lists and objects; nothing else is changed, and no
    number that the other kind cannot hold. What nothing is changed in comes back as it is. Each
    change is one text, ``"lat: 3 -> 3.0"``; the ninth and those after it are only counted. `at`
    names the value.
    """
    notes: list[str] = []
    made = _converted(value, expected.schema, expected.defs, at, notes.append, 0)
    if len(notes) > _SHOWN:
        notes[_SHOWN:] = [f"{at}: and {len(notes) - _SHOWN} more numbers"]
    return made, tuple(notes)


def _converted(
    value: Any, schema: Schema, defs: Mapping[str, Schema], at: str, note: _Note, deep: int
) -> Any:
    if isinstance(schema, bool) or deep > DEEP:
        return value
    match kind_of(value):
        case "integer" | "number":
            changed = _number(value, kinds(Type(schema, defs)))
            if changed is not value:
                note(f"{at}: {show(value)} -> {show(changed)}")
            return changed
        case "array" | "object":
            return _inside(value, schema, defs, at, note, deep)
        case _:
            return value


def _number(value: float, allowed: frozenset[str]) -> float:
    if isinstance(value, int):
        if "number" not in allowed or "integer" in allowed:
            return value
        try:
            return value if float(value) != value else float(value)
        except OverflowError:
            return value
    if "integer" not in allowed or "number" in allowed or not value.is_integer():
        return value
    return int(value)


def _inside(
    value: Any, schema: Schema, defs: Mapping[str, Schema], at: str, note: _Note, deep: int
) -> Any:
    """Convert the parts of a list or an object."""
    if isinstance(schema, bool) or deep > DEEP:
        return value
    if "$ref" in schema:
        followed = follow(schema, defs)
        return value if followed is None else _inside(value, followed, defs, at, note, deep + 1)
    for part in schema.get("allOf", ()):
        value = _inside(value, part, defs, at, note, deep + 1)
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is not None:
        value = _by_option(value, options, defs, at, note, deep)
    if isinstance(value, Mapping):
        return _object(value, schema, defs, at, note, deep)
    return _array(value, schema, defs, at, note, deep)


def _by_option(
    value: Any,
    options: Sequence[Schema],
    defs: Mapping[str, Schema],
    at: str,
    note: _Note,
    deep: int,
) -> Any:
    """Convert to the first option that fits; not at all where one fits the value as it is."""
    kind = kind_of(value) or ""
    possible = [option for option in options if kind in kinds(Type(option, defs))]
    if len(possible) == 1:
        return _inside(value, possible[0], defs, at, note, deep + 1)
    first: tuple[Any, list[str]] | None = None
    for option in possible:
        if problem(value, Type(option, defs)) is not None:
            continue
        notes: list[str] = []
        made = _inside(value, option, defs, at, notes.append, deep + 1)
        if made is value:
            return value
        first = first or (made, notes)
    if first is None:
        return value
    for text in first[1]:
        note(text)
    return first[0]


def _array(
    value: Sequence[Any],
    schema: Mapping[str, Any],
    defs: Mapping[str, Schema],
    at: str,
    note: _Note,
    deep: int,
) -> Any:
    first: Sequence[Schema] = schema.get("prefixItems", ())
    rest: Schema = schema.get("items", True)
    if not first and _nothing_to_do(value, rest, defs):
        return value
    made = [
        _converted(
            element,
            first[index] if index < len(first) else rest,
            defs,
            f"{at}[{index}]",
            note,
            deep + 1,
        )
        for index, element in enumerate(value)
    ]
    return value if all(a is b for a, b in zip(value, made, strict=True)) else made


def _nothing_to_do(value: Sequence[Any], element: Schema, defs: Mapping[str, Schema]) -> bool:
    """Whether a list can be left as it is, told by its Python types alone: lists may be long."""
    if isinstance(element, bool):
        return True
    found = set(map(type, value))
    if not found <= _SCALARS:
        return False
    allowed = kinds(Type(element, defs)) if int in found or float in found else frozenset[str]()
    both = {"integer", "number"} <= allowed
    return both or not (
        (int in found and "number" in allowed) or (float in found and "integer" in allowed)
    )


def _object(
    value: Mapping[str, Any],
    schema: Mapping[str, Any],
    defs: Mapping[str, Schema],
    at: str,
    note: _Note,
    deep: int,
) -> Any:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    others: Schema = schema.get("additionalProperties", True)
    made = {
        name: _converted(
            element, properties.get(name, others), defs, f"{at}.{name}", note, deep + 1
        )
        for name, element in value.items()
    }
    return value if all(made[name] is element for name, element in value.items()) else made
