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
    "array_of",
    "branches",
    "choices_of",
    "describe",
    "follow",
    "kind_of",
    "kinds",
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
WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


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
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def accepts_text(expected: Type) -> bool:
    """Whether some text fits."""
    return "string" in kinds(expected)


def plain_types(expected: Type) -> frozenset[type]:
    """Return the Python types of which every value fits, so that no more need be looked at.

    Never `float`: not every one of them is a JSON number.
    """
    found: set[type] = set()
    python = {"string": str, "boolean": bool, "null": type(None)}
    for kind, schema in branches(expected):
        if set(schema) <= _HARMLESS and kind in ("string", "boolean", "null"):
            found.add(python[kind])
        elif set(schema) <= _HARMLESS and kind in ("integer", "number"):
            found.add(int)
    return frozenset(found)


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
    if "$ref" in schema:
        followed = follow(schema, of.defs)
        yield from branches(Type(True if followed is None else followed, of.defs), deep + 1)
        return
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is not None:
        for option in options:
            yield from branches(Type(option, of.defs), deep + 1)
        return
    parts = schema.get("allOf")
    if parts:
        others = [kinds(Type(part, of.defs)) for part in parts[1:]]
        for kind, inner in branches(Type(parts[0], of.defs), deep + 1):
            if all(kind in allowed for allowed in others):
                yield kind, inner
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
