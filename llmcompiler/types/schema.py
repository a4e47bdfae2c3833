"""What a JSON Schema allows, kind by kind, and how that is said in words.

It does not know values, paths or tools.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

__all__ = [
    "DEEP",
    "WORDS",
    "Schema",
    "Type",
    "accepts_text",
    "all_plain",
    "array_of",
    "branches",
    "choices_of",
    "describe",
    "follow",
    "kind_of",
    "kinds",
    "plain_kind",
    "plain_types",
    "same",
    "show",
]

Schema: TypeAlias = "Mapping[str, Any] | bool"
_NO_DEFS: Mapping[str, Schema] = {}
DEEP: Final = 100  # how far schemas are followed; beyond it anything fits


@dataclass(frozen=True, slots=True)
class Type:
    """A JSON Schema and the ``$defs`` that its references name."""

    schema: Schema
    defs: Mapping[str, Schema] = field(default_factory=lambda: _NO_DEFS)

    @classmethod
    def of(cls, schema: Schema) -> Type:
        """Read a whole schema, which carries its own ``$defs``."""
        return cls(schema, _NO_DEFS if isinstance(schema, bool) else schema.get("$defs", _NO_DEFS))


_HARMLESS = {"type", "title", "description", "default", "examples", "deprecated", "$defs"}
# What a schema says of values by itself, beside a reference or a choice.
_SAYING = {"type", "const", "enum", "properties", "required", "additionalProperties"} | {
    "items",
    "prefixItems",
}
_INVOLVED: Final = 200  # pairs of branches up to which schemas that all hold are brought together
WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


_PYTHON: Final[Mapping[str, type]] = {
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": int,
}
_ALL_PLAIN = frozenset(_PYTHON.values())


def describe(expected: Type) -> str:
    """Say in a few words what fits: ``a number or null``."""
    allowed = list(branches(expected))
    if not allowed:
        return "nothing"
    if {kind for kind, _ in allowed} >= WORDS.keys():
        return "anything"
    words: list[str] = []
    for kind in WORDS:
        if kind == "integer" and any(of == "number" for of, _ in allowed):
            continue
        matching = [schema for of, schema in allowed if of == kind]
        if not matching:
            continue
        choices = [choices_of(schema) for schema in matching]
        if all(one is not None for one in choices):
            words.extend(show(value) for one in choices for value in one or ())
        else:
            words.append(WORDS[kind])
    words = list(dict.fromkeys(words))
    if not words:
        return "nothing"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def accepts_text(expected: Type) -> bool:
    """Whether some text fits."""
    return "string" in kinds(expected)


def plain_types(expected: Type) -> frozenset[type]:
    """Return the Python types of which every value fits, so that no more need be looked at.

    Never `float`: not every one of them is a JSON number.
    """
    return _plain(expected.schema, expected.defs, 0)


def _plain(schema: Schema, defs: Mapping[str, Schema], deep: int) -> frozenset[type]:
    if isinstance(schema, bool):
        return _ALL_PLAIN if schema else frozenset()
    more = schema.keys() - _HARMLESS
    if not more:
        declared = schema.get("type")
        names = (declared,) if isinstance(declared, str) else declared
        return _ALL_PLAIN if names is None else frozenset(_PYTHON[n] for n in names if n in _PYTHON)
    if "type" in schema or len(more) > 1 or deep > DEEP:
        return frozenset()
    if "$ref" in more:
        followed = follow(schema, defs)
        return _plain(True if followed is None else followed, defs, deep + 1)
    options = schema.get("anyOf", schema.get("oneOf", ()))
    return frozenset().union(*(_plain(option, defs, deep + 1) for option in options))


def all_plain(values: Sequence[object], expected: Type) -> bool:
    """Whether each of many values fits by its Python type alone; False where more must be looked at."""
    found = set(map(type, values))
    others = found - plain_types(expected)
    if others != {float} or not _takes_any_number(expected.schema):
        return not others
    # A whole number may be too large for `isfinite`.
    floats: Any = values if found == others else (v for v in values if type(v) is float)
    return all(map(math.isfinite, floats))


def _takes_any_number(schema: Schema) -> bool:
    if isinstance(schema, bool):
        return schema
    return schema.keys() <= _HARMLESS and schema.get("type", "number") == "number"


def plain_kind(schema: Schema) -> str | None:
    """Return the one kind of value that a schema allows, where it says nothing more of it."""
    if isinstance(schema, bool) or not schema.keys() <= _HARMLESS:
        return None
    declared = schema.get("type")
    return declared if isinstance(declared, str) else None


def array_of(element: Type) -> Type:
    """Return the type of lists of `element`."""
    return Type({"type": "array", "items": element.schema}, element.defs)


def branches(of: Type, deep: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each kind of value that `of` allows with the schema that says more; all if unknown."""
    schema = of.schema
    if isinstance(schema, bool) or deep > DEEP:
        if schema is not False:
            yield from ((kind, {}) for kind in WORDS)
        return
    options = schema.get("anyOf", schema.get("oneOf"))
    if "$ref" in schema or options is not None or schema.get("allOf"):
        parts: list[Schema] = [*schema.get("allOf", ())]
        if "$ref" in schema:
            followed = follow(schema, of.defs)
            parts.insert(0, True if followed is None else followed)
        beside = {word: said for word, said in schema.items() if word in _SAYING}
        if beside:
            parts.append(beside)
        if options is None:
            yield from _of_all(parts, of.defs, deep + 1)
            return
        for option in options:
            yield from _of_all([option, *parts], of.defs, deep + 1)
        return
    declared = schema.get("type")
    if isinstance(declared, str):
        yield declared, schema
        return
    choices = choices_of(schema)
    if declared is not None:
        yield from ((kind, schema) for kind in declared)
    elif choices is not None:
        for kind in WORDS:
            if any(kind_of(choice) == kind for choice in choices):
                yield kind, {"enum": [one for one in choices if kind_of(one) == kind]}
    else:
        yield from ((kind, schema) for kind in WORDS)


def _of_all(
    parts: Sequence[Schema], defs: Mapping[str, Schema], deep: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what all of several schemas allow; rather more than less, where they are involved."""
    found = branches(Type(parts[0], defs), deep)
    if len(parts) == 1:
        yield from found
        return
    together = list(found)
    for part in parts[1:]:
        others = list(branches(Type(part, defs), deep))
        if len(together) * len(others) <= _INVOLVED:
            pairs = ((one, other) for one in together for other in others)
            together = [both for one, other in pairs if (both := _both(*one, *other)) is not None]
    yield from together


def _both(
    kind: str, have: Mapping[str, Any], other: str, want: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]] | None:
    if kind != other:
        if {kind, other} != {"integer", "number"}:
            return None
        kind = "integer"
    if not have or not want:
        return kind, have or want
    both = {**want, **have, "type": kind}
    choices, more = choices_of(have), choices_of(want)
    if choices is not None and more is not None:
        both.pop("const", None)
        both["enum"] = [one for one in choices if any(same(one, two) for two in more)]
        if not both["enum"]:
            return None
    if kind == "object":
        both["properties"] = _each_of_both(have.get("properties", {}), want.get("properties", {}))
        both["required"] = [*have.get("required", ()), *want.get("required", ())]
        others = [
            one["additionalProperties"] for one in (have, want) if "additionalProperties" in one
        ]
        if others:
            both["additionalProperties"] = False if False in others else others[0]
    elif kind == "array" and ("items" in have or "prefixItems" in have):
        both["items"] = have.get("items", True)
        both["prefixItems"] = have.get("prefixItems", ())
    return kind, both


def _each_of_both(have: Mapping[str, Schema], want: Mapping[str, Schema]) -> dict[str, Schema]:
    shared = {name: {"allOf": [have[name], want[name]]} for name in have if name in want}
    return {**have, **want, **shared}


def kinds(of: Type) -> frozenset[str]:
    """Return the kinds of value that `of` allows."""
    return frozenset(kind for kind, _ in branches(of))


def follow(schema: Mapping[str, Any], defs: Mapping[str, Schema]) -> Schema | None:
    """Return the schema that a ``$ref`` names; None where it cannot be found."""
    return defs.get(str(schema["$ref"]).removeprefix("#/$defs/"))


def choices_of(schema: Mapping[str, Any]) -> Sequence[Any] | None:
    """Return the only values that a schema allows, where it lists them."""
    if "const" in schema:
        return (schema["const"],)
    found: Sequence[Any] | None = schema.get("enum")
    return found


def same(one: object, other: object) -> bool:
    """Whether two values are one in JSON, where true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def show(value: object) -> str:
    """Write a value as JSON for a message, cut short."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def kind_of(value: object) -> str | None:
    """Name the kind of a JSON value; None for what is not JSON, as infinity."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number" if math.isfinite(value) else None
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case dict():
            return "object"
        case _:
            return None
